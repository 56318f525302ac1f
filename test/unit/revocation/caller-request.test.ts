import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { type CallerWork, callAsCaller } from '../../../src/revocation/caller-request.ts'
import { StoreUnavailable } from '../../../src/store/ports.ts'
import { failing } from '../sessions/faults.ts'
import { as, type Bench, FACTS, operator, refusalOf, startBench } from './fixtures.ts'

let bench: Bench
beforeEach(async () => {
  bench = await startBench()
})
afterEach(() => bench.close())

function call(over: Partial<CallerWork<string>> = {}, request = as(operator)) {
  const endpoint = { event: 'control.write' as const, mayDefer: false, work: async () => 'done', ...over }
  return callAsCaller(request, bench.parts, endpoint)
}

describe('a request of a known caller', () => {
  test('does its work and is recorded in the caller’s name', async () => {
    expect(await call()).toEqual({ result: 'done', audit: 'recorded' })
    expect(await bench.records()).toMatchObject([
      { event: 'control.write', outcome: 'granted', by: 'operator:ops', by_class: 'operator' },
    ])
  })

  test('carries its correlation id, and what the work adds', async () => {
    const request = { ...as(operator), facts: { ...FACTS, correlation: 'trace-1' } }
    await call({ work: async (_caller, draft) => void draft.add({ detail: 'what was done' }) as never }, request)
    expect(await bench.records()).toMatchObject([{ correlation: 'trace-1', detail: 'what was done' }])
  })

  test('the work may name the event more exactly', async () => {
    await call({ work: async (_caller, draft) => void draft.add({ event: 'session.close' }) as never })
    expect(await bench.records()).toMatchObject([{ event: 'session.close' }])
  })

  test('the work is given the caller who was identified', async () => {
    expect(await call({ work: async (caller) => caller.principal })).toMatchObject({ result: 'operator:ops' })
  })

  test('that is refused is recorded once, as refused, under its event', async () => {
    const refused = await refusalOf(
      call({
        work: () => Promise.reject(new Rejection('not_found', 'no such session')),
      }),
    )
    expect(refused).toMatchObject({ reason: 'not_found', authenticated: true })
    expect(await bench.records()).toMatchObject([
      { id: refused.decisionId, event: 'control.write', outcome: 'refused', reason: 'not_found' },
    ])
  })

  test('whose work meets a store that does not answer is refused with 503, not as absent', async () => {
    const refused = await refusalOf(call({ work: () => Promise.reject(new StoreUnavailable('down')) }))
    expect(refused.reason).toBe('store_unavailable')
  })
})

describe('a caller who could not be identified', () => {
  test('is a stranger: counted, with no record and no work done', async () => {
    let worked = false
    const work = async () => {
      worked = true
      return 'done'
    }
    const request = { caller: () => Promise.reject(new Rejection('bearer_invalid', 'no')), facts: FACTS }
    const refused = await refusalOf(call({ work, mayDefer: true }, request))
    expect(refused).toMatchObject({ reason: 'bearer_invalid', authenticated: false })
    expect(worked).toBe(false)
    expect(await bench.records()).toEqual([])
    await bench.parts.auditor.strangers.flush()
    expect(await bench.records()).toMatchObject([{ strangers: [['bearer_invalid', FACTS.source, 1]] }])
  })
})

describe('where the log does not answer', () => {
  test('what may not wait is not answered, though it is done; its record is kept and written later', async () => {
    const fault = failing(bench.parts.store.audit, 'append')
    const refused = await refusalOf(call({ mayDefer: false }))
    expect(refused).toMatchObject({ reason: 'audit_unavailable', decisionId: undefined })
    fault.heal()
    await bench.parts.auditor.log.flush()
    expect(await bench.records()).toMatchObject([{ event: 'control.write', outcome: 'granted', by: 'operator:ops' }])
  })

  test('what may wait is done, said to be deferred, and recorded later as it was', async () => {
    const fault = failing(bench.parts.store.audit, 'append')
    expect(await call({ mayDefer: true })).toEqual({ result: 'done', audit: 'deferred' })
    bench.clock.ms += 60_000
    fault.heal()
    await bench.parts.auditor.log.flush()
    const [record, ...others] = await bench.records()
    expect(others).toEqual([])
    expect(record).toMatchObject({ outcome: 'granted', at: new Date(bench.clock.ms - 60_000).toISOString() })
  })

  test('a refusal never waits, whatever was asked for', async () => {
    failing(bench.parts.store.audit, 'append')
    const work = () => Promise.reject(new Rejection('not_found', 'no such session'))
    expect((await refusalOf(call({ mayDefer: true, work }))).reason).toBe('audit_unavailable')
  })
})
