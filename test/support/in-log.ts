/** Whether records have come into the log: each of them, once, letter by letter. */
import { setTimeout as sleep } from 'node:timers/promises'
import { LogTrail } from '../../src/audit/trail/log-trail.ts'
import { systemTicks } from '../../src/kernel/clock.ts'
import type { Store } from '../../src/store/ports.ts'
import { PATIENCE_MS } from './patience.ts'

const SLICE = 256

async function textsInLog(store: Store): Promise<readonly string[]> {
  const trail = new LogTrail({
    ...store,
    audit: store.audit,
    log: store.log,
    ticks: systemTicks,
    sequence: async () => undefined,
  })
  const texts: string[] = []
  for (let from = 0; ; ) {
    const { entries, next, gaps } = await trail.from(from, SLICE)
    if (gaps.length > 0) throw new Error(`the log has gaps: ${JSON.stringify(gaps)}`)
    texts.push(...entries.map(({ text }) => text))
    if (next <= from) return texts
    from = next
  }
}

/** @throws Error where one of them is not there within `withinMs`, or is there twice */
export async function expectInLog(store: Store, wanted: ReadonlySet<string>, withinMs = PATIENCE_MS): Promise<void> {
  const until = performance.now() + withinMs
  for (;;) {
    const texts = await textsInLog(store)
    const known = new Set(texts)
    if (known.size !== texts.length) throw new Error('a record is in the log twice')
    const missing = [...wanted].filter((text) => !known.has(text))
    if (missing.length === 0) return
    if (performance.now() > until)
      throw new Error(`${missing.length} of ${wanted.size} records are not in the log: ${missing[0]}`)
    await sleep(100)
  }
}
