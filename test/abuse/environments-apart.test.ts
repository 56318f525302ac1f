/**
 * Brokers of two environments side by side (R195), which share everything, issuer, keys, store and policy: the agents and the
 * tokens of one are worth nothing at the other.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { details, granted, intent, managementToken, refused, tools } from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { publicJwk, testKey } from '../support/keys.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { invalidRequest, invalidScope } from '../support/refusal.ts'
import { scratchDirectory } from '../support/scratch.ts'
import {
  type Answer,
  type Held,
  patient,
  registryDocument,
  startWorld,
  WAREHOUSE,
  type World,
} from '../support/world.ts'

type Entry = Record<string, unknown>

const ENVIRONMENTS = ['development', 'production'] as const
/** Of the two, by name; those of the world are of development. */
const ORCHESTRATOR = { development: 'orchestrator', production: 'orchestrator-live' } as const
const RESEARCHER = { development: 'researcher', production: 'researcher-live' } as const
type Environment = (typeof ENVIRONMENTS)[number]

let redis: RunningRedis
let worlds: Readonly<Record<Environment, World>>

beforeAll(async () => {
  redis = await startRedis()
  const issuer = await startIssuer({ slug: 'corp' })
  const document = registryDocument(issuer)
  const agents = document['agents'] as Entry[]
  const live = agents
    .filter(({ client_id }) => client_id === 'orchestrator' || client_id === 'researcher')
    .map((agent) => ({
      ...agent,
      client_id: `${agent['client_id']}-live`,
      environment: 'production',
      keys: [{ ...publicJwk(testKey(`${agent['client_id']}-live-key`)), version: '1' }],
      upstream: { corp: `${agent['client_id']}-live-at-idp` },
      delegates: agent['client_id'] === 'orchestrator' ? ['researcher-live', 'researcher'] : [],
    }))
  const crossing = agents.map((agent) =>
    agent['client_id'] === 'orchestrator' ? { ...agent, delegates: ['researcher', 'researcher-live'] } : agent,
  )
  const start = async (environment: Environment) =>
    patient(
      await startWorld({
        store: { kind: 'redis', url: new Secret(redis.url) },
        keysDirectory,
        realClock: true,
        issuer,
        settings: { environment },
        registry: { agents: [...crossing, ...live] },
      }),
    )
  const keysDirectory = scratchDirectory('errand-environments-')
  worlds = { development: await start('development'), production: await start('production') }
})
afterAll(async () => {
  await worlds?.production.close()
  await worlds?.development.close()
  await worlds?.development.idp.close()
  await redis?.stop()
})

const other = (environment: Environment): Environment => (environment === 'production' ? 'development' : 'production')
const wanted = details(intent(), tools(WAREHOUSE, { query: {}, list_tables: {} }))
const open = (at: World, agent: string): Promise<Answer> =>
  at.exchange(agent, {
    subject_token: at.idToken({ aud: `${agent}-at-idp` }),
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    requested_token_type: 'urn:errand:token-type:session',
    authorization_details: wanted,
  })
const delegate = (at: World, session: string, agent: string, audience: string) =>
  at.delegate(session, { audience, authorization_details: details(intent(), tools(WAREHOUSE, { query: {} })) }, agent)
const forItself = (at: World, agent: string) =>
  at.clientCredentials(agent, {
    resource: WAREHOUSE,
    authorization_details: details(intent({ origin: { type: 'schedule' } }), tools(WAREHOUSE, { query: {} })),
  })
const apiToken = (at: World, agent: string) =>
  at.clientCredentials(agent, { resource: `${at.issuer}/api`, scope: 'sessions' })

describe.each(ENVIRONMENTS)('what was issued for %s', (environment) => {
  const [agent, researcher] = [ORCHESTRATOR[environment], RESEARCHER[environment]]
  let here: World
  let there: World
  let held: Omit<Held, 'sid'>
  beforeAll(async () => {
    here = worlds[environment]
    there = worlds[other(environment)]
    const session = (await granted(open(here, agent))).token
    const delegation = (await granted(delegate(here, session, agent, researcher))).token
    held = { session, delegation, access: (await granted(here.continue(session, {}, agent))).token }
  })

  test('is no access token in the other environment, nor an API or management token', async () => {
    const api = (await granted(apiToken(here, agent))).token
    const management = await managementToken(here)
    const seen = async (at: World) => [
      (await at.introspect(held.access)).body.active,
      (await at.bearer('/sessions', api)).status,
      (await at.bearer('/admin/v1/policy', management)).status,
    ]
    expect(await seen(here)).toEqual([true, 200, 200])
    expect(await seen(there)).toEqual([false, 401, 401])
  })

  test('is no session there, and no delegation: not for its own agent, nor for one of that environment', async () => {
    const foreign = ORCHESTRATOR[other(environment)]
    const stolen = () => there.continue(held.session, {}, foreign)
    await refused(there, stolen, invalidRequest('subject_token_presenter'))
    const accepted = () => there.accept(held.delegation, {}, RESEARCHER[other(environment)])
    await refused(there, accepted, invalidRequest('subject_token_presenter'))
    for (const own of [
      () => there.continue(held.session, {}, agent),
      () => there.accept(held.delegation, {}, researcher),
    ]) {
      await refused(there, own, invalidRequest('subject_token_revoked'))
    }
    // Where it was issued it lives on.
    await granted(here.continue(held.session, {}, agent))
    await granted(here.accept(held.delegation, {}, researcher))
  })

  test('its agent is refused there, however it asks', async () => {
    for (const request of [() => open(there, agent), () => forItself(there, agent)]) {
      await refused(there, request, invalidScope('nothing_granted'))
    }
    await refused(there, () => apiToken(there, agent), invalidRequest('agent_inactive'))
    await granted(forItself(here, agent))
  })

  test('its agent is given nothing by one of the other environment', async () => {
    const foreign = RESEARCHER[other(environment)]
    const crossed = () => delegate(here, held.session, agent, foreign)
    await refused(here, crossed, invalidScope('nothing_granted'))
  })
})
