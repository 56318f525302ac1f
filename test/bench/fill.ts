/**
 * Fills a store with live sessions, in a process of its own: copies of one that a broker has opened, written through the
 * store's own commit, and into the list of all sessions. Their audit records are left out: those have a bound of their own.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sessionIndex } from '../../src/flows/flow.ts'
import { type Clock, systemClock } from '../../src/kernel/clock.ts'
import { newJti, newNodeId, newSessionId, type SessionId } from '../../src/kernel/ids.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { SWEEP_ENTRIES_MAX } from '../../src/store/bounds.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { answerCalls } from './rpc.ts'
import type { StoreOf } from './systems.ts'

export interface Template {
  /** The session's record, as the store reads it. */
  readonly fields: ReadonlyMap<string, string>
  /** What is another's in each copy. */
  readonly session: string
  readonly node: string
}

const IN_FLIGHT = 128
/** A store that is filled at full speed is late now and then. */
const ATTEMPTS_MAX = 20
const ATTEMPT_AFTER_MS = 500
const SESSION_MS = 6 * 3600 * 1000
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
  /** A session that was opened just now. @throws when the store does not know it */
  read: async ({ session, node }: { session: string; node: string }): Promise<Template['fields']> => {
    const fields = await store.sessions.readAll(session as SessionId)
    if (fields === undefined || ![...fields.keys()].some((name) => name.includes(node))) {
      throw new Error('the session to copy is not in the store as expected')
    }
    return fields
  },
  write: async ({ template, count }: { template: Template; count: number }): Promise<void> => {
    let left = count
    const work = async (): Promise<void> => {
      while (left > 0) {
        left -= 1
        await writeOne(template)
      }
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, work))
  },
  /** Every write sweeps: as many writes as it takes, of an entry that is there. */
  sweep: async (of: StoreOf): Promise<void> => {
    if (of.kind !== 'embedded') return
    await store.close()
    store = await open(of, systemClock)
    const entry = newSessionId()
    for (let swept = 0; swept <= written; swept += SWEEP_ENTRIES_MAX) {
      await surely(() => store.indexes.add(sessionIndex.all, entry, systemClock.nowMs() + SESSION_MS))
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

async function writeOne({ fields, session, node }: Template): Promise<void> {
  const id = newSessionId()
  const root = newNodeId()
  const copy = (text: string) => text.replaceAll(session, id).replaceAll(node, root)
  const expiresAtMs = systemClock.nowMs() + SESSION_MS
  const commit = {
    session: id,
    id: newJti(),
    checks: [],
    operations: [...fields].map(
      ([field, value]) => ({ operation: 'set', field: copy(field), value: copy(value) }) as const,
    ),
    expiresAtMs,
    audit: undefined,
  }
  await surely(() => store.sessions.commit(commit))
  written += 1
  await surely(() => store.indexes.add(sessionIndex.all, id, expiresAtMs))
}

/** Every write here may be repeated: a commit by its id, an entry of the list by itself. */
async function surely(write: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await write()
      return
    } catch (fault) {
      if (!(fault instanceof StoreUnavailable) || attempt === ATTEMPTS_MAX) throw fault
      await sleep(ATTEMPT_AFTER_MS)
    }
  }
}
