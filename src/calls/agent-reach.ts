/**
 * What one agent could be given at this moment, by itself or for one user: every tool of every server that its manifest touches,
 * each with what is left of it, or with the first layer that refuses it. It is the decision itself that is asked, server by
 * server and for everything there, so that nothing here can differ from what an exchange would be answered.
 *
 * Does not say: what a sign-in whose risk is named, a container, a delegation or a session's intent would change. An external
 * policy is not asked.
 */
import { encodeToolConstraints } from '../authority/constraints.ts'
import { agentPrincipal, type DecisionId, userPrincipal } from '../kernel/ids.ts'
import { Rejection, type RejectionReason } from '../kernel/rejection.ts'
import { inSlices, type Sliced } from '../kernel/slices.ts'
import { parseUserPrincipal } from '../kernel/user-name.ts'
import type { Agent } from '../model/client.ts'
import type { Question } from '../model/decision.ts'
import { findUser } from '../model/find-user.ts'
import type { User } from '../model/issuer.ts'
import type { Registry } from '../model/registry.ts'
import type { Resource } from '../model/resource.ts'
import { deliberate } from '../policy/decide.ts'
import { refusal } from '../policy/judgement.ts'
import { selects } from '../policy/selector.ts'
import { GRANT_TYPE, type GrantType } from '../protocol/oauth.ts'
import { scopeSet } from '../protocol/scope.ts'
import { blockOn } from '../sessions/liveness.ts'
import type { EvaluationParts } from './service-call.ts'

export interface AgentReach {
  readonly agent: string
  readonly owner: string
  readonly state: string
  /** `user:…`, or the agent itself. */
  readonly on_behalf_of: string
  /** Version of the policy. */
  readonly policy: string
  readonly at: string
  /** What stands in the way of all of it, whatever the policy gives. */
  readonly stopped: readonly Stop[]
  readonly servers: readonly ServerReach[]
  /** How many servers its manifest does not touch. */
  readonly servers_beyond_manifest: number
  readonly external_policy: 'none' | 'not_asked'
}

interface Stop {
  readonly reason: RejectionReason
  readonly says: string
}

interface ServerReach {
  readonly server: string
  readonly url: string
  /** Slug of whose tokens it takes: for it there are ID-JAGs only. */
  readonly authorization_server?: string
  /** When a grant ends, or a deny begins. */
  readonly until?: string
  readonly scope: string
  readonly tools: readonly { readonly tool: string; readonly constraints?: object }[]
  readonly refused: readonly { readonly tool: string; readonly layer: string; readonly says: string }[]
}

type Parts = Pick<EvaluationParts, 'settings' | 'registries' | 'cutoffs' | 'clock' | 'external' | 'orphans'>

/**
 * @param user `user:<issuer slug>:<sub>`; `undefined`: the agent's own work
 * @throws Rejection `not_found`, `cutoffs_stale`
 */
export async function agentReach(id: string, user: string | undefined, parts: Parts): Promise<AgentReach> {
  const registry = parts.registries.current
  const agent = registry.client(id)
  if (agent?.kind !== 'agent') throw new Rejection('not_found', 'there is no such agent')
  const known = user === undefined ? undefined : userNamed(user, registry)
  parts.cutoffs.assertFresh()
  const asks = asksOf(agent, known, parts)
  const touched = registry.resources.filter((resource) => isTouched(resource, agent))
  return {
    agent: agent.clientId,
    owner: agent.owner,
    state: agent.state,
    on_behalf_of: asks.subject,
    policy: registry.version,
    at: isoTime(asks.now),
    stopped: stops(agent, asks, parts),
    servers: await inSlices(reachOf(registry, touched, asks)),
    servers_beyond_manifest: registry.resources.length - touched.length,
    external_policy: parts.external === undefined ? 'none' : 'not_asked',
  }
}

type Asks = Omit<Question, 'asked' | 'target'>

function asksOf(agent: Agent, user: User | undefined, { settings, clock }: Parts): Asks {
  return {
    id: 'dec_reach' as DecisionId, // Named in no record: this question grants nothing.
    now: Math.floor(clock.nowMs() / 1000),
    environment: settings.environment,
    agent,
    chain: [],
    services: [],
    subject: user === undefined ? agentPrincipal(agent.clientId) : userPrincipal(user.issuerSlug, user.sub),
    user,
    risk: undefined,
    askedExplicitly: false,
    parent: undefined,
    ceiling: undefined,
    contracted: false,
    container: undefined,
    external: { kind: 'none' },
    atCall: false,
  }
}

