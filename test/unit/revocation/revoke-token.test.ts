import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ADMIN_ROLES } from '../../../src/model/admin-role.ts'
import { revokeToken } from '../../../src/revocation/revoke-token.ts'
import type { MintOrder } from '../../../src/tokens/claims.ts'
import { Minter } from '../../../src/tokens/minter.ts'
import { failing } from '../sessions/faults.ts'
import { CHILD, child, GRANDCHILD, ISSUER, NOW, nodeFacts, ROOT, SESSION, sessionFacts } from '../sessions/fixtures.ts'
import { apiOrder, order, SETTINGS } from '../tokens/fixtures.ts'
import { type Bench, FACTS, formAs, hopsOf, PENDING, plant, refusalOf, startBench } from './fixtures.ts'

let bench: Bench
let minter: Minter
beforeEach(async () => {
  bench = await startBench()
  await plant(bench)
  minter = new Minter(bench.ring, SETTINGS)
})
afterEach(() => bench.close())

const ROOT_HOLDER = { session: sessionFacts(), node: nodeFacts(), above: [], path: [ROOT] }
const CHILD_HOLDER = { session: sessionFacts(), node: child(), above: [], path: [ROOT, CHILD] }
const session = async (holder: MintOrder['holder']) =>
  (await minter.session(order({ holder, audience: ISSUER }))).token.reveal()
const access = async () => {
  const { token, jti } = await minter.access(order({ holder: CHILD_HOLDER }), 'ES256')
  return { text: token.reveal(), jti }
}
/** What the orchestrator was given for the researcher; its client is the delegator. */
const delegation = async () =>
  (await minter.delegation(order({ holder: ROOT_HOLDER, audience: 'researcher' }), PENDING as never)).token.reveal()

const revoke = (token: string, as = 'orchestrator') => revokeToken(formAs(as, { token }), FACTS, bench.parts)
const view = async () => bench.parts.sessions.view(SESSION, NOW)
const entries = async () => (await bench.parts.store.control.snapshot()).entries

describe('what dies', () => {
  test('with the root’s session token: the session, closed, its evidence good for another', async () => {
    const { revoked, audit } = await revoke(await session(ROOT_HOLDER))
    expect(audit).toBe('recorded')
    expect(revoked?.sessions).toEqual([SESSION])
    expect((await view())?.state).toBe('closed')
    expect(await entries()).toMatchObject([{ dimension: 'session', id: SESSION }])
  })

  test('with a sub-agent’s session token: its node and all below', async () => {
    const { revoked } = await revoke(await session(CHILD_HOLDER), 'researcher')
    expect(revoked?.sessions).toEqual([])
    expect(hopsOf(revoked ?? { hops: [] })).toEqual({ [CHILD]: [1, 1], [GRANDCHILD]: [2, 3] })
    expect((await view())?.state).toBe('active')
  })

  test('with a delegation token: what was or could be accepted from it', async () => {
    const { revoked } = await revoke(await delegation())
    expect(revoked?.hops).toMatchObject([{ node: PENDING, pending: true }])
    expect(await entries()).toMatchObject([{ dimension: 'node', id: PENDING }])
  })

  test('with an access token: that alone', async () => {
    const { text, jti } = await access()
    const { revoked } = await revoke(text, 'researcher')
    expect(revoked).toMatchObject({ sessions: [], hops: [{ node: CHILD, tokens: 1 }] })
    expect(await entries()).toMatchObject([{ dimension: 'node', id: jti }])
    expect((await view())?.nodes.some((node) => node.revoked)).toBe(false)
  })

  test('is recorded with the session and what died', async () => {
    await revoke(await session(CHILD_HOLDER), 'researcher')
    expect(await bench.records()).toMatchObject([
      { event: 'token.revoke', by: 'agent:researcher', session: SESSION, node: CHILD, detail: '2 hops' },
    ])
  })
})

