/**
 * What a new version of the policy takes away is dead for every way of issuing, at every broker: nothing that stood on it is
 * active when the publication has answered, and nothing new comes of it. Whatever the version does not concern lives on.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { until } from '../support/broker-process.ts'
import { type ClientDocuments, startClientDocuments } from '../support/client-documents.ts'
import { enterpriseRegistry } from '../support/id-jag.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { patient, startWorld, type World } from '../support/world.ts'
import { type Cast, castOf, type Entry, entriesOf, FLOWS, type Flow, type Held } from './policy-flows.ts'

type Document = Record<string, Entry[]>

interface Change {
  readonly what: string
  /** Whom it takes something from. */
  readonly concerns: readonly Flow['behalf'][]
  /** Whose tokens die with it, because they name the same server or agent, and who are given others when they ask. */
  readonly disturbs?: readonly Flow['behalf'][]
  readonly make: (document: Document, cast: Cast, flow: Flow) => void
}

function entry(document: Document, section: string, id: string): Entry {
  const found = document[section]?.find((one) => [one['id'], one['client_id'], one['sub']].includes(id))
  if (found === undefined) throw new Error(`there is no ${id}`)
  return found
}
function remove(document: Document, section: string, id: string): void {
  const gone = entry(document, section, id)
  document[section] = document[section]?.filter((one) => one !== gone) ?? []
}

const EVERYBODY = ['user', 'agent', 'api'] as const
const WITH_TOOLS = ['user', 'agent'] as const
const inState =
  (state: string): Change['make'] =>
  (document, { aim }) => {
    entry(document, 'agents', aim)['state'] = state
  }
const deny = (cast: Cast, principal: Entry): Entry => ({
  id: `no-${cast.name}`,
  effect: 'deny',
  principals: [principal],
  resources: [{ server: cast.resource }],
  reason: 'closed',
})

const CHANGES: readonly Change[] = [
  { what: 'the agent is suspended', concerns: EVERYBODY, make: inState('suspended') },
  { what: 'the agent is retired', concerns: EVERYBODY, make: inState('retired') },
  {
    what: 'the agent is removed',
    concerns: EVERYBODY,
    make: (document, { aim, agent, delegate }) => {
      remove(document, 'agents', aim)
      if (aim === delegate) entry(document, 'agents', agent)['delegates'] = []
    },
  },
  {
    what: 'the agent’s manifest names the server no more',
    concerns: WITH_TOOLS,
    disturbs: ['api'],
    make: (document, { aim }) => {
      entry(document, 'agents', aim)['manifest'] = [{ server: 'wiki' }]
    },
  },
  {
    what: 'the credential is taken out',
    concerns: EVERYBODY,
    make: (document, { aim, name }, { without }) => {
      const keys = [{ ...(entry(document, 'agents', 'scribe')['keys'] as Entry[])[0], kid: `successor-${name}` }]
      Object.assign(entry(document, 'agents', aim), without ?? { keys })
    },
  },
  {
    what: 'the grant is taken out',
    concerns: ['user'],
    disturbs: ['agent'],
    make: (document, { grant }) => remove(document, 'grants', grant),
  },
  {
    what: 'a deny names the agent',
    concerns: WITH_TOOLS,
    make: (document, cast) => document['grants']?.push(deny(cast, { agent: cast.aim })),
  },
  {
    what: 'a deny names the user’s group',
    concerns: ['user'],
    disturbs: ['agent'],
    make: (document, cast) => document['grants']?.push(deny(cast, { group: `group-${cast.name}` })),
  },
  {
    what: 'the user is deactivated',
    concerns: ['user'],
    make: (document, { sub }) => {
      entry(document, 'users', sub)['active'] = false
    },
  },
  {
    what: 'the user leaves the group',
    concerns: ['user'],
    make: (document, { sub }) => {
      entry(document, 'users', sub)['groups'] = ['somewhere-else']
    },
  },
  {
    what: 'the server is suspended',
    concerns: WITH_TOOLS,
    make: (document, { resource }) => {
      entry(document, 'resources', resource)['state'] = 'suspended'
    },
  },
  {
    what: 'the server is removed',
    concerns: WITH_TOOLS,
    make: (document, { resource, name }) => {
      remove(document, 'resources', resource)
      for (const agent of document['agents'] ?? []) {
        if (String(agent['client_id']).endsWith(`-${name}`) || String(agent['client_id']).endsWith(`/${name}`)) {
          agent['manifest'] = [{ server: 'wiki' }]
          delete agent['api_keys']
        }
      }
      remove(document, 'grants', `grant-${name}`)
    },
  },
  {
    what: 'the tool is taken out',
    concerns: WITH_TOOLS,
    make: (document, { resource }) => {
      entry(document, 'resources', resource)['tools'] = { list_tables: { category: 'read' } }
    },
  },
]