/** @throws Rejection `not_found`, `parameter_malformed` */
function userNamed(text: string, registry: Registry): User {
  const name = parseUserPrincipal(text)
  if (name === undefined) {
    throw new Rejection('parameter_malformed', 'user must be user:<issuer slug>:<sub>, for example user:corp:alice')
  }
  const user = findUser(registry, name)
  if (user !== undefined) return user
  throw new Rejection(
    'not_found',
    'there is no such user: not listed, and no issuer of that slug vouches for its users',
  )
}

function isTouched(resource: Resource, { manifest }: Agent): boolean {
  return [...resource.tools.values()].some((tool) => manifest.some(({ selector }) => selects(selector, resource, tool)))
}

function* reachOf(registry: Registry, resources: readonly Resource[], asks: Asks): Sliced<readonly ServerReach[]> {
  const found: ServerReach[] = []
  for (const resource of resources) {
    found.push(reachAt(registry, resource, asks))
    yield
  }
  return found
}

/** Everything there at once: what a server that checks scopes can be held to depends on all the tools of a scope. */
function reachAt(registry: Registry, resource: Resource, asks: Asks): ServerReach {
  const { id: server, url, authorizationServer } = resource
  const scopes = scopeSet([...resource.tools.values()].map(({ scope }) => scope))
  const tools = new Map([...resource.tools.keys()].map((name) => [name, new Map()]))
  const asked = {
    resources: new Map([[url, { scopes, tools, limits: {} }]]),
    notAfter: Number.MAX_SAFE_INTEGER,
    maxDepth: 0,
  }
  const { decision, judgements } = deliberate(registry, { ...asks, asked, target: url })
  const given = decision.outcome === 'allow' ? decision.effective.resources.get(url) : undefined
  const until = decision.outcome === 'allow' ? decision.effective.notAfter : asked.notAfter
  return {
    server,
    url,
    ...(authorizationServer === undefined ? {} : { authorization_server: authorizationServer }),
    ...(until === asked.notAfter ? {} : { until: isoTime(until) }),
    scope: given?.scopes.join(' ') ?? '',
    tools: [...(given?.tools ?? [])].map(([tool, constraints]) =>
      constraints.size === 0 ? { tool } : { tool, constraints: encodeToolConstraints(constraints) },
    ),
    refused: judgements.flatMap((judgement) => {
      if (given?.tools.has(judgement.asked.name) === true) return []
      const { layer = 'deny_grants', cause = 'nothing is left of it' } = refusal(judgement) ?? {}
      return [{ tool: judgement.asked.name, layer, says: cause }]
    }),
  }
}

/** What no grant changes, and every exchange would be refused for. */
function stops(
  agent: Agent,
  { subject, user, now }: Asks,
  { settings, cutoffs, clock, orphans }: Parts,
): readonly Stop[] {
  const found: Stop[] = []
  const whose = { subject, agents: [agent.clientId], versions: [], resource: undefined }
  const block = blockOn({ ...whose, signedInAt: undefined }, cutoffs, clock.nowMs())
  if (block !== undefined) {
    const says =
      block.newerThanS === undefined
        ? 'blocked until an operator lifts the block: see errand blocks, errand lift'
        : 'revoked: only a sign-in later than that counts'
    found.push({ reason: 'principal_blocked', says })
  }
  const { certifiedUntil } = agent
  if (settings.suspendOverdue && !(certifiedUntil !== undefined && now < certifiedUntil)) {
    found.push({ reason: 'certification_overdue', says: 'its certified_until has passed, or it has none' })
  }
  const orphanedAt = orphans.since(agent.clientId)
  if (orphanedAt !== undefined && now >= Math.floor(orphanedAt / 1000) + settings.orphanGraceSeconds) {
    found.push({ reason: 'agent_orphaned', says: 'its owner has left: give it another' })
  }
  const wanted = user === undefined ? ownGrantTypes(agent) : [GRANT_TYPE.tokenExchange, GRANT_TYPE.jwtBearer]
  if (!agent.grantTypes.some((type) => wanted.includes(type))) {
    const work = user === undefined ? 'work of its own' : 'a user’s work'
    found.push({ reason: 'grant_type_not_allowed', says: `none of its grant_types is one for ${work}` })
  }
  return found
}

/** A workload's own token is a subject, too. */
function ownGrantTypes({ workloads, spiffeIds }: Agent): readonly GrantType[] {
  return workloads.length + spiffeIds.length === 0 ? [GRANT_TYPE.clientCredentials] : Object.values(GRANT_TYPE)
}

function isoTime(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString().replace('.000Z', 'Z')
}
