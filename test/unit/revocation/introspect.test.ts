import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ControlEntry } from '../../../src/authority/cutoffs.ts'
import { pairKey } from '../../../src/authority/dimensions.ts'
import { decodeJwt } from '../../../src/jose/decode-jws.ts'
import { signJwt } from '../../../src/jose/sign-jwt.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { ADMIN_ROLES } from '../../../src/model/admin-role.ts'
import { introspect } from '../../../src/revocation/introspect.ts'
import { enterState, revokeLeaf, revokeNodes } from '../../../src/sessions/session-commits.ts'
import type { MintOrder } from '../../../src/tokens/claims.ts'
import { Minter } from '../../../src/tokens/minter.ts'
import { sign, testKey } from '../../support/keys.ts'
import { type Raw, registryWith } from '../flows/fixtures.ts'
import { failing } from '../sessions/faults.ts'
import {
  ALICE,
  actor,
  authority,
  CHILD,
  child,
  END,
  ISSUER,
  NOW,
  ROOT,
  SESSION,
  sessionFacts,
  WAREHOUSE,
} from '../sessions/fixtures.ts'
import { apiOrder, order, SETTINGS } from '../tokens/fixtures.ts'
import { type Bench, FACTS, formAs, plant, refusalOf, startBench } from './fixtures.ts'

let bench: Bench
let minter: Minter
beforeEach(async () => {
  bench = await startBench()
  await plant(bench)
  minter = new Minter(bench.ring, SETTINGS)
})
afterEach(() => bench.close())

/** A token of the child's node, for the warehouse, with every number above what was cut off before. */
async function accessToken(over: Partial<MintOrder> = {}): Promise<{ text: string; jti: string }> {
  const { token, jti } = await minter.access(order({ rv: bench.parts.cutoffs.rv, ...over }), 'ES256')
  return { text: token.reveal(), jti }
}
const ask = async (token: string, as = 'warehouse-server', parts = bench.parts) =>
  (await introspect(formAs(as, { token }), FACTS, parts)).introspection
const INACTIVE = { active: false }

/** Expects the token to be active before `spoil` and exactly `{"active":false}` after it. */
async function expectKilledBy(spoil: (token: { text: string; jti: string }) => Promise<unknown>) {
  const token = await accessToken()
  expect((await ask(token.text)).active).toBe(true)
  await spoil(token)
  expect(await ask(token.text)).toEqual(INACTIVE)
}

const cut = (entry: object) => {
  const { cutoffs } = bench.parts
  const seq = cutoffs.rv + 1
  cutoffs.written(seq, [{ seq, atMs: NOW * 1000, expiresAtMs: (NOW + 9999) * 1000, ...entry } as ControlEntry])
}
const within = (scopes: readonly string[], ...tools: readonly string[]) =>
  authority(
    {},
    {
      resources: new Map([[WAREHOUSE, { scopes, tools: new Map(tools.map((tool) => [tool, new Map()])), limits: {} }]]),
    },
  )
const scopeOnly = () =>
  bench.withRegistry(
    registryWith(({ resources }: Raw) => {
      for (const resource of resources) if (resource.url === WAREHOUSE) resource.enforces = 'scope'
    }),
  )
let commits = 0
const commit = (change: Parameters<typeof bench.parts.sessions.commit>[0]) => {
  commits += 1
  return bench.parts.sessions.commit(change, `introspect-${commits}`, undefined)
}

