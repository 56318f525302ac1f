/**
 * The seed story: a cluster-debug agent may read secrets, the developer it works for may not (R062). Whoever stands in the
 * chain, what comes out is what everybody may; and what nobody may delegate, nobody gets.
 */
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { details, granted, intent, refused, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { publicJwk, testKey } from '../support/keys.ts'
import { invalidScope, invalidTarget } from '../support/refusal.ts'
import { registryDocument, startWorld, TYPE, type World } from '../support/world.ts'
import {
  agent as agentOf,
  ask,
  granted as grantedBy,
  world as policyWorld,
  type Raw,
  WAREHOUSE,
} from '../unit/policy/world.ts'

const CLUSTER = 'https://cluster.example/mcp'
const nothing = invalidScope('nothing_granted')

let world: World
let issuer: TestIssuer
afterEach(async () => {
  await world.close()
  await issuer.close()
})

function agent(id: string, manifest: Raw[], more: object = {}): Raw {
  return {
    client_id: id,
    owner: 'group:sre',
    environment: 'development',
    keys: [{ ...publicJwk(testKey(`${id}-key`)), version: '1' }],
    grant_types: ['token-exchange', 'client_credentials'],
    upstream: { corp: `${id}-at-idp` },
    manifest,
    ...more,
  }
}

/** Dev the developer, Sam of the SREs; the debug agent, and one that may look at pods only. */
async function begin(change: (document: Raw) => void = () => undefined): Promise<void> {
  issuer = await startIssuer({ slug: 'corp' })
  const all = [{ server: 'cluster' }]
  const document: Raw = {
    ...registryDocument(issuer),
    users: [
      { issuer: 'corp', sub: 'dev', groups: ['developers'] },
      { issuer: 'corp', sub: 'sam', groups: ['sre'] },
    ],
    resources: [
      {
        id: 'cluster',
        url: CLUSTER,
        owner: 'group:sre',
        enforces: 'tools',
        tools: {
          list_pods: { category: 'read', scope: 'pods:read' },
          read_secret: { category: 'read', scope: 'secrets:read' },
          drop_namespace: { category: 'destructive', scope: 'namespaces:drop' },
        },
      },
    ],
    agents: [
      agent('cluster-debug', all, { delegates: ['helper'] }),
      agent('helper', all, { delegates: ['scribe'] }),
      agent('scribe', all),
      agent('pod-watcher', [{ server: 'cluster', tool: 'list_pods' }]),
    ],
    grants: [
      {
        id: 'developers-look',
        effect: 'allow',
        principals: [{ group: 'developers' }],
        resources: [{ server: 'cluster', tool: 'list_pods' }],
      },
      { id: 'sre-does', effect: 'allow', principals: [{ group: 'sre' }], resources: [{ server: 'cluster' }] },
    ],
  }
  change(document)
  world = await startWorld({ issuer, registry: document })
}

const opening = (client: string, sub: string, names: readonly string[], more: object = {}) =>
  world.exchange(client, {
    subject_token: world.idToken({ sub, aud: `${client}-at-idp` }),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.access,
    resource: CLUSTER,
    authorization_details: details(
      intent({ max_depth: 2 }),
      tools(CLUSTER, Object.fromEntries(names.map((name) => [name, {}]))),
    ),
    ...more,
  })

test('cluster-debug: the agent may read secrets, the developer may not, and so it may not for the developer (R062)', async () => {
  await begin()
  const { answer } = await refused(world, () => opening('cluster-debug', 'dev', ['read_secret']), nothing)
  expect(answer.body.missing.join()).toContain('read_secret at cluster: no grant allows user:corp:dev')
  const { claims } = await granted(opening('cluster-debug', 'dev', ['read_secret', 'list_pods']))
  expect(claims.scope).toBe('pods:read')
  // Nor by asking for itself and then for the developer: its own authority is not theirs.
  const both = await granted(
    opening('cluster-debug', 'dev', ['read_secret', 'list_pods'], {
      requested_token_type: TYPE.session,
      resource: undefined,
    }),
  )
  await refused(
    world,
    () => world.continue(both.token, { resource: CLUSTER, scope: 'secrets:read' }, 'cluster-debug'),
    nothing,
  )
  const own = {
    resource: CLUSTER,
    authorization_details: details(intent({ origin: { type: 'schedule' } }), tools(CLUSTER, { read_secret: {} })),
  }
  expect((await granted(world.clientCredentials('cluster-debug', own))).claims.sub).toBe('agent:cluster-debug')
})

test('agent ∩ user: of the four, only both together (R060)', async () => {
  await begin()
  for (const client of ['cluster-debug', 'pod-watcher']) {
    for (const sub of ['sam', 'dev']) {
      const asking = () => opening(client, sub, ['read_secret'])
      if (client === 'cluster-debug' && sub === 'sam')
        expect((await granted(asking())).claims.scope).toBe('secrets:read')
      else await refused(world, asking, nothing)
    }
  }
  const tool = fc.subarray(['query', 'insert', 'drop_table', 'unclassified'], { minLength: 1 })
  fc.assert(
    fc.property(tool, tool, tool, (ofAgent, ofUser, wanted) => {
      const registry = policyWorld((d) => {
        const [warehouse] = d.resources
        for (const name of Object.keys(warehouse.tools)) warehouse.tools[name].delegable = true
        const select = (names: readonly string[]) => names.map((name) => ({ server: 'warehouse', tool: name }))
        d.agents[0].manifest = select(ofAgent)
        d.grants[0].resources = select(ofUser)
        warehouse.enforces = 'arguments'
      })
      const both = wanted.filter((name) => ofAgent.includes(name) && ofUser.includes(name))
      const decision = ask(registry, { [WAREHOUSE]: Object.fromEntries(wanted.map((name) => [name, {}])) })
      expect(Object.keys(grantedBy(decision)?.[WAREHOUSE] ?? {}).sort()).toEqual(both.sort())
    }),
    { numRuns: 100 },
  )
})

test('A → B → C where B may not: C is refused, and the record names B (R061)', async () => {
  const manifest = (names: readonly string[]) => names.map((tool) => ({ server: 'cluster', tool }))
  await begin((d) => Object.assign(d.agents[1], { manifest: manifest(['list_pods']) }))
  const session = { requested_token_type: TYPE.session, resource: undefined }
  const root = await granted(opening('cluster-debug', 'sam', ['read_secret', 'list_pods'], session))
  const passing = (named: object, max_depth: number) => details(intent({ max_depth }), tools(CLUSTER, named))
  const secret = { audience: 'helper', authorization_details: passing({ read_secret: {} }, 1) }
  const { answer } = await refused(world, () => world.delegate(root.token, secret, 'cluster-debug'), nothing)
  expect(answer.body.missing).toEqual(['read_secret at cluster: not in the manifest of agent helper'])
  // Nor where B could, when it passed it on, and may not now: every agent of the chain is asked about again.
  const registry = policyWorld((d) => {
    d.agents.push({ ...d.agents[0], client_id: 'scribe' })
    d.agents[1].manifest = [{ server: 'slack' }]
  })
  const [a, b1, c] = ['orchestrator', 'planner', 'scribe'].map((id) => agentOf(registry, id))
  const decision =
    c && ask(registry, { [WAREHOUSE]: { query: {} } }, { agent: c, chain: [a, b1].flatMap((one) => one ?? []) })
  expect(decision).toMatchObject({
    reason: 'nothing_granted',
    missing: ['query at warehouse: not in the manifest of agent planner'],
  })
  // Nor does it pass through B unseen beside something that B may.
  const mixed = { audience: 'helper', authorization_details: passing({ list_pods: {} }, 1) }
  const toB = await granted(world.delegate(root.token, mixed, 'cluster-debug'))
  const b = await granted(world.accept(toB.token, {}, 'helper'))
  const toC = { audience: 'scribe', authorization_details: passing({ read_secret: {} }, 0) }
  const widening = { status: 400, error: 'invalid_authorization_details', reason: 'details_widening' } as const
  await refused(world, () => world.delegate(b.token, toC, 'helper'), widening)
})

test('what may not be delegated to agents stays refused, whatever the human may and any grant says (R077)', async () => {
  await begin((d) => {
    const all = [{ server: 'cluster' }, { server: '*', tool: 'drop_namespace' }, { category: 'destructive' }]
    d.grants.push({ id: 'sam', effect: 'allow', principals: [{ user: 'corp:sam' }], resources: all })
    d.grants.push({
      id: 'agent',
      effect: 'allow',
      principals: [{ agent: 'cluster-debug' }, { owner: 'group:sre' }],
      resources: all,
    })
  })
  const { answer } = await refused(world, () => opening('cluster-debug', 'sam', ['drop_namespace']), nothing)
  expect(answer.body.missing).toEqual(['drop_namespace at cluster: not delegable to agents'])
  const own = {
    resource: CLUSTER,
    authorization_details: details(intent({ origin: { type: 'schedule' } }), tools(CLUSTER, { drop_namespace: {} })),
  }
  await refused(world, () => world.clientCredentials('cluster-debug', own), nothing)
})

test('a server of people’s own data is for people: an agent for itself gets nothing, for somebody it does (R013)', async () => {
  await begin((d) => Object.assign(d.resources[0], { mode: 'personal' }))
  const own = {
    resource: CLUSTER,
    authorization_details: details(intent({ origin: { type: 'schedule' } }), tools(CLUSTER, { list_pods: {} })),
  }
  const { answer } = await refused(world, () => world.clientCredentials('cluster-debug', own), nothing)
  expect(answer.body.missing).toEqual(['list_pods at cluster: personal mode requires a user'])
  await granted(opening('cluster-debug', 'sam', ['list_pods']))
})

test('a server that nobody has registered gets nothing, however it is spelled (R016)', async () => {
  await begin()
  for (const resource of ['https://evil.example/mcp', `${CLUSTER}.evil.example/`, `${CLUSTER}/x`]) {
    await refused(
      world,
      () => opening('cluster-debug', 'sam', ['list_pods'], { resource }),
      invalidTarget('resource_unknown'),
    )
  }
})
