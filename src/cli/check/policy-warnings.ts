/** What a policy says that is well-formed and probably not meant: rules that reach nothing, doors that nobody can use. */
import type { AuthorizationServer } from '../../model/authorization-server.ts'
import type { Agent } from '../../model/client.ts'
import { mayIssue } from '../../model/lifecycle.ts'
import { parseOwner } from '../../model/owner.ts'
import type { Grant, Registry } from '../../model/registry.ts'
import { believedSecondsMax, type Resource, type Tool } from '../../model/resource.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import { beyondOwners } from '../../policy/beyond-owner.ts'
import { GrantedTools } from '../../policy/dead-grants.ts'
import { selects } from '../../policy/selector.ts'
import { ToolReach } from '../../policy/tool-reach.ts'
import { GRANT_TYPE } from '../../protocol/oauth.ts'

export function policyWarnings(registry: Registry, settings: BrokerSettings): readonly string[] {
  const reached = new ToolReach(registry.resources)
  const granted = new GrantedTools(
    registry.grants.filter(({ effect }) => effect === 'allow'),
    reached,
  )
  return [
    ...registry.issuers.flatMap((issuer) => issuerWarnings(issuer)),
    ...registry.authorizationServers.flatMap((server) => serverWarnings(server, registry)),
    ...registry.resources.flatMap((resource) => resourceWarnings(resource, registry)),
    ...registry.agents.flatMap((agent) => agentWarnings(agent, registry, settings, granted)),
    ...registry.grants.flatMap((grant) => grantWarnings(grant, reached)),
    ...beyondOwners(registry).beyond.map(
      ({ agent: { clientId, owner } }) =>
        `agent ${clientId}: its manifest goes beyond its owner ${owner}, and no new agent may; errand policy check says where`,
    ),
  ]
}

function issuerWarnings({
  slug,
  acceptsIdTokens,
  accessTokenScope,
  idJagScope,
  userAudience,
}: Registry['issuers'][number]): string[] {
  const warnings: string[] = []
  if (!acceptsIdTokens && accessTokenScope === undefined && idJagScope === undefined) {
    warnings.push(`issuer ${slug}: none of its tokens is accepted as evidence; say which under accepts`)
  }
  if (userAudience === undefined) {
    warnings.push(`issuer ${slug}: its users cannot see or revoke their sessions here; set user_audience`)
  }
  return warnings
}

function resourceWarnings(resource: Resource, registry: Registry): string[] {
  const name = `resource ${resource.id}`
  const tools = [...resource.tools.values()]
  if (tools.length === 0) return [`${name}: has no tools, so no token can be for it`]
  const warnings: string[] = []
  if (!tools.some((tool) => tool.delegable)) warnings.push(`${name}: none of its tools may be delegated to agents`)
  else if (!registry.agents.some((agent) => reach(agent, resource).length > 0)) {
    warnings.push(`${name}: no agent's manifest reaches a tool of it that may be delegated`)
  }
  const isOurs = resource.authorizationServer === undefined
  if (isOurs && resource.enforces !== 'scope' && resource.serverClient === undefined) {
    warnings.push(`${name}: has no server_client, so its verifier cannot ask whether a token still lives`)
  }
  if (isOurs && resource.revocationCheck === 'offline' && tools.some(isDangerous)) {
    const seconds = believedSecondsMax(resource)
    warnings.push(
      `${name}: has dangerous tools for agents and asks nobody whether a token was revoked, so believes one for up to ${seconds} s; let it follow the feed or introspect, and say so in revocation_check`,
    )
  }
  warnings.push(...followingWarnings(resource, registry).map((says) => `${name}: ${says}`))
  warnings.push(...askingWarnings(resource, registry).map((says) => `${name}: ${says}`))
  warnings.push(...approvalWarnings(resource).map((says) => `${name}: ${says}`))
  return warnings
}

/** What its entry says of the feed, and what its server_client may do, say the same. */
function followingWarnings({ revocationCheck, serverClient }: Resource, registry: Registry): readonly string[] {
  const client = serverClient === undefined ? undefined : registry.client(serverClient)
  if (client === undefined) return []
  const may = client.apiScopes.includes('revocations') && client.grantTypes.includes(GRANT_TYPE.clientCredentials)
  if (revocationCheck === 'feed' && !may) {
    return [
      `revocation_check says feed, and its server_client ${serverClient} may not follow: that takes client_credentials among its grant_types, revocations among its api_scopes`,
    ]
  }
  if (revocationCheck === 'offline' && may) {
    return [
      `its server_client ${serverClient} may follow the revocations; if it does, say revocation_check: feed, else every revoke reports that it hears of nothing`,
    ]
  }
  return []
}