describe('an active token', () => {
  test('is described by its claims, to the server it is for', async () => {
    const { text, jti } = await accessToken()
    expect(await ask(text)).toEqual({
      active: true,
      token_type: 'Bearer',
      iss: ISSUER,
      sub: ALICE,
      aud: WAREHOUSE,
      client_id: 'researcher',
      iat: NOW,
      exp: NOW + 300,
      jti,
      scope: 'mcp:tools:read',
      sub_profile: 'user',
      act: actor('researcher', 'orchestrator'),
      sid: SESSION,
      txn: 'txn_one',
      authorization_details: [
        { type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: { table: { const: 'revenue' } } } },
      ],
      auth_time: NOW - 10,
      agent: { version: '1', instance: 'pod-7' },
      origin: { type: 'user_request', ref: 'msg-7731', asserted_by: 'agent:orchestrator' },
      intent: 'hash-of-intent',
      env: 'development',
    })
  })

  test('is recorded under the server’s name, with what the token says', async () => {
    const { text, jti } = await accessToken()
    await ask(text)
    expect(await bench.records()).toMatchObject([
      {
        event: 'token.introspect',
        by: 'service:warehouse-server',
        detail: 'active',
        jti,
        session: SESSION,
        on_behalf_of: ALICE,
        resource: WAREHOUSE,
      },
    ])
  })

  test('is described without a tool that was cut off since, and dead where it opened nothing else', async () => {
    const two = within(['mcp:tools:read'], 'query', 'list_tables')
    const [both, one] = [await accessToken({ authority: two }), await accessToken()]
    cut({ entry: 'cutoff', dimension: 'tool', id: pairKey(WAREHOUSE, 'query') })
    expect(await ask(one.text)).toEqual(INACTIVE)
    expect(await ask(both.text)).toMatchObject({
      active: true,
      scope: 'mcp:tools:read',
      authorization_details: [{ type: 'mcp_tools', locations: [WAREHOUSE], tools: { list_tables: {} } }],
    })
    expect((await ask((await accessToken()).text)).active, 'given since').toBe(true)
  })

  test('is described without the scope that opens a tool cut off since, to a server that checks scopes alone', async () => {
    const both = within(['mcp:tools:read', 'mcp:tools:write'], 'query', 'insert_rows')
    const { text } = await accessToken({ authority: both })
    cut({ entry: 'cutoff', dimension: 'tool', id: pairKey(WAREHOUSE, 'insert_rows') })
    expect(await ask(text, 'warehouse-server', scopeOnly())).toMatchObject({ scope: 'mcp:tools:read' })
    cut({ entry: 'cutoff', dimension: 'tool', id: pairKey(WAREHOUSE, 'list_tables') })
    // Nobody told it which tools of the scope the token may use.
    expect(await ask(text, 'warehouse-server', scopeOnly())).toEqual(INACTIVE)
  })

  test('stays active until its last second', async () => {
    const { text } = await accessToken()
    bench.clock.ms = (NOW + 299) * 1000
    const late = async () => {
      const form = formAs('warehouse-server', { token: text }, { iat: NOW + 299, exp: NOW + 350 })
      return (await introspect(form, FACTS, bench.parts)).introspection
    }
    bench.parts.cutoffs.confirmed(bench.parts.cutoffs.rv, bench.clock.ms)
    expect((await late()).active).toBe(true)
    bench.clock.ms = (NOW + 300) * 1000
    bench.parts.cutoffs.confirmed(bench.parts.cutoffs.rv, bench.clock.ms)
    expect(await late()).toEqual(INACTIVE)
  })
})

describe('nobody but the server it is for learns anything', () => {
  test.each(['slack-server', 'wiki-server', 'orchestrator', 'researcher'])('%s', async (id) => {
    const { text } = await accessToken()
    expect(await ask(text, id)).toEqual(INACTIVE)
    // Nor does the record say what the token was.
    const [record] = await bench.records()
    expect(record).toMatchObject({ detail: 'inactive' })
    for (const name of ['jti', 'session', 'on_behalf_of', 'resource']) expect(record).not.toHaveProperty(name)
  })

  test('a server that no longer is this resource’s own', async () => {
    const changed = registryWith((document: Raw) => {
      document.resources[0].server_client = 'slack-server'
    })
    const { text } = await accessToken()
    expect(await ask(text, 'warehouse-server', bench.withRegistry(changed))).toEqual(INACTIVE)
    expect((await ask(text, 'slack-server', bench.withRegistry(changed))).active).toBe(true)
  })
})

describe('what is no access token of a session', () => {
  test.each([
    ['text', () => 'not-a-token'],
    ['three parts', () => 'a.b.c'],
    ['a session token', async () => (await minter.session(order({ audience: ISSUER }))).token.reveal()],
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
    [
      'a token signed by somebody else',
      () =>
        sign({
          key: testKey('stranger'),
          header: { typ: 'at+jwt' },
          claims: {
            iss: ISSUER,
            sub: ALICE,
            aud: WAREHOUSE,
            exp: NOW + 60,
            iat: NOW,
            jti: 'x',
            client_id: 'researcher',
          },
        }).reveal(),
    ],
  ])('%s', async (_what, make) => {
    expect(await ask(await make())).toEqual(INACTIVE)
  })

  test('a token for a server that belongs to no session, though we signed it', async () => {
    const { text } = await accessToken()
    const { sid: _sid, anc: _anc, ...claims } = decodeJwt(new Secret(text)).claims
    expect(await ask(await signJwt(bench.ring.active('access', 'ES256', NOW), 'at+jwt', claims))).toEqual(INACTIVE)
  })

  test('a token for a resource under another spelling than registered', async () => {
    const { text } = await accessToken({ audience: `${WAREHOUSE}/` })
    expect(await ask(text)).toEqual(INACTIVE)
  })
})

