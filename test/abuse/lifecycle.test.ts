/**
 * An agent, a server or a service that is not in service yet, or no longer, at the doors of a broker where things are tried
 * and of one where they count (R190, R195).
 */
import { afterEach, expect, test } from 'vitest'
import { LIFECYCLE_STATES, type LifecycleState } from '../../src/model/lifecycle.ts'
import { details, granted, intent, refused, tools } from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { invalidRequest, type Refusal } from '../support/refusal.ts'
import { registryDocument, SLACK, startWorld, WAREHOUSE, type World } from '../support/world.ts'

type Entry = Record<string, unknown>

let world: World
afterEach(async () => {
  await world.close()
  await world.idp.close()
})

/** The twin, Slack and the wiki's server in this state; everybody else in service. */
async function begin(state: LifecycleState, environment: string): Promise<void> {
  const issuer = await startIssuer({ slug: 'corp' })
  const document = registryDocument(issuer)
  const section = (name: string, who: string, more: Entry): Entry[] =>
    (document[name] as Entry[]).map((entry) => {
      const here = name === 'agents' ? { ...entry, environment } : entry
      return [entry['id'], entry['client_id']].includes(who) ? { ...here, state, ...more } : here
    })
  const manifest = [{ server: 'warehouse', category: 'read' }]
  const registry = {
    agents: section('agents', 'orchestrator-twin', { manifest }),
    resources: section('resources', 'slack', {}),
    services: section('services', 'wiki-server', {}),
  }
  world = await startWorld({ issuer, settings: { environment }, registry })
}

const forItself = (url: string, tool: string) => ({
  resource: url,
  authorization_details: details(intent({ origin: { type: 'schedule' } }), tools(url, { [tool]: {} })),
})
const forAlice = (...more: object[]) => ({
  authorization_details: details(intent(), tools(WAREHOUSE, { query: {}, list_tables: {} }), ...more),
})

const inactive: Refusal = { status: 400, error: 'invalid_target', reason: 'resource_inactive' }

test.each(
  ['development', 'production'].flatMap((environment) =>
    LIFECYCLE_STATES.map((state) => [state, environment] as const),
  ),
)('what is %s in %s is served, or refused at every door', async (state, environment) => {
  await begin(state, environment)
  const session = (await granted(world.open(forAlice()))).token
  const asTwin = () => world.clientCredentials('orchestrator-twin', forItself(WAREHOUSE, 'query'))
  const toTwin = () =>
    world.delegate(session, {
      audience: 'orchestrator-twin',
      authorization_details: details(intent(), tools(WAREHOUSE, { query: {} })),
    })
  const atSlack = () => world.clientCredentials('orchestrator', forItself(SLACK, 'list_channels'))
  const opening = () => world.open(forAlice(tools(SLACK, { list_channels: {} })))
  const asService = () => world.clientCredentials('wiki-server', { resource: `${world.issuer}/api` })
  if (state === 'active' || (state === 'testing' && environment === 'development')) {
    for (const request of [asTwin, toTwin, atSlack, opening]) await granted(request())
    expect((await asService()).status).toBe(200)
    return
  }
  await refused(world, asTwin, invalidRequest('agent_inactive'))
  await refused(world, toTwin, invalidRequest('delegate_not_allowed'))
  await refused(world, atSlack, inactive)
  await refused(world, opening, inactive)
  await refused(world, asService, invalidRequest('service_inactive'))
})
