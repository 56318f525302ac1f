/**
 * The architecture on one page, from live state: which MCP servers there are and who answers for them, what may be done
 * there, who reaches them, whose identity flows through, and whether the record can say who authorised a call. Pure.
 */

import { getOrInsertComputed } from '../../kernel/maps.ts'
import { timeText } from '../../kernel/time-text.ts'
import type { Agent, Client } from '../../model/client.ts'
import type { Issuer } from '../../model/issuer.ts'
import { ownerStanding } from '../../model/owner.ts'
import type { Registry } from '../../model/registry.ts'
import { believedSecondsMax, type Resource, type ToolCategory } from '../../model/resource.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import { ToolReach } from '../../policy/tool-reach.ts'
import { CLIENT_AUTH_METHOD, GRANT_TYPE } from '../../protocol/oauth.ts'
import { inSlices } from './in-slices.ts'
import { type Reach, reachOf } from './server-reach.ts'

export interface ArchitectureInput {
  readonly registry: Registry
  readonly settings: BrokerSettings
  /** Epoch seconds. */
  readonly now: number
}

export type Architecture = Awaited<ReturnType<typeof architecture>>

export async function architecture({ registry, settings, now }: ArchitectureInput) {
  const reach = await reachOf(registry, new ToolReach(registry.resources))
  const above = delegators(registry.agents)
  const identities = new Map<string, AgentIdentities>()
  await inSlices(registry.agents, (agent) => {
    const passedOnBy = above.get(agent.clientId) ?? []
    identities.set(agent.clientId, { own: identitiesOf(agent, registry), passedOnBy })
  })
  return {
    at: timeText(now),
    issuer: settings.issuer,
    environment: settings.environment,
    policy: registry.version,
    tokens: {
      access_token_seconds: settings.accessTokenSeconds,
      session_seconds: settings.sessionSeconds,
      max_chain_depth: settings.maxChainDepth,
      strictly_narrower: settings.strictlyNarrower,
    },
    servers: registry.resources.map((resource) => serverFacts(resource, registry, { ...reach, identities })),
    agents: registry.agents.map((agent) => agentFacts(agent, registry, identities)),
    identities: identitySources(registry),
  }
}

function serverFacts(resource: Resource, registry: Registry, reach: Reach & { identities: Identities }) {
  const agents = reach.agents.get(resource.id) ?? []
  const flows = agents.flatMap((agent) => reach.identities.get(agent)?.own ?? [])
  // A person's data is for no agent's own work.
  const isPersonal = resource.mode === 'personal'
  return {
    id: resource.id,
    url: resource.url as string,
    ...ownerFacts(registry, resource.owner),
    project: resource.project,
    state: resource.state,
    exposure: resource.exposure,
    mode: resource.mode,
    ...certified(resource),
    scopes: scopeFacts(resource),
    enforces: resource.enforces,
    sender_constraint: resource.senderConstraint,
    revocation_check: resource.revocationCheck,
    revoked_believed_seconds: believedSecondsMax(resource),
    tokens_by: resource.authorizationServer ?? 'errand',
    token_seconds: resource.accessTokenLifetimeSeconds,
    ...(resource.serverClient === undefined ? {} : { server_client: resource.serverClient as string }),
    agents,
    granted_to: reach.people.get(resource.id) ?? [],
    identity_flows: [...new Set(flows)].filter((flow) => !isPersonal || flow !== BY_ITSELF).sort(),
  }
}

/** By scope: what it opens, by category, and how much of that agents may hold at all. */
function scopeFacts({ tools }: Resource) {
  return [...Map.groupBy(tools.values(), ({ scope }) => scope)].map(([scope, opened]) => {
    const categories: Partial<Record<ToolCategory, number>> = {}
    for (const { category } of opened) categories[category] = (categories[category] ?? 0) + 1
    return { scope, tools: categories, for_agents: opened.filter(({ delegable }) => delegable).length }
  })
}

function agentFacts(agent: Agent, registry: Registry, identities: Identities) {
  return {
    id: agent.clientId as string,
    ...ownerFacts(registry, agent.owner),
    state: agent.state,
    environment: agent.environment,
    ...certified(agent),
    credentials: credentialsOf(agent),
    identity_flows: identities.get(agent.clientId)?.own ?? [],
    works_on_from: identities.get(agent.clientId)?.passedOnBy ?? [],
    passes_on_to: agent.delegates as readonly string[],
  }
}