describe('dead by what this broker has heard', () => {
  test.each([
    ['session', { dimension: 'session', id: SESSION }],
    ['access tokens of the session', { dimension: 'session_access', id: SESSION }],
    ['a node above', { dimension: 'node', id: ROOT }],
    ['its own node', { dimension: 'node', id: CHILD }],
    ['its holder', { dimension: 'agent', id: 'researcher' }],
    ['an agent further up', { dimension: 'agent', id: 'orchestrator' }],
    ['its user', { dimension: 'user', id: ALICE }],
    ['an agent of the chain for this user', { dimension: 'user_agent', id: pairKey(ALICE, 'orchestrator') }],
  ])('cut-off: %s', async (_what, entry) => {
    await expectKilledBy(async () => cut({ entry: 'cutoff', ...entry }))
  })

  test('cut-off: the token itself', async () => {
    await expectKilledBy(async ({ jti }) => cut({ entry: 'cutoff', dimension: 'node', id: jti }))
  })

  test.each([
    ['its user', { kind: 'user', id: ALICE }],
    ['its holder', { kind: 'agent', id: 'researcher' }],
    ['an agent further up', { kind: 'agent', id: 'orchestrator' }],
    ['an agent of the chain for this user', { kind: 'pair', id: pairKey(ALICE, 'orchestrator') }],
  ])('block: %s', async (_what, entry) => {
    await expectKilledBy(async () => cut({ entry: 'block', expiresAtMs: null, ...entry }))
  })

  test('a block of the pair that the user’s sign-in is newer than does not concern it', async () => {
    const { text } = await accessToken()
    cut({ entry: 'block', kind: 'pair', id: pairKey(ALICE, 'orchestrator'), expiresAtMs: null, newerThanS: NOW - 3600 })
    expect((await ask(text)).active).toBe(true)
  })
})

describe('dead by its session’s own word', () => {
  test.each(['halted', 'closed', 'revoked', 'expired'] as const)('%s', async (state) => {
    await expectKilledBy(() => commit(enterState(SESSION, state, END)))
  })

  test.each([ROOT, CHILD])('node %s revoked', async (node) => {
    await expectKilledBy(() => commit(revokeNodes(SESSION, [node], END)))
  })

  test('the token itself revoked', async () => {
    await expectKilledBy(({ jti }) => commit(revokeLeaf(SESSION, jti, END)))
  })

  test('a session that is not there', async () => {
    const holder = {
      session: sessionFacts({ id: 'ses_absent' as never }),
      node: child(),
      above: [],
      path: [ROOT, CHILD],
    }
    expect(await ask((await accessToken({ holder })).text)).toEqual(INACTIVE)
  })
})

describe('dead by the registry’s word', () => {
  test.each([
    ['the server', (document: Raw) => Object.assign(document.resources[0], { state: 'suspended' })],
    ['the holder', (document: Raw) => Object.assign(document.agents[2], { state: 'suspended' })],
    ['an agent further up', (document: Raw) => Object.assign(document.agents[0], { state: 'retired' })],
    ['the user', (document: Raw) => Object.assign(document.users[0], { active: false })],
    ['a user no longer listed', (document: Raw) => document.users.shift()],
    [
      'an agent no longer registered',
      (document: Raw) => {
        document.agents = document.agents.filter((agent: Raw) => agent.client_id !== 'orchestrator')
        for (const agent of document.agents) agent.delegates = []
      },
    ],
  ])('%s', async (_who, change) => {
    const { text } = await accessToken()
    expect((await ask(text)).active).toBe(true)
    expect(await ask(text, 'warehouse-server', bench.withRegistry(registryWith(change)))).toEqual(INACTIVE)
  })

  test('a user is looked up by the whole of their sub', async () => {
    const holder = {
      session: sessionFacts({ subject: { principal: 'user:corp:alice:2' as never, profile: 'user', user: undefined } }),
      node: child(),
      above: [],
      path: [ROOT, CHILD],
    }
    const { text } = await accessToken({ holder })
    expect(await ask(text)).toEqual(INACTIVE)
    const listed = registryWith((document: Raw) => document.users.push({ issuer: 'corp', sub: 'alice:2' }))
    expect((await ask(text, 'warehouse-server', bench.withRegistry(listed))).active).toBe(true)
  })

  test('the user of an issuer that is no longer configured', async () => {
    const holder = {
      session: sessionFacts({ subject: { principal: 'user:gone:alice' as never, profile: 'user', user: undefined } }),
      node: child(),
      above: [],
      path: [ROOT, CHILD],
    }
    expect(await ask((await accessToken({ holder })).text)).toEqual(INACTIVE)
  })
})

describe('refused instead of answered', () => {
  test('without a token', async () => {
    const refused = await refusalOf(introspect(formAs('warehouse-server', {}), FACTS, bench.parts))
    expect(refused.reason).toBe('parameter_missing')
  })

  test('by a broker that is not certain of the revocations', async () => {
    const { text } = await accessToken()
    bench.clock.ms += 2_001
    expect((await refusalOf(ask(text))).reason).toBe('cutoffs_stale')
  })

  test('to a server that is blocked', async () => {
    const { text } = await accessToken()
    cut({ entry: 'block', kind: 'agent', id: 'warehouse-server', expiresAtMs: null })
    expect((await refusalOf(ask(text))).reason).toBe('principal_blocked')
  })

  test('where the session cannot be read: neither active nor inactive', async () => {
    const { text } = await accessToken()
    failing(bench.parts.store.sessions, 'read')
    expect((await refusalOf(ask(text))).reason).toBe('store_unavailable')
  })

  test('where the answer cannot be recorded', async () => {
    const { text } = await accessToken()
    failing(bench.parts.store.audit, 'append')
    expect((await refusalOf(ask(text))).reason).toBe('audit_unavailable')
    expect((await refusalOf(ask('not-a-token'))).reason).toBe('audit_unavailable')
  })
})
