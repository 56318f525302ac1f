/**
 * Every dimension of revocation against every way of going on or coming back (DESIGN §7, "no way round"; R198, R199): on both
 * stores, each cell says whether it must be dead. What lives is stated as exactly as what dies: a kill that takes more than it
 * names is wrong, too. Tokens asked for after the kill are good at once, without waiting.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { ask, EVALUATION, evaluateToken, evaluatingServices } from '../support/authzen.ts'
import { details, granted, intent, kill, lift, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import {
  type Answer,
  ManualClock,
  patient,
  startWorld,
  TYPE,
  WAREHOUSE,
  type World,
  type WorldOptions,
} from '../support/world.ts'

let idp: TestIssuer
let redis: RunningRedis
beforeAll(async () => {
  ;[idp, redis] = await Promise.all([startIssuer({ slug: 'corp' }), startRedis()])
})
afterAll(async () => {
  await idp?.close()
  await redis?.stop()
})

/** Everything that may still be tried, made before the kill. */
async function held(world: World) {
  const evidence = world.idToken()
  const session = await granted(world.open({ subject_token: evidence }))
  const narrower = details(
    intent(),
    tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 9 } } }),
  )
  const delegate = () => world.delegate(session.token, { authorization_details: narrower })
  const taken = await granted(delegate())
  const pending = await granted(delegate())
  const sub = await granted(world.accept(taken.token))
  return {
    evidence,
    session,
    pending,
    sub,
    delegate,
    access: await granted(world.continue(session.token)),
    subAccess: await granted(world.continue(sub.token, {}, 'researcher')),
    own: await granted(alone(world)),
    api: await world.apiToken(),
    asking: await evaluateToken(world, 'warehouse-server'),
  }
}
type Held = Awaited<ReturnType<typeof held>>

function alone(world: World): Promise<Answer> {
  const asked = details(intent({ origin: { type: 'schedule' } }), tools(WAREHOUSE, { list_tables: {} }))
  return world.clientCredentials('orchestrator', { resource: WAREHOUSE, authorization_details: asked })
}

const isActive = async (world: World, token: string) => (await world.introspect(token)).body.active === true
const passes = async (answer: Promise<Answer>) => (await answer).status === 200

async function mayCall(world: World, token: string, asking: string): Promise<boolean> {
  const { body } = await ask(world, asking, EVALUATION, {
    subject: { type: 'access_token', id: token },
    action: { name: 'tools/call' },
    resource: { type: 'tool', id: 'query' },
    context: { arguments: { table: 'revenue', limit: 5 } },
  })
  return body.decision === true
}

/** Each way on or back in; `true`: it was let in. */
const WAYS: Readonly<Record<string, (world: World, held: Held) => Promise<boolean>>> = {
  'its access token': (world, { access }) => isActive(world, access.token),
  'a call of query with it': (world, { access, asking }) => mayCall(world, access.token, asking),
  'the sub-agent’s access token': (world, { subAccess }) => isActive(world, subAccess.token),
  'the access token of its own work': (world, { own }) => isActive(world, own.token),
  'its API token': async (world, { api }) => passes(world.bearer('/sessions', api)),
  continuing: (world, { session }) => passes(world.continue(session.token)),
  delegating: (_world, { delegate }) => passes(delegate()),
  'accepting a delegation from before': (world, { pending }) => passes(world.accept(pending.token)),
  'continuing as the sub-agent': (world, { sub }) => passes(world.continue(sub.token, {}, 'researcher')),
  'the same evidence again': (world, { evidence }) => passes(world.open({ subject_token: evidence })),
  'other evidence of the same sign-in': (world) => passes(world.open({ subject_token: world.idToken({ jti: 'x' }) })),
  'the access token as a subject, at its server': (world, { access }) =>
    passes(
      world.exchange('warehouse-server', {
        subject_token: access.token,
        subject_token_type: TYPE.access,
        resource: 'https://slack.example/mcp',
      }),
    ),
  'new work of its own': (world) => passes(alone(world)),
}
type Way = keyof typeof WAYS

const TOKENS: readonly Way[] = ['its access token', 'a call of query with it', 'the sub-agent’s access token']
const SESSION: readonly Way[] = [
  ...['continuing', 'delegating', 'accepting a delegation from before', 'continuing as the sub-agent'],
]
const EVIDENCE: readonly Way[] = ['the same evidence again', 'other evidence of the same sign-in']
const OWN: readonly Way[] = ['the access token of its own work']
const API: readonly Way[] = ['its API token']
/** No flow takes one yet, whoever brings it: dead before and after. */
const NEVER: readonly Way[] = ['the access token as a subject, at its server']

interface Row {
  readonly order: (held: Held, world: World) => object
  /** What must be dead of it; everything else must live. */
  readonly dead: readonly Way[]
  /** Assertions signed within half a minute of it count as used: nobody can say that they were not. */
  readonly costsAssertions?: true
}

