import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AuditLog } from '../../../src/audit/audit-log.ts'
import { Auditor, RefusedRequest } from '../../../src/audit/auditor.ts'
import { StrangerCounts } from '../../../src/audit/stranger-counts.ts'
import type { PrincipalId } from '../../../src/kernel/ids.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { StoreUnavailable } from '../../../src/store/ports.ts'
import { failing } from '../sessions/faults.ts'
import { HandClock, NOW, type TestStore, testStore } from '../sessions/fixtures.ts'

let held: TestStore
let auditor: Auditor
beforeEach(async () => {
  const clock = new HandClock()
  held = await testStore(clock)
  auditor = new Auditor(new AuditLog(held.store.audit), new StrangerCounts(held.store.audit, clock), clock)
})
afterEach(() => held.close())

const records = async () => (await held.store.audit.latest(10)).map((entry) => JSON.parse(entry.record))
const refusal = new Rejection('session_absent', 'the session is unknown', { missing: ['a session'] })

function known() {
  const draft = auditor.begin()
  draft.authenticatedAs('agent:orchestrator' as PrincipalId)
  return draft
}

describe('a stranger', () => {
  test('is counted, not recorded: the answer has no decision to look up', async () => {
    const refused = await auditor.refuse(auditor.begin(), new Rejection('client_unknown', 'unknown'), '203.0.113.7')
    expect(refused).toBeInstanceOf(RefusedRequest)
    expect(refused).toMatchObject({ authenticated: false, decisionId: undefined, faultId: undefined })
    expect(await records()).toEqual([])
    await auditor.strangers.flush()
    expect(await records()).toMatchObject([{ strangers: [['client_unknown', '203.0.113.7', 1]] }])
  })

  test('who replays a client’s assertion is counted as a stranger', async () => {
    const draft = known()
    draft.disown()
    const refused = await auditor.refuse(draft, new Rejection('client_assertion_replayed', 'replayed'), 's')
    expect(refused.authenticated).toBe(false)
    expect(await records()).toEqual([])
  })

  test('is refused even where the log is down: the count waits', async () => {
    failing(held.store.audit, 'append')
    const refused = await auditor.refuse(auditor.begin(), new Rejection('client_unknown', 'unknown'), 's')
    expect(refused.error).toMatchObject({ reason: 'client_unknown' })
  })

  test('who met a fault of ours gets an id to search for, and is counted as that', async () => {
    const refused = await auditor.refuse(auditor.begin(), new TypeError('a fault'), 's')
    expect(refused.faultId).toMatch(/^dec_/)
    await auditor.strangers.flush()
    expect(await records()).toMatchObject([{ event: 'strangers.refused', strangers: [['server_error', 's', 1]] }])
  })
})

describe('a caller who is known', () => {
  test('has one record, whose id is the decision id of the answer', async () => {
    const draft = known()
    const refused = await auditor.refuse(draft, refusal, 's')
    expect(refused).toMatchObject({ error: refusal, decisionId: draft.id, authenticated: true, faultId: undefined })
    expect(await records()).toMatchObject([
      {
        id: draft.id,
        at: new Date(NOW * 1000).toISOString(),
        by: 'agent:orchestrator',
        outcome: 'refused',
        reason: 'session_absent',
        missing: ['a session'],
      },
    ])
  })

  test('meets a fault of ours as server_error, with an id to search the log for', async () => {
    const draft = known()
    const refused = await auditor.refuse(draft, new TypeError('a fault'), 's')
    expect(refused).toMatchObject({ decisionId: draft.id, authenticated: true })
    expect(refused.faultId).toMatch(/^dec_/)
    expect(refused.faultId).not.toBe(draft.id)
    expect(await records()).toMatchObject([{ outcome: 'refused', reason: 'server_error' }])
  })

  test('meets a store that does not answer as 503 with a moment to wait, never as absent', async () => {
    const cause = new StoreUnavailable('read does not answer')
    const refused = await auditor.refuse(known(), cause, 's')
    expect(refused.error).toMatchObject({ reason: 'store_unavailable', retryAfterSeconds: 1, cause })
    expect(await records()).toMatchObject([{ reason: 'store_unavailable' }])
  })

  test('is told that the log is down where a refusal cannot be recorded: no answer without its record', async () => {
    failing(held.store.audit, 'append')
    const refused = await auditor.refuse(known(), refusal, 's')
    expect(refused).toMatchObject({ authenticated: true, decisionId: undefined })
    expect(refused.error).toMatchObject({ reason: 'audit_unavailable' })
  })

  test('a fault of ours stays one where the log is down as well', async () => {
    failing(held.store.audit, 'append')
    const fault = new TypeError('a fault')
    expect((await auditor.refuse(known(), fault, 's')).error).toBe(fault)
  })
})
