/** A company whose warehouse and Slack servers go on in the name of their callers: to Slack, and from there to an archive. */
import { type Grant, granted } from './hops.ts'
import type { TestIssuer } from './issuer.ts'
import { publicJwk, testKey } from './keys.ts'
import {
  type Answer,
  INTENT,
  type Params,
  registryDocument,
  type Sent,
  SLACK,
  TYPE,
  WAREHOUSE,
  type World,
} from './world.ts'

export const ARCHIVE = 'https://archive.example/mcp'
export const VAULT = 'https://vault.example/mcp'

/** What the orchestrator declares, with the archive behind Slack and a vault that no server may go on to. */
export const ONWARD = [
  ...INTENT,
  { type: 'mcp_tools', locations: [ARCHIVE], tools: { store: {}, find: {} } },
  { type: 'mcp_tools', locations: [VAULT], tools: { read_secret: {} } },
]

/** Section by section, over the world's. `edit` changes an entry of a service. */
export function onwardRegistry(
  idp: TestIssuer,
  edit: (service: Record<string, unknown>) => object = (service) => service,
): Record<string, unknown> {
  const document = registryDocument(idp)
  const manifests: Readonly<Record<string, readonly object[]>> = {
    'warehouse-server': [
      { server: 'slack', tool: 'post_message', constraints: { channel: { enum: ['#finance', '#ops'] }, text: {} } },
      { server: 'archive', tool: 'find' },
    ],
    'slack-server': [
      { server: 'archive', category: 'read' },
      { server: 'archive', tool: 'store' },
      { server: 'warehouse' },
    ],
    'archive-server': [{ server: '*' }],
  }
  const service = (id: string) =>
    edit({
      client_id: id,
      keys: [{ ...publicJwk(testKey(`${id}-key`)), version: '1' }],
      api_scopes: ['revocations', 'evaluate'],
      grant_types: ['client_credentials', 'token-exchange'],
      manifest: manifests[id] ?? [],
    })
  const names = ['warehouse', 'slack', 'wiki', 'calendar', 'archive', 'vault']
  const resource = (id: string, url: string, tools: object) => ({
    id,
    url,
    owner: 'data-team',
    project: 'analytics',
    server_client: `${id}-server`,
    enforces: 'arguments',
    tools,
  })
  return {
    ...document,
    services: names.map((name) => service(`${name}-server`)),
    resources: [
      ...(document['resources'] as readonly object[]),
      resource('archive', ARCHIVE, { store: { category: 'write' }, find: { category: 'read' } }),
      resource('vault', VAULT, { read_secret: { category: 'read' } }),
    ],
  }
}

/** What a server sends to go on with a token it was called with. */
export function onward(
  world: World,
  inbound: string,
  params: Params = {},
  server = 'warehouse-server',
  headers: Sent = {},
): Promise<Answer> {
  const usual = { subject_token: inbound, subject_token_type: TYPE.access, resource: SLACK }
  return world.exchange(server, { ...usual, ...params }, headers)
}

export interface Called {
  readonly session: Grant
  /** The orchestrator's access token for the warehouse. */
  readonly inbound: Grant
}

export async function called(world: World, params: Params = {}, headers: Sent = {}): Promise<Called> {
  const session = await granted(world.open({ authorization_details: JSON.stringify(ONWARD), ...params }, headers))
  return {
    session,
    inbound: await granted(world.continue(session.token, { resource: WAREHOUSE }, 'orchestrator', headers)),
  }
}
