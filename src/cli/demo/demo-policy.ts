/** Who exists in the demo and who may do what: one registry document, as an operator would write it (JSON is YAML too). */
import type { ClientKey } from './client-key.ts'
import type { DemoTool } from './mcp-tools.ts'

export const USER_PORTAL = 'errand-user-portal'
export const ORCHESTRATOR_APP = 'report-app'
export const ISSUER_SLUG = 'corp'

export interface DemoServer {
  readonly id: string
  readonly url: string
  readonly key: ClientKey
  readonly tools: readonly DemoTool[]
}

export interface DemoCast {
  readonly identityProvider: { readonly issuer: string; readonly jwksUri: string }
  readonly orchestrator: ClientKey
  readonly subAgent: ClientKey
  readonly warehouse: DemoServer
  readonly slack: DemoServer
}

export function demoPolicy(cast: DemoCast): string {
  const { identityProvider, orchestrator, subAgent, warehouse, slack } = cast
  const document = {
    issuers: [
      {
        issuer: identityProvider.issuer,
        slug: ISSUER_SLUG,
        jwks_uri: identityProvider.jwksUri,
        algorithms: ['RS256'],
        accepts: { id_token: true },
        user_audience: USER_PORTAL,
      },
    ],
    users: [{ issuer: ISSUER_SLUG, sub: 'alice', groups: ['finance'] }],
    services: [service(warehouse.key), service(slack.key)],
    resources: [resource(warehouse), resource(slack)],
    agents: [
      {
        ...agent(orchestrator),
        manifest: [
          { server: warehouse.id, category: 'read' },
          { server: slack.id, tool: 'post_message' },
        ],
        delegates: [subAgent.clientId],
        upstream: { [ISSUER_SLUG]: ORCHESTRATOR_APP },
      },
      { ...agent(subAgent), manifest: [{ server: warehouse.id, tool: 'query' }] },
    ],
    grants: [
      {
        id: 'finance-reads-and-posts',
        effect: 'allow',
        principals: [{ group: 'finance' }],
        resources: [
          { server: warehouse.id, category: 'read' },
          { server: slack.id, tool: 'post_message' },
        ],
        reason: 'Finance reads the warehouse and posts to Slack',
      },
    ],
  }
  return JSON.stringify(document, undefined, 2)
}

function service({ clientId, registered }: ClientKey) {
  return {
    client_id: clientId,
    keys: [registered],
    grant_types: ['client_credentials'],
    api_scopes: ['evaluate'],
  }
}

function agent({ clientId, registered }: ClientKey) {
  return {
    client_id: clientId,
    owner: 'alice@corp.example',
    environment: 'development',
    keys: [registered],
    grant_types: ['token-exchange'],
  }
}

function resource({ id, url, key, tools }: DemoServer) {
  return {
    id,
    url,
    owner: 'data-team',
    server_client: key.clientId,
    enforces: 'arguments',
    tools: Object.fromEntries(tools.map(({ name, category, scope }) => [name, { category, scope }])),
  }
}