let idp: TestIssuer
let ci: TestIssuer
let host: ClientDocuments
let redis: RunningRedis
let keysDirectory: string
beforeAll(async () => {
  keysDirectory = scratchDirectory('errand-matrix-')
  ;[idp, ci, host, redis] = await Promise.all([
    startIssuer({ slug: 'corp' }),
    startIssuer({ slug: 'ci' }),
    startClientDocuments(),
    startRedis(),
  ])
})
afterAll(async () => {
  await Promise.all([idp?.close(), ci?.close(), host?.close(), redis?.stop()])
})

/** The world without what signs by RSA, and two casts of every flow. */
function everybody(): { document: Document; hit: readonly Cast[]; spared: readonly Cast[] } {
  const around = { ci, host }
  const usual = enterpriseRegistry(idp) as Document
  const document: Document = {
    ...usual,
    resources: (usual['resources'] ?? []).filter(({ id }) => id !== 'calendar'),
    workload_issuers: [
      { issuer: ci.url, slug: 'ci', platform: 'oidc', jwks_uri: `${ci.url}/jwks`, audiences: ['errand'] },
    ],
  }
  const cast = (part: 'hit' | 'spared') =>
    FLOWS.map((flow, index) => {
      const made = castOf(flow, index, part, around)
      for (const [section, entries] of Object.entries(entriesOf(flow, made, around))) {
        document[section] = [...(document[section] ?? []), ...entries]
      }
      return made
    })
  return { document, hit: cast('hit'), spared: cast('spared') }
}

describe.each(CHANGES.map((change, index) => ({ ...change, index })))('$what', ({
  make,
  concerns,
  disturbs = [],
  index,
}) => {
  let publishing: World
  let issuing: World
  let hit: readonly Held[]
  let spared: readonly Held[]
  /** At the broker that published, as soon as it had answered. */
  let atOnce: readonly boolean[]

  beforeAll(async () => {
    const { document, ...casts } = everybody()
    const options = {
      store: { kind: 'redis', url: new Secret(redis.url) } as const,
      keysDirectory,
      realClock: true,
      issuer: idp,
      registry: document,
      settings: { apiKeys: true, clientSecretBasic: true },
      config: { org: `matrix-${index}` },
    }
    publishing = patient(await startWorld(options))
    issuing = patient(await startWorld(options))
    const hold = (cast: readonly Cast[]) =>
      Promise.all(FLOWS.map((flow, place) => flow.hold(issuing, cast[place] as Cast, { ci, host })))
    hit = await hold(casts.hit)
    spared = await hold(casts.spared)
    const alive = await Promise.all([...hit, ...spared].map((held) => held.lives(publishing)))
    expect(alive.indexOf(false), 'all of it lives').toBe(-1)
    const after = structuredClone(document)
    FLOWS.forEach((flow, place) => {
      make(after, casts.hit[place] as Cast, flow)
    })
    const files = [{ name: 'world.yaml', document: after }]
    const { version } = await publishing.broker.publisher.publishFiles(files, { by: 'operator:test' })
    atOnce = await Promise.all(hit.map((held) => held.lives(publishing)))
    const { cutoffs } = issuing.broker
    await until(async () => cutoffs.set.policy?.version === version && cutoffs.policyProblem === undefined)
  })
  afterAll(async () => {
    await issuing?.close()
    await publishing?.close()
  })

  const rows = FLOWS.map((flow, place) => ({ ...flow, place }))
  const concerned = rows.filter(({ behalf }) => concerns.includes(behalf))
  const disturbed = rows.filter(({ behalf }) => disturbs.includes(behalf))
  const unconcerned = rows.filter(({ behalf }) => ![...concerns, ...disturbs].includes(behalf))
  const of = (all: readonly Held[], place: number) => all[place] as Held

  test.each(concerned)('$title: dead, and nothing comes of it at any broker', async ({ place }) => {
    const held = of(hit, place)
    expect([atOnce[place], await held.lives(publishing), await held.lives(issuing)]).toEqual([false, false, false])
    for (const world of [publishing, issuing]) {
      for (const ask of held.again) {
        const { status, body } = await ask(world)
        expect([400, 401], JSON.stringify(body)).toContain(status)
        expect(body).not.toHaveProperty('access_token')
      }
    }
  })

  if (disturbed.length > 0) {
    test.each(disturbed)('$title: to be asked for again, and given', async ({ place }) => {
      expect(atOnce[place]).toBe(false)
      await expectGiven(of(hit, place))
    })
  }
  if (unconcerned.length > 0) {
    test.each(unconcerned)('$title: unconcerned', ({ place }) => expectAlive(of(hit, place)))
  }

  test.each(rows)('$title, of others: lives on', ({ place }) => expectAlive(of(spared, place)))

  async function expectAlive(held: Held): Promise<void> {
    expect([await held.lives(publishing), await held.lives(issuing)]).toEqual([true, true])
    await expectGiven(held)
  }

  async function expectGiven(held: Held): Promise<void> {
    for (const ask of held.again) {
      const { status, body } = await ask(issuing)
      expect(status, JSON.stringify(body)).toBe(200)
    }
  }
})