function ownerFacts(registry: Registry, owner: string) {
  return { owner, owner_standing: ownerStanding(registry, owner) }
}

function certified({ certifiedUntil }: { readonly certifiedUntil: number | undefined }) {
  return certifiedUntil === undefined ? {} : { certified_until: timeText(certifiedUntil) }
}

/** By kind: how many. */
function credentialsOf(client: Client): Readonly<Record<string, number>> {
  const counts = {
    [CLIENT_AUTH_METHOD.assertion]: client.keys.length + client.keySets.length,
    [CLIENT_AUTH_METHOD.workload]: client.workloads.length,
    spiffe: client.spiffeIds.length,
    [CLIENT_AUTH_METHOD.secret]: client.secrets.length,
    [CLIENT_AUTH_METHOD.apiKey]: client.kind === 'agent' ? client.apiKeys.length : 0,
  }
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))
}

interface AgentIdentities {
  readonly own: readonly string[]
  readonly passedOnBy: readonly string[]
}
type Identities = ReadonlyMap<string, AgentIdentities>

function delegators(agents: readonly Agent[]): ReadonlyMap<string, readonly string[]> {
  const above = new Map<string, string[]>()
  for (const { clientId, delegates } of agents) {
    for (const delegate of delegates) getOrInsertComputed<string, string[]>(above, delegate, () => []).push(clientId)
  }
  return above
}

const BY_ITSELF = 'the agent itself'

/** Whose identity an agent may bring. What is passed on to it comes with whatever identity that began with. */
function identitiesOf(agent: Agent, registry: Registry): readonly string[] {
  const may = (grantType: (typeof agent.grantTypes)[number]) => agent.grantTypes.includes(grantType)
  const issuers = registry.issuers.filter(({ slug }) => agent.upstreamClientIds.has(slug))
  const signedIn = ({ acceptsIdTokens, accessTokenScope }: Issuer) => acceptsIdTokens || accessTokenScope !== undefined
  const byItself = may(GRANT_TYPE.clientCredentials) || agent.workloads.length > 0
  return [
    ...(may(GRANT_TYPE.tokenExchange) ? issuers.filter(signedIn).map(({ slug }) => `users of ${slug}`) : []),
    ...(may(GRANT_TYPE.jwtBearer)
      ? issuers.filter(({ idJagScope }) => idJagScope !== undefined).map(({ slug }) => `users of ${slug}, by ID-JAG`)
      : []),
    ...(byItself ? [BY_ITSELF] : []),
    ...new Set(agent.workloads.map(({ issuer }) => `workloads of ${issuer}`)),
    ...new Set(agent.spiffeIds.map(({ id }) => `workloads of ${new URL(id).host}`)),
  ]
}

/** Who vouches for whom. */
function identitySources({ issuers, workloadIssuers, trustDomains, authorizationServers, users }: Registry) {
  const accepts = ({ acceptsIdTokens, accessTokenScope, idJagScope }: Issuer) => [
    ...(acceptsIdTokens ? ['id_token'] : []),
    ...(accessTokenScope === undefined ? [] : [`access_token (${accessTokenScope})`]),
    ...(idJagScope === undefined ? [] : [`id_jag (${idJagScope})`]),
  ]
  const listed = (slug: string) => users.filter(({ issuerSlug, active }) => active && issuerSlug === slug).length
  return [
    ...issuers.map((issuer) => ({
      name: issuer.slug,
      vouches_for: 'users',
      at: issuer.issuer,
      accepts: accepts(issuer),
      ...(issuer.users === 'listed' ? { users: listed(issuer.slug) } : {}),
    })),
    ...workloadIssuers.map(({ slug, issuer, platform }) => ({
      name: slug,
      vouches_for: 'workloads',
      at: issuer,
      accepts: [platform],
    })),
    ...trustDomains.map(({ name }) => ({ name, vouches_for: 'workloads', at: `spiffe://${name}`, accepts: ['SVID'] })),
    ...authorizationServers.map(({ slug, issuer }) => ({
      name: slug,
      vouches_for: 'its own servers, which take ID-JAGs of this broker',
      at: issuer,
      accepts: [],
    })),
  ]
}