const ROWS: Readonly<Record<string, Row>> = {
  session: {
    order: ({ session }) => ({ dimension: 'session', session: session.claims.sid }),
    dead: [...TOKENS, ...SESSION, ...EVIDENCE],
  },
  'the sub-agent’s node': {
    order: ({ session, sub }) => ({ dimension: 'node', session: session.claims.sid, node: sub.claims.anc.at(-1) }),
    dead: ['the sub-agent’s access token', 'continuing as the sub-agent'],
  },
  session_access: {
    order: ({ session }) => ({ dimension: 'session_access', session: session.claims.sid }),
    dead: TOKENS,
  },
  agent: {
    order: () => ({ dimension: 'agent', agent: 'orchestrator' }),
    dead: [...TOKENS, ...SESSION, ...EVIDENCE, ...OWN, ...API],
  },
  'agent, of the sub-agent': {
    order: () => ({ dimension: 'agent', agent: 'researcher' }),
    dead: [...['the sub-agent’s access token', 'continuing as the sub-agent', 'accepting a delegation from before']],
  },
  agent_version: {
    order: () => ({ dimension: 'agent_version', agent: 'orchestrator', version: '1' }),
    dead: [...TOKENS, ...SESSION, ...EVIDENCE, ...OWN, ...API],
  },
  'agent_version, of the sub-agent': {
    order: () => ({ dimension: 'agent_version', agent: 'researcher', version: '1' }),
    dead: [...['the sub-agent’s access token', 'continuing as the sub-agent', 'accepting a delegation from before']],
  },
  owner: {
    order: () => ({ dimension: 'owner', owner: 'alice@corp.example' }),
    dead: [...TOKENS, ...SESSION, ...EVIDENCE, ...OWN, ...API],
  },
  user: {
    order: () => ({ dimension: 'user', user: 'user:corp:alice' }),
    dead: [...TOKENS, ...SESSION, ...EVIDENCE],
  },
  user_agent: {
    order: () => ({ dimension: 'user_agent', user: 'user:corp:alice', agent: 'orchestrator' }),
    dead: [...TOKENS, ...SESSION, ...EVIDENCE],
  },
  issuer: {
    order: () => ({ dimension: 'issuer', issuer: 'corp' }),
    dead: [...TOKENS, ...SESSION, ...EVIDENCE],
  },
  resource: {
    order: () => ({ dimension: 'resource', resource: 'warehouse' }),
    dead: [...TOKENS, ...OWN],
  },
  tool: {
    order: () => ({ dimension: 'tool', resource: WAREHOUSE, tool: 'query' }),
    // Its access token opens list_tables still; the sub-agent's opened nothing else.
    dead: ['a call of query with it', 'the sub-agent’s access token'],
  },
  'key, of access tokens': {
    order: (_held, world) => ({ dimension: 'key', kid: world.broker.ring.active('access', 'ES256', world.now()).kid }),
    dead: [...TOKENS, ...OWN, ...API],
  },
  everything: {
    order: () => ({ dimension: 'everything' }),
    dead: [...TOKENS, ...SESSION, ...EVIDENCE, ...OWN, ...API],
    costsAssertions: true,
  },
}

const STORES: Readonly<Record<string, (index: number) => WorldOptions>> = {
  'the embedded store': () => ({}),
  Redis: (index) => ({
    store: { kind: 'redis', url: new Secret(redis.url) },
    config: { org: `matrix${index}` },
    realClock: true,
  }),
}

describe.each(Object.keys(STORES))('on %s', (store) => {
  test.each(Object.keys(ROWS))('%s: dead is what it names, and nothing else', async (dimension) => {
    const row = ROWS[dimension] as Row
    const options = STORES[store]?.(Object.keys(ROWS).indexOf(dimension)) ?? {}
    const world = patient(await startWorld({ ...options, issuer: idp, registry: evaluatingServices(idp) }))
    try {
      const before = await held(world)
      expect(await mayCall(world, before.access.token, before.asking)).toBe(true)
      await kill(world, row.order(before, world))
      if (row.costsAssertions === true) {
        expect((await alone(world)).body.error).toBe('invalid_client')
        // Only a clock in the test's hands can go on to what is refused for its own sake.
        if (!(world.clock instanceof ManualClock)) return
        await world.advance(45)
      }
      // The key that signed the asking server's own token may be the one that died.
      const after = { ...before, asking: await evaluateToken(world, 'warehouse-server') }
      const found: Record<string, string> = {}
      const wanted: Record<string, string> = {}
      for (const [way, letsIn] of Object.entries(WAYS)) {
        found[way] = (await letsIn(world, after)) ? 'alive' : 'dead'
        wanted[way] = [...row.dead, ...NEVER].includes(way) ? 'dead' : 'alive'
      }
      expect(found).toEqual(wanted)
      const anew = await granted(alone(world))
      expect(await isActive(world, anew.token), 'given since').toBe(true)
    } finally {
      await world.close()
    }
  })
})

describe('with a block nothing new begins, until it is lifted', () => {
  const BLOCKS: readonly (readonly [string, object, { kind: string; id: string }])[] = [
    [
      'a version',
      { dimension: 'agent_version', agent: 'orchestrator', version: '1' },
      { kind: 'agent_version', id: 'orchestrator|1' },
    ],
    ['a resource', { dimension: 'resource', resource: 'warehouse' }, { kind: 'resource', id: WAREHOUSE }],
    ['an issuer', { dimension: 'issuer', issuer: 'corp' }, { kind: 'issuer', id: 'corp' }],
  ]
  test.each(BLOCKS)('%s', async (_what, order, lifted) => {
    const world = await startWorld({ issuer: idp, registry: evaluatingServices(idp) })
    try {
      await kill(world, { ...order, block: true })
      await world.advance(120)
      const anew = () =>
        world.open({
          subject_token: world.idToken({ auth_time: world.now() }),
          requested_token_type: TYPE.access,
          resource: WAREHOUSE,
        })
      const refused = await anew()
      expect([refused.status, refused.body.access_token]).toEqual([400, undefined])
      expect(['principal_blocked', 'resource_inactive']).toContain(refused.body.error_reason)
      await lift(world, lifted)
      const { token } = await granted(anew())
      expect(await isActive(world, token)).toBe(true)
    } finally {
      await world.close()
    }
  })
})