describe('a success that kills nothing (RFC 7009 section 2.2)', () => {
  test.each([
    ['text', () => 'not-a-token'],
    ['three parts', () => 'a.b.c'],
    ['a token of nobody here', () => 'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IngifQ.eyJhIjoxfQ.c2ln'],
    [
      'a token whose session is gone',
      () => session({ ...ROOT_HOLDER, session: sessionFacts({ id: 'ses_gone' as never }) }),
    ],
  ])('%s', async (_what, make) => {
    const { revoked } = await revoke(await make())
    expect(revoked).toBeUndefined()
    expect(await entries()).toEqual([])
    expect(await bench.records()).toMatchObject([{ outcome: 'granted', detail: 'nothing to revoke' }])
  })
})

describe('refused', () => {
  test.each([
    ['a session token', () => session(ROOT_HOLDER), 'researcher'],
    ['a sub-agent’s session token, even to its delegator', () => session(CHILD_HOLDER), 'orchestrator'],
    ['a delegation token, to the one it is for', () => delegation(), 'researcher'],
    ['an access token, to the server it is for', async () => (await access()).text, 'warehouse-server'],
  ] as const)('%s of another client', async (_what, make, as) => {
    expect((await refusalOf(revoke(await make(), as))).reason).toBe('token_of_another_client')
    expect(await entries()).toEqual([])
    expect((await view())?.state).toBe('active')
  })

  test.each([
    ['an API token', async () => (await minter.api(apiOrder())).token.reveal()],
    [
      'a management token',
      async () =>
        (
          await minter.management({
            operator: 'operator:x' as never,
            roles: ADMIN_ROLES,
            now: NOW,
            expiresAt: NOW + 60,
          })
        ).token.reveal(),
    ],
  ])('%s, which lives minutes', async (_what, make) => {
    expect((await refusalOf(revoke(await make()))).reason).toBe('token_type_not_revocable')
  })

  test('without a token', async () => {
    expect((await refusalOf(revokeToken(formAs('orchestrator', {}), FACTS, bench.parts))).reason).toBe(
      'parameter_missing',
    )
  })
})

describe('where the store does not answer', () => {
  test('for the log: the revoke is done and recorded later', async () => {
    const fault = failing(bench.parts.store.audit, 'append')
    const { revoked, audit } = await revoke(await session(ROOT_HOLDER))
    expect([audit, revoked?.sessions]).toEqual(['deferred', [SESSION]])
    expect((await view())?.state).toBe('closed')
    expect(await bench.records()).toEqual([])
    fault.heal()
    await bench.parts.auditor.log.flush()
    expect(await bench.records()).toMatchObject([{ event: 'token.revoke', outcome: 'granted', session: SESSION }])
  })

  test('for the claim of its assertion: the revoke is done all the same', async () => {
    failing(bench.parts.store.claims, 'claim')
    expect((await revoke(await session(ROOT_HOLDER))).revoked?.sessions).toEqual([SESSION])
    expect((await view())?.state).toBe('closed')
  })

  test('for the session’s mark: it is dead by the cut-off, and said to be unreached', async () => {
    failing(bench.parts.store.sessions, 'commit')
    expect((await revoke(await session(ROOT_HOLDER))).revoked?.unreached).toEqual([SESSION])
    expect(await entries()).toMatchObject([{ dimension: 'session', id: SESSION }])
  })

  test('for the cut-off: it is not said to be done', async () => {
    failing(bench.parts.store.control, 'write')
    expect((await refusalOf(revoke(await session(ROOT_HOLDER)))).reason).toBe('store_unavailable')
    expect((await view())?.state).toBe('active')
  })

  test('for the session: it is not said to be gone', async () => {
    failing(bench.parts.store.sessions, 'readAll')
    expect((await refusalOf(revoke(await session(ROOT_HOLDER)))).reason).toBe('store_unavailable')
    expect(await entries()).toEqual([])
  })
})

test('a broker that is not certain of the revocations still revokes', async () => {
  bench.clock.ms += 2_500
  expect(bench.parts.cutoffs.fresh).toBe(false)
  expect((await revoke(await session(ROOT_HOLDER))).revoked?.sessions).toEqual([SESSION])
})
