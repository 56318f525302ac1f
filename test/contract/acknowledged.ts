/** What the writers of `durable-writer.ts` were told is done, held against the store. */
import { expect } from 'vitest'
import type { SessionId } from '../../src/kernel/ids.ts'
import type { Store } from '../../src/store/ports.ts'
import { HOUR_MS } from './store-contract.ts'

/** Every acknowledged write is there, whole: the audit record of a commit, too. */
export async function expectAll(store: Store, acknowledged: readonly string[]): Promise<void> {
  const snapshot = await store.control.snapshot()
  const cutoffs = new Map(snapshot.entries.map((entry) => [entry.id, entry.seq]))
  const audited = new Set((await store.audit.latest(50_000)).map((entry) => entry.record))
  for (const line of acknowledged) {
    const [what, id = '', seq] = line.split(' ')
    if (what === 'commit') {
      const record = await store.sessions.readAll(`ses_${id}` as SessionId)
      expect([id, record?.get('state'), audited.has(id)]).toEqual([id, 'active', true])
    } else if (what === 'control') {
      expect([id, cutoffs.get(id)]).toEqual([id, Number(seq)])
      expect(snapshot.seq).toBeGreaterThanOrEqual(Number(seq))
    } else {
      expect([id, await store.claims.claim(id, 'another', Date.now() + HOUR_MS)]).toEqual([id, false])
    }
  }
}
