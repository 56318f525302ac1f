/**
 * The one authorization decision (DESIGN §6): deny wins, and every layer must say yes. Pure: the same question to the same
 * registry always has the same answer, and a denial is data.
 *
 * Guarantees: what is granted is never more than what was asked, than the authority above, or than what the session is for;
 * each of its tools was let through by every layer, under the constraints of all of them together; it is never empty.
 */
import type { Authority, ResourceAuthority, ToolConstraints } from '../authority/authority.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { MISSING_LINES_MAX } from '../kernel/limits.ts'
import type { RejectionReason } from '../kernel/rejection.ts'
import type { Decision, Denial, Question } from '../model/decision.ts'
import { mayIssue } from '../model/lifecycle.ts'
import type { Grant, Registry } from '../model/registry.ts'
import { whyNotIssuedFor } from '../model/resource.ts'
import { scopeSet } from '../protocol/scope.ts'
import { principalsOf } from './grant-index.ts'
import { type Judgement, judgeAll, layerVerdicts, leastLimits, refusal } from './judgement.ts'
import { allowsInForce, type Context, denialsAhead } from './layers.ts'

/** A decision, and what each layer said of each tool that was asked for. */
export interface Deliberation {
  readonly decision: Decision
  readonly judgements: readonly Judgement[]
}

export function decide(registry: Registry, question: Question): Decision {
  return deliberate(registry, question).decision
}

export function deliberate(registry: Registry, question: Question): Deliberation {
  const principals = principalsOf(question)
  const context: Context = { registry, question, principals, evaluated: new Set<Grant>(), matched: new Set<Grant>() }
  const judgements = judgeAll(context)
  const effective = effectiveAuthority(context, judgements)
  const denied = denialOf(question, judgements, effective)
  const record = {
    id: question.id,
    policyVersion: registry.version,
    layers: layerVerdicts(judgements),
    grantsEvaluated: context.evaluated.size,
    // Sorted: the record must not depend on the order of the file.
    grantsMatched: [...context.matched]
      .map(({ id }) => id)
      .sort()
      .slice(0, MISSING_LINES_MAX),
    missing: missingLines(judgements),
  }
  const decision: Decision =
    denied === undefined ? { ...record, outcome: 'allow', effective } : { ...record, outcome: 'deny', ...denied }
  return { decision, judgements }
}

interface Remainder {
  readonly scopes: string[]
  readonly tools: Map<string, ToolConstraints>
}

function effectiveAuthority(context: Context, judgements: readonly Judgement[]): Authority {
  const { question } = context
  const bounds = [question.asked, question.parent, question.ceiling].filter((authority) => authority !== undefined)
  const ends = bounds.map(({ notAfter }) => notAfter)
  const byResource = new Map<ResourceUrl, Remainder>()
  for (const { asked, constraints } of judgements) {
    const { url, name, resource, tool, place } = asked
    if (constraints === undefined || resource === undefined || tool === undefined) continue
    const there: Remainder = byResource.get(url) ?? { scopes: [], tools: new Map() }
    byResource.set(url, there)
    const use = { resource, tool, place }
    there.scopes.push(tool.scope)
    there.tools.set(name, constraints)
    // What a grant with an end allowed must not outlive the grant.
    for (const { when } of allowsInForce(context, use, context.principals.user)) {
      if (when.notAfter !== undefined) ends.push(when.notAfter)
    }
    // Nor may an access token outlive the moment a deny against it begins: nobody asks again before it ends. A session does.
    if (url === question.target) ends.push(...denialsAhead(context, use))
  }
  const resources = new Map<ResourceUrl, ResourceAuthority>()
  for (const [url, { scopes, tools }] of byResource) {
    resources.set(url, { scopes: scopeSet(scopes), tools, limits: leastLimits(question, url) })
  }
  return { resources, notAfter: Math.min(...ends), maxDepth: Math.min(...bounds.map(({ maxDepth }) => maxDepth)) }
}

type Refusal = Pick<Denial, 'reason' | 'description'>

/** `undefined`: something is left, where it is wanted. */
function denialOf(question: Question, judgements: readonly Judgement[], effective: Authority): Refusal | undefined {
  // Spelled out by the request: a part that its server cannot be held to is said, not silently dropped.
  if (question.askedExplicitly && judgements.some(isUnenforceable)) return cannotEnforce(judgements)
  const { target, now } = question
  const somethingLeft = target === undefined ? effective.resources.size > 0 : effective.resources.has(target)
  // Written so that a time that is not a number denies.
  if (somethingLeft && effective.notAfter > now) return undefined
  return whyNothing(question, judgements)
}

function whyNothing(
  { agent, user, subject, target, environment, external }: Question,
  judgements: readonly Judgement[],
): Refusal {
  const who = `agent ${agent.clientId}`
  if (!mayIssue(agent.state, environment)) return refused('agent_inactive', `${who} is ${agent.state}`)
  if (user !== undefined && !user.active) return refused('user_inactive', `${subject} is not active`)
  const concerned = target === undefined ? judgements : judgements.filter(({ asked }) => asked.url === target)
  if (target !== undefined && concerned.length === 0) {
    return refused('resource_not_in_session', `nothing was asked for at ${target}`)
  }
  if (concerned.length > 0 && concerned.every((judgement) => refusal(judgement)?.layer === 'resource')) {
    const [known] = concerned.flatMap(({ asked }) => asked.resource ?? [])
    if (known === undefined) return refused('resource_unknown', 'the resource is not registered')
    const { reason, says } = whyNotIssuedFor(known, environment) ?? { reason: 'resource_inactive', says: 'not active' }
    return refused(reason, `the resource is ${says}`)
  }
  if (concerned.some(isUnenforceable)) return cannotEnforce(concerned)
  if (external.kind === 'failed' && concerned.some((judgement) => refusal(judgement)?.layer === 'external')) {
    return refused('external_policy_unavailable', external.cause)
  }
  const where = target === undefined ? '' : ` at ${target}`
  return refused('nothing_granted', `nothing that was asked for${where} is granted to ${who} acting for ${subject}`)
}

function cannotEnforce(judgements: readonly Judgement[]): Refusal {
  const first = judgements.find(isUnenforceable)
  const what = first === undefined ? 'a resource cannot enforce what was asked for' : missingLine(first)
  return refused('resource_cannot_enforce', what)
}

function refused(reason: RejectionReason, description: string): Refusal {
  return { reason, description }
}

function isUnenforceable(judgement: Judgement): boolean {
  const verdict = judgement.verdicts.enforcement
  return verdict !== undefined && 'cause' in verdict
}

/** One line for each tool asked for and not given, so far as there is room; the last says how many more. */
function missingLines(judgements: readonly Judgement[]): readonly string[] {
  const lines = judgements.filter(({ constraints }) => constraints === undefined).map(missingLine)
  if (lines.length <= MISSING_LINES_MAX) return lines
  return [...lines.slice(0, MISSING_LINES_MAX - 1), `and ${lines.length - MISSING_LINES_MAX + 1} more tools`]
}

function missingLine(judgement: Judgement): string {
  const { name, resource, url } = judgement.asked
  return `${name} at ${resource?.id ?? url}: ${refusal(judgement)?.cause ?? 'nothing is left of it'}`
}