/** A server that is said to ask before each call, and cannot, refuses every one. */
function askingWarnings({ enforces, serverClient }: Resource, registry: Registry): readonly string[] {
  if (enforces !== 'calls') return []
  if (serverClient === undefined) return ['enforces calls and has no server_client, so nobody may ask about its calls']
  const client = registry.client(serverClient)
  const may = client?.apiScopes.includes('evaluate') && client.grantTypes.includes(GRANT_TYPE.clientCredentials)
  if (may === true) return []
  return [
    `enforces calls, and its server_client ${serverClient} may not ask: that takes client_credentials among its grant_types, evaluate among its api_scopes`,
  ]
}

/** Tools for agents that nobody is asked about before they do what cannot be undone. */
function approvalWarnings({ enforces, tools, authorizationServer }: Resource): readonly string[] {
  if (enforces === 'calls' || authorizationServer !== undefined) return []
  const given = [...tools.values()].filter(({ delegable }) => delegable)
  const named = (some: readonly Tool[]) => some.map(({ name }) => name).join(', ')
  const unasked = given.filter(({ category, approval }) => category === 'destructive' && approval === 'none')
  const required = given.filter(({ approval }) => approval === 'required')
  return [
    ...(unasked.length === 0
      ? []
      : [
          `${named(unasked)}: destructive, for agents, and no person approves a call of it, since the server does not ask before each call (enforces: calls)`,
        ]),
    ...(required.length === 0
      ? []
      : [
          `${named(required)}: approval: required, and the server does not ask before each call (enforces: calls), so nobody is granted it`,
        ]),
  ]
}

const isDangerous = ({ category, delegable }: Tool) => delegable && category !== 'read' && category !== 'write'

function agentWarnings(agent: Agent, registry: Registry, settings: BrokerSettings, granted: GrantedTools): string[] {
  const name = `agent ${agent.clientId}`
  if (!mayIssue(agent.state, settings.environment)) return []
  const warnings: string[] = []
  if (agent.environment !== settings.environment) {
    warnings.push(
      `${name}: belongs to environment ${agent.environment}; this broker is ${settings.environment} and refuses it`,
    )
  }
  const { keys, keySets, secrets, spiffeIds, workloads } = agent
  if ([keys, keySets, secrets, spiffeIds, workloads].every((credentials) => credentials.length === 0))
    warnings.push(`${name}: has no key to authenticate with`)
  if (agent.grantTypes.length === 0) warnings.push(`${name}: has no grant_types, so it can ask for nothing`)
  if (!registry.resources.some((resource) => reach(agent, resource).length > 0))
    return [...warnings, `${name}: its manifest reaches no tool that may be delegated`]
  const isApproved = registry.resources.some((resource) =>
    reach(agent, resource).some(({ approval }) => approval === 'required' && resource.enforces === 'calls'),
  )
  if (isApproved && parseOwner(agent.owner).kind === 'team') {
    warnings.push(
      `${name}: some of its tools need a person's approval, and its owner ${agent.owner} is a team by name: nobody can tell who else may give one; name a user or a group`,
    )
  }
  // With the token of its workload an agent asks for itself, by either grant type.
  const asksForItself = workloads.length > 0
  const bringsAssertions = agent.grantTypes.includes(GRANT_TYPE.jwtBearer) && !asksForItself
  if (bringsAssertions && !registry.issuers.some(({ idJagScope }) => idJagScope !== undefined)) {
    warnings.push(`${name}: may use jwt-bearer, but no issuer accepts id_jag`)
  }
  const isForUsers = worksForUsers(agent)
  if (isForUsers && !granted.meets(agent)) {
    warnings.push(`${name}: no grant allows any user a tool of its manifest, so it can work for nobody`)
  }
  const comesFrom =
    agent.upstreamClientIds.size > 0 || registry.agents.some((other) => other.delegates.includes(agent.clientId))
  if (isForUsers && !comesFrom && !agent.grantTypes.includes(GRANT_TYPE.clientCredentials)) {
    warnings.push(`${name}: has no client id at any issuer (upstream), and no agent may delegate to it`)
  }
  return warnings
}

function serverWarnings({ slug, clientIds }: AuthorizationServer, { resources }: Registry): string[] {
  const name = `authorization server ${slug}`
  if (clientIds.size === 0) return [`${name}: no agent has a client id there, so none gets an ID-JAG for it`]
  return resources.some(({ authorizationServer }) => authorizationServer === slug)
    ? []
    : [`${name}: no resource takes its tokens, so there is nothing to get an ID-JAG for`]
}

function grantWarnings({ id, resources }: Grant, reached: ToolReach): string[] {
  return resources.some((selector) => reached.of(selector).length > 0)
    ? []
    : [`grant ${id}: matches no tool of any resource`]
}

/** Tools of the resource that the agent's manifest contains and that may be delegated at all. */
function reach(agent: Agent, resource: Resource): readonly Tool[] {
  return [...resource.tools.values()].filter(
    (tool) => tool.delegable && agent.manifest.some(({ selector }) => selects(selector, resource, tool)),
  )
}

/** With the token of its workload an agent asks for itself, by either grant type. */
export function worksForUsers({ grantTypes, workloads }: Agent): boolean {
  return grantTypes.includes(GRANT_TYPE.tokenExchange) && workloads.length === 0
}
