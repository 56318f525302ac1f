/**
 * The review of who may what: people and agents in one report, from the registry as it is published and from what was counted
 * of its use. What counting has not seen long enough is not called unused.
 */

import { userPrincipal } from '../../kernel/ids.ts'
import { REVIEW_FINDINGS_MAX } from '../../kernel/store-limits.ts'
import { dayText, timeText } from '../../kernel/time-text.ts'
import { userName } from '../../kernel/user-name.ts'
import type { Agent } from '../../model/client.ts'
import type { User } from '../../model/issuer.ts'
import { mayIssue } from '../../model/lifecycle.ts'
import type { Orphans } from '../../model/owner.ts'
import type { Grant, Registry } from '../../model/registry.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import { ToolReach } from '../../policy/tool-reach.ts'
import type { AgentUsage } from './agent-usage.ts'
import { endingCredentials, objectOf, unusedCredentials } from './credential-findings.ts'
import type { Finding } from './finding.ts'
import { inSlices } from './in-slices.ts'
import type { LastUses } from './last-uses.ts'
import { standingFindings } from './standing-findings.ts'
import { unusedAuthority } from './unused-authority.ts'

export interface ReviewInput {
  readonly registry: Registry
  readonly settings: Pick<BrokerSettings, 'environment' | 'suspendOverdue' | 'orphanGraceSeconds'>
  readonly orphans: Orphans
  /** By client id; an agent that is missing has not been counted yet. */
  readonly usages: ReadonlyMap<string, AgentUsage>
  /** Epoch seconds. */
  readonly now: number
  readonly days: number
}

export interface Review {
  readonly at: string
  readonly days: number
  /** The longest that any use has been counted; absent: nothing has been. */
  readonly counted_since?: string
  readonly policy: string
  readonly agents: number
  readonly servers: number
  readonly users: number
  readonly attention: number
  readonly notices: number
  /** What needs attention first; then by object. */
  readonly findings: readonly Finding[]
  /** Findings beyond those: what they are about has to be mended first. */
  readonly left_out: number
}

interface Counting extends ReviewInput {
  /** What was used then or later is used. */
  readonly from: number
  readonly environment: string
  readonly reach: ToolReach
}

const DAY_S = 86_400

export async function review(input: ReviewInput): Promise<Review> {
  const { registry, usages, now, days, settings } = input
  const { environment } = settings
  const from = now - days * DAY_S
  const inService = registry.resources.filter(({ state }) => mayIssue(state, environment))
  const counting: Counting = { ...input, from, environment, reach: new ToolReach(inService) }
  const findings: Finding[] = [...standingFindings(input)]
  const note = (found: readonly Finding[]) => void findings.push(...found)
  const clients = [...registry.agents, ...registry.services].filter(({ state }) => state !== 'retired')
  await inSlices(clients, (client) => note(endingCredentials(client, now)))
  await inSlices(registry.agents, (agent) => note(useOf(agent, counting)))
  await inSlices(registry.users, userFindings(counting, note))
  await inSlices(registry.grants, grantFindings(counting, note))
  findings.sort(byUrgency)
  const since = [...usages.values()].reduce((least, usage) => Math.min(least, usage.since), Number.POSITIVE_INFINITY)
  const attention = findings.filter(({ severity }) => severity === 'attention').length
  return {
    at: timeText(now),
    days,
    ...(Number.isFinite(since) ? { counted_since: timeText(since) } : {}),
    policy: registry.version,
    agents: registry.agents.length,
    servers: registry.resources.length,
    users: registry.users.length,
    attention,
    notices: findings.length - attention,
    findings: findings.slice(0, REVIEW_FINDINGS_MAX),
    left_out: Math.max(0, findings.length - REVIEW_FINDINGS_MAX),
  }
}

function byUrgency(a: Finding, b: Finding): number {
  if (a.severity !== b.severity) return a.severity === 'attention' ? -1 : 1
  if (a.object !== b.object) return a.object < b.object ? -1 : 1
  return a.kind < b.kind ? -1 : 1
}

/** Whether, by anybody's count, something was certainly not used from `from` on. */
function unusedByAll(usages: Counting['usages'], of: (usage: AgentUsage) => LastUses, from: number) {
  const used = new Set<string>()
  let isCounted = usages.size > 0
  for (const usage of usages.values()) {
    const { at, forgotten } = of(usage).toJSON()
    for (const [name, time] of at) if (time >= from) used.add(name)
    isCounted &&= usage.since < from && forgotten < from
  }
  return (name: string) => isCounted && !used.has(name)
}

/** Those that this broker would issue something to: for others there is nothing here to use. */
function useOf(agent: Agent, { environment, usages, from, reach }: Counting): readonly Finding[] {
  const usage = usages.get(agent.clientId)
  if (usage === undefined || agent.environment !== environment || !mayIssue(agent.state, environment)) return []
  const about = { severity: 'attention', ...objectOf(agent) } as const
  if (usage.since >= from) return []
  if ((usage.seen ?? 0) < from) {
    const when = usage.seen === undefined ? `it is known, ${dayText(usage.since)}` : dayText(usage.seen)
    return [{ ...about, kind: 'agent_unused', says: `nothing was issued to it since ${when}: suspend or retire it` }]
  }
  const { unused, narrowed } = unusedAuthority(agent, usage, from, reach)
  const idle = unusedCredentials(agent, usage, from)
  if (unused.length === 0) return idle
  const count = unused.reduce((sum, { tools }) => sum + tools.length, 0)
  const says = `may use ${count} tool${count === 1 ? '' : 's'} that it has not used since ${dayText(from)}`
  return [{ ...about, kind: 'authority_unused', says, unused, narrowed_manifest: narrowed }, ...idle]
}

function userFindings({ registry, usages, from }: Counting, note: (found: readonly Finding[]) => void) {
  const named = new Set(registry.grants.filter(({ effect }) => effect === 'allow').flatMap(principalsOf))
  const isUnused = unusedByAll(usages, ({ users }) => users, from)
  return (user: User): void => {
    if (!user.active) return
    const object = userPrincipal(user.issuerSlug, user.sub)
    const about = { severity: 'notice', object } as const
    if (!namesOf(user).some((name) => named.has(name))) {
      note([{ ...about, kind: 'user_without_grants', says: 'no grant allows them anything' }])
    } else if (isUnused(object)) {
      note([{ ...about, kind: 'user_unused', says: `no agent has worked for them since ${dayText(from)}` }])
    }
  }
}

function principalsOf({ principals }: Grant): readonly string[] {
  return principals.map((principal) => JSON.stringify(principal))
}

function namesOf({ issuerSlug, sub, groups, roles }: User): readonly string[] {
  return [
    JSON.stringify({ user: userName({ issuerSlug, sub }) }),
    ...groups.map((group) => JSON.stringify({ group })),
    ...roles.map((role) => JSON.stringify({ role })),
  ]
}

/** Denies are there for what must not happen: that they matched nothing is as it should be. */
function grantFindings({ usages, from, now, environment }: Counting, note: (found: readonly Finding[]) => void) {
  const isUnused = unusedByAll(usages, ({ grants }) => grants, from)
  return ({ id, effect, when }: Grant): void => {
    const isElsewhere = when.environment !== undefined && when.environment !== environment
    const isInForce = (when.notBefore ?? 0) < from && (when.notAfter ?? Number.POSITIVE_INFINITY) > now
    if (effect === 'deny' || isElsewhere || !isInForce || !isUnused(id)) return
    const says = `no decision has needed it since ${dayText(from)}`
    note([{ kind: 'grant_unused', severity: 'notice', object: `grant:${id}`, says }])
  }
}
