/**
 * Grants that cannot do what they say, found without asking any question: what never matches, allows of which a deny or
 * another allow leaves nothing, and rules that others make idle. Only what is certain is reported: to take away every grant
 * and part found to be `never_matches`, `contradiction` or `shadowed` changes no decision. What is not found may still be dead.
 */
import { encodeToolConstraints, isUnconstrained } from '../authority/constraints.ts'
import { getOrInsertComputed } from '../kernel/maps.ts'
import type { Agent } from '../model/client.ts'
import { mayIssue } from '../model/lifecycle.ts'
import type { Grant, Registry } from '../model/registry.ts'
import type { Tool, ToolSelector } from '../model/resource.ts'
import type { Finding } from './finding.ts'
import { GrantComparison, type Rule } from './grant-comparison.ts'
import { borneIn, neverMatching, type Surroundings } from './never-matching.ts'
import { selectorKey, ToolReach } from './tool-reach.ts'

export interface PolicyFindings {
  readonly findings: readonly Finding[]
  /** Agents that may be issued something, for whom no user can be allowed anything, whoever the user is. */
  readonly unmetAgents: readonly Agent[]
}

export function policyFindings(registry: Registry, surroundings: Surroundings): PolicyFindings {
  const reach = new ToolReach(registry.resources)
  const borne = borneIn(registry, surroundings)
  const findings: Finding[] = []
  const rules: Rule[] = []
  for (const [position, grant] of registry.grants.entries()) {
    const never = neverMatching(grant, borne, reach, surroundings.now)
    findings.push(...never)
    const rule = ruleOf(grant, position, never, surroundings.now)
    if (rule !== undefined) rules.push(rule)
  }
  const comparison = new GrantComparison(registry, reach, rules)
  const allowing: Pick<Grant, 'principals' | 'resources'>[] = []
  for (const rule of rules) {
    const found = comparison.judge(rule)
    if (found !== undefined) findings.push(found)
    // What a shadowed one allows is allowed by the others.
    else if (rule.grant.effect === 'allow') allowing.push(rule)
  }
  const granted = new GrantedTools(allowing, reach)
  const unmetAgents = registry.agents.filter(
    (agent) => mayIssue(agent.state, surroundings.environment) && !granted.meets(agent),
  )
  return { findings, unmetAgents }
}

/** `undefined`: none of it can match, or it has a condition that is not known here, which may be what sets it apart. */
function ruleOf(grant: Grant, position: number, never: readonly Finding[], now: number): Rule | undefined {
  const { notBefore = now, notAfter = Number.POSITIVE_INFINITY, environment, ...unknown } = grant.when
  if (never.some(({ part }) => part === undefined) || Object.keys(unknown).length > 0) return undefined
  const isLeft = (member: 'principals' | 'resources') => (_: unknown, index: number) =>
    !never.some(({ part }) => part?.member === member && part.index === index)
  const principals = grant.principals.filter(isLeft('principals'))
  const resources = grant.resources.filter(isLeft('resources'))
  if (principals.length === 0 || resources.length === 0) return undefined
  return {
    grant,
    position,
    // What was is over: only from now on must another rule hold wherever this one does.
    from: Math.max(notBefore, now),
    until: notAfter,
    environment: environment ?? '',
    constraints: isUnconstrained(grant.constraints) ? '' : JSON.stringify(encodeToolConstraints(grant.constraints)),
    principals,
    resources,
  }
}

/** The tools that some allow on a user, a group or a role selects. An allow on an agent or its owner lets nobody in. */
export class GrantedTools {
  readonly #reach: ToolReach
  readonly #granted = new Set<Tool>()
  readonly #met = new Map<string, boolean>()

  constructor(allowing: readonly Pick<Grant, 'principals' | 'resources'>[], reach: ToolReach) {
    this.#reach = reach
    const people = allowing.filter(({ principals }) =>
      principals.some((one) => 'user' in one || 'group' in one || 'role' in one),
    )
    const selectors = people.flatMap(({ resources }) => resources)
    for (const selector of new Map(selectors.map((one) => [selectorKey(one), one])).values()) {
      for (const { tool } of reach.of(selector)) this.#granted.add(tool)
    }
  }

  /** Whether the agent's manifest has a tool among them that may be delegated. */
  meets({ manifest }: Agent): boolean {
    return manifest.some(({ selector }) => this.#isMet(selector))
  }

  #isMet(selector: ToolSelector): boolean {
    return getOrInsertComputed(this.#met, selectorKey(selector), () =>
      this.#reach.of(selector).some(({ tool }) => tool.delegable && this.#granted.has(tool)),
    )
  }
}
