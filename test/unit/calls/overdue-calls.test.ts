/** The watch over calls whose end nobody tells: it outlives a store that is away, takes one look at a time, and repeats nothing. */
import { describe, expect, test } from 'vitest'
import { AuditDraft } from '../../../src/audit/audit-draft.ts'
import { encodeBegun } from '../../../src/calls/begun-call.ts'
import { OverdueCalls } from '../../../src/calls/overdue-calls.ts'
import { CALLS_OVERDUE_AT_ONCE_MAX } from '../../../src/kernel/call-limits.ts'
import type { DecisionId, PrincipalId } from '../../../src/kernel/ids.ts'
import type { CallStore } from '../../../src/store/call-ports.ts'
import { openStore } from '../../../src/store/open-store.ts'
import { StoreUnavailable } from '../../../src/store/ports.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { HandClock } from '../sessions/fixtures.ts'

const begun = (decision: string) =>
  encodeBegun({
    attempt: `attempt-of-${decision}`,
    asked: 'digest',
    atMs: 0,
    decision: decision as DecisionId,
    by: 'service:warehouse-server' as PrincipalId,
    about: { resource: 'https://warehouse.example/mcp', detail: 'call query', event: 'call.attempt' },
  })

async function bench(change: (calls: CallStore) => CallStore = (calls) => calls) {
  const clock = new HandClock()
  const directory = scratchDirectory('errand-overdue-')
  const store = await openStore({ kind: 'embedded', directory, org: 'acme', clock })
  const warned: unknown[] = []
  const counted: string[] = []
  const watch = new OverdueCalls({
    calls: change(store.calls),
    auditor: { begin: (_, id) => new AuditDraft(clock.nowMs(), undefined, id) },
    clock,
    log: { warn: (...said: unknown[]) => void warned.push(said) },
    observer: { call: (became) => void counted.push(became) },
  })
  return { clock, store, warned, counted, watch }
}

describe('a look', () => {
  test('of two brokers at once writes one record for each overdue call, and leaves the others', async () => {
    const { clock, store, watch } = await bench()
    const other = new OverdueCalls({
      calls: store.calls,
      auditor: { begin: (_, id) => new AuditDraft(clock.nowMs(), undefined, id) },
      clock,
      log: { warn: () => undefined },
      observer: undefined,
    })
    await store.calls.begin('due', begun('dec_due'), clock.nowMs() + 1_000)
    await store.calls.begin('later', begun('dec_later'), clock.nowMs() + 2_000)
    await Promise.all([watch.look(), other.look()])
    expect(await store.audit.find('dec_due')).toEqual([])
    clock.ms += 1_000
    await Promise.all([watch.look(), watch.look(), other.look()])
    await other.look()
    const [record, ...more] = (await store.audit.find('dec_due')).map((text) => JSON.parse(text))
    expect(record).toMatchObject({ event: 'call.outcome', call: { ended: 'unknown' }, detail: 'call query' })
    expect(more).toEqual([])
    expect(await store.audit.find('dec_later')).toEqual([])
    await store.close()
  })

  test('ends all that are due, however many: a server that tells no ends does not make more than are written down', async () => {
    const { clock, store, watch } = await bench()
    const all = Array.from({ length: 2 * CALLS_OVERDUE_AT_ONCE_MAX + 1 }, (_, at) => `${at}`)
    for (const name of all) await store.calls.begin(name, begun(`dec_${name}`), clock.nowMs())
    await watch.look()
    expect(await store.calls.due(clock.nowMs(), 1_000)).toEqual([])
    for (const name of all) expect(await store.audit.find(`dec_${name}`)).toHaveLength(1)
    await watch.stop()
    await store.close()
  })

  test('that the store does not answer is told, and made good by the next', async () => {
    let isAway = true
    const { clock, store, warned, counted, watch } = await bench((calls) => ({
      begin: (...given) => calls.begin(...given),
      read: (key) => calls.read(key),
      due: (...given) => calls.due(...given),
      end: async (...given) => {
        if (isAway) throw new StoreUnavailable('away')
        return calls.end(...given)
      },
    }))
    await store.calls.begin('due', begun('dec_due'), clock.nowMs())
    await watch.look()
    expect(warned).toHaveLength(1)
    expect(await store.audit.find('dec_due')).toEqual([])
    isAway = false
    await watch.look()
    expect(await store.audit.find('dec_due')).toHaveLength(1)
    expect(counted).toEqual(['unknown'])
    await watch.stop()
    await store.close()
  })
})
