/** Fills a store with live sessions, in a process of its own (`session-copies.ts`). */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../src/kernel/clock.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { SWEEP_ENTRIES_MAX } from '../../src/store/bounds.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { answerCalls } from './rpc.ts'
import { COPY_LIVES_MS, readTemplate, surely, type Template, writeCopies } from './session-copies.ts'
import type { StoreOf } from './systems.ts'

/**
 * What a commit leaves for minutes only would expire by the million while something is measured, and that would be measured
 * instead. So the embedded store, which owns its clock, is filled an hour ago, and swept before it is handed over: its clock
 * never runs back, so nothing may be written ahead of time. Redis expires by itself, in a process not measured.
 */
const AN_HOUR_AGO = { nowMs: () => systemClock.nowMs() - 3600 * 1000 }

let store: Store
let directory: string | undefined
let written = 0

answerCalls({
  open: async (of: StoreOf): Promise<void> => {
    directory = of.kind === 'embedded' ? of.directory : undefined
    store = await open(of, of.kind === 'embedded' ? AN_HOUR_AGO : systemClock)
  },
  read: ({ session, node }: { session: string; node: string }): Promise<Template> => readTemplate(store, session, node),
  write: async ({ template, count }: { template: Template; count: number }): Promise<void> => {
    await writeCopies(store, template, count, systemClock)
    written += count
  },
  /** Every write sweeps: as many writes as it takes, of a claim that is there. */
  sweep: async (of: StoreOf): Promise<void> => {
    if (of.kind !== 'embedded') return
    await store.close()
    store = await open(of, systemClock)
    const endsAtMs = systemClock.nowMs() + COPY_LIVES_MS
    for (let swept = 0; swept <= written; swept += SWEEP_ENTRIES_MAX) {
      await surely(() => store.claims.claim('swept', 'by the bench', endsAtMs))
    }
  },
  /** Bytes of the embedded store's file. */
  bytes: (): number => (directory === undefined ? 0 : statSync(join(directory, 'errand.mdb')).size),
  close: () => store.close(),
})

function open(of: StoreOf, clock: Clock): Promise<Store> {
  const common = { org: 'default', clock }
  return openStore(
    of.kind === 'redis'
      ? { ...common, kind: 'redis', url: new Secret(of.url) }
      : { ...common, kind: 'embedded', directory: of.directory },
  )
}
