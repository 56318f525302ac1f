/**
 * The company that the bench exchanges tokens for: one IdP, users in groups, agents with keys of their own, MCP servers with
 * tools, grants that allow and deny. The registry that Errand reads and the clients that the peer knows are made from it.
 */
import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'

/** What every system under test calls itself: assertions are made for this audience. */
export const ISSUER = 'https://broker.example'
export const USER_AUDIENCE = 'errand-users'

export interface CompanySize {
  readonly agents: number
  readonly users: number
  readonly resources: number
  /** Of each resource, beside the eight it always has. */
  readonly moreTools: number
}

export const USUAL_SIZE: CompanySize = { agents: 40, users: 200, resources: 12, moreTools: 0 }

export interface CompanyAgent {
  readonly clientId: string
  /** Its client id at the IdP: the audience of the ID tokens it holds. */
  readonly upstreamId: string
  readonly key: KeyPair
}

export interface KeyPair {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicJwk: JsonWebKey & { readonly kid: string; readonly alg: string; readonly use: string }
}

export interface CompanyResource {
  readonly id: string
  readonly url: string
  readonly scopes: readonly string[]
}

export interface Company {
  readonly size: CompanySize
  readonly agents: readonly CompanyAgent[]
  readonly users: readonly string[]
  readonly resources: readonly CompanyResource[]
}

const READ_TOOLS = ['query', 'list', 'get', 'search']
const WRITE_TOOLS = ['create', 'update', 'comment']
const GROUPS = 10
/** Delegations below a root: with it, a chain of five agents. */
export const HOPS_MAX = 4

export function makeCompany(size: CompanySize): Company {
  return {
    size,
    agents: numbered(size.agents, (n) => ({
      clientId: `agent-${n}`,
      upstreamId: `agent-${n}-at-idp`,
      key: keyPair(`agent-${n}-key`),
    })),
    users: numbered(size.users, (n) => `user-${n}`),
    resources: numbered(size.resources, (n) => ({
      id: `server-${n}`,
      url: `https://server-${n}.example/mcp`,
      scopes: ['mcp:tools:read', 'mcp:tools:write'],
    })),
  }
}

/** `authorization_details` of an intent for one server and a second one, with constraints. */
export function intentDetails(company: Company, resource: number, tools: number): string {
  const target = company.resources[resource % company.resources.length]
  const second = company.resources[(resource + 1) % company.resources.length]
  const more = numbered(Math.max(0, tools - 3), (n) => [`more-${n}`, { id: { prefix: 'doc-' } }] as const)
  const named = [
    ['query', { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } }],
    ['list', {}],
    ['get', { id: { prefix: 'doc-' } }],
  ] as const
  return JSON.stringify([
    {
      type: 'agent_intent',
      purpose: 'Summarise Q3 revenue and post it to #finance',
      origin: { type: 'user_request', ref: 'msg-7731' },
      expires_in: 900,
      max_depth: HOPS_MAX,
    },
    {
      type: 'mcp_tools',
      locations: [target?.url],
      tools: Object.fromEntries([...named.slice(0, tools), ...more]),
    },
    { type: 'mcp_tools', locations: [second?.url], tools: { create: { channel: { const: '#finance' }, text: {} } } },
  ])
}

/** What the holder of such an intent passes on, hop by hop: fewer rows each time, and one hop less to go. */
export function delegationDetails(company: Company, resource: number, hop: number): string {
  const target = company.resources[resource % company.resources.length]
  return JSON.stringify([
    { type: 'agent_intent', purpose: 'Find the Q3 revenue figures', max_depth: HOPS_MAX - hop },
    {
      type: 'mcp_tools',
      locations: [target?.url],
      tools: { query: { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 - 100 * hop } }, list: {} },
    },
  ])
}

/** The registry document of Errand. */
export function registryOf(company: Company, idp: string): Record<string, unknown> {
  const { agents, users, resources } = company
  return {
    issuers: [
      {
        issuer: idp,
        slug: 'corp',
        jwks_uri: `${idp}/jwks`,
        algorithms: ['ES256'],
        accepts: { id_token: true },
        user_audience: USER_AUDIENCE,
      },
    ],
    users: users.map((sub, n) => ({ issuer: 'corp', sub, groups: ['everyone', `team-${n % GROUPS}`] })),
    services: resources.map(({ id }) => ({ client_id: `${id}-client` })),
    resources: resources.map(({ id, url }, n) => ({
      id,
      url,
      owner: `team-${n % GROUPS}`,
      project: `project-${n % 4}`,
      server_client: `${id}-client`,
      enforces: 'arguments',
      tools: toolsOf(company),
    })),
    agents: agents.map(({ clientId, upstreamId, key }, n) => ({
      client_id: clientId,
      owner: `team-${n % GROUPS}`,
      environment: 'development',
      keys: [{ ...key.publicJwk, version: '1' }],
      grant_types: ['token-exchange'],
      manifest: [
        { server: '*', category: 'read' },
        { server: '*', category: 'write' },
      ],
      delegates: [`agent-${(n + 1) % agents.length}`],
      upstream: { corp: upstreamId },
    })),
    grants: grants(company),
  }
}

function toolsOf({ size }: Company): Record<string, unknown> {
  const named = (names: readonly string[], category: string) => names.map((name) => [name, { category }] as const)
  const more = numbered(size.moreTools, (n) => `more-${n}`)
  return Object.fromEntries([
    ...named([...READ_TOOLS, ...more], 'read'),
    ...named(WRITE_TOOLS, 'write'),
    ...named(['delete'], 'destructive'),
  ])
}

/** One that allows reading, one per team that lets it write, one per server that forbids its destructive tool. */
function grants({ resources }: Company): readonly unknown[] {
  return [
    {
      id: 'everyone-reads',
      effect: 'allow',
      principals: [{ group: 'everyone' }],
      resources: [{ server: '*', category: 'read' }],
      reason: 'everyone reads',
    },
    ...numbered(GROUPS, (n) => ({
      id: `team-${n}-writes`,
      effect: 'allow',
      principals: [{ group: `team-${n}` }],
      resources: [{ server: '*', category: 'write' }],
      when: { environment: 'development' },
      reason: 'teams write',
    })),
    ...resources.map(({ id }) => ({
      id: `${id}-nothing-destructive`,
      effect: 'deny',
      principals: [{ group: 'everyone' }],
      resources: [{ server: id, category: 'destructive' }],
      reason: 'agents destroy nothing',
    })),
  ]
}

export function keyPair(kid: string): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { kid, privateKey, publicJwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' } }
}

function numbered<T>(count: number, make: (n: number) => T): readonly T[] {
  return Array.from({ length: count }, (_, n) => make(n))
}
