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
import type { Decision, Denial, Layer, Question } from '../model/decision.ts'
import { mayIssue } from '../model/lifecycle.ts'
import type { Grant, Registry } from '../model/registry.ts'
import { whyNotIssuedFor } from '../model/resource.ts'
import { scopeSet } from '../protocol/scope.ts'
import { principalsOf } from './grant-index.ts'
import { type Judgement, judgeAll, layerVerdicts, leastLimits, refusal } from './judgement.ts'
import { type AskedTool, allowsInForce, type Context, denialsAhead } from './layers.ts'

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
  const lost = judgements.flatMap(lostOf)
  const denied = denialOf(question, judgements, lost, effective)
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
    missing: missingLines(lost),
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
    if (constraints === undefined || asked.tool === undefined) continue
    const { url, name, tool } = asked
    const there: Remainder = byResource.get(url) ?? { scopes: [], tools: new Map() }
    byResource.set(url, there)
    there.scopes.push(tool.scope)
    there.tools.set(name, constraints)
    // What a grant with an end allowed must not outlive the grant.
    for (const { when } of allowsInForce(context, asked, context.principals.user)) {
      if (when.notAfter !== undefined) ends.push(when.notAfter)
    }
    // Nor may an access token outlive the moment a deny against it begins: nobody asks again before it ends. A session does.
    if (url === question.target) ends.push(...denialsAhead(context, asked))
  }
  const resources = new Map<ResourceUrl, ResourceAuthority>()
  for (const [url, { scopes, tools }] of byResource) {
    resources.set(url, { scopes: scopeSet(scopes), tools, limits: leastLimits(question, url) })
  }
  return { resources, notAfter: Math.min(...ends), maxDepth: Math.min(...bounds.map(({ maxDepth }) => maxDepth)) }
}

/** A tool that was asked for and is not given: which layer refuses it first, and why. */
interface Lost {
  readonly asked: AskedTool
  readonly layer: Layer
  readonly cause: string
}

function lostOf(judgement: Judgement): readonly Lost[] {
  const why = refusal(judgement)
  return why === undefined ? [] : [{ asked: judgement.asked, ...why }]
}

type Refusal = Pick<Denial, 'reason' | 'description'>

/** `undefined`: something is left, where it is wanted. */
function denialOf(
  question: Question,
  judgements: readonly Judgement[],
  lost: readonly Lost[],
  effective: Authority,
): Refusal | undefined {
  // Spelled out by the request: a part that its server cannot be held to is said, not silently dropped.
  const unenforceable = question.askedExplicitly ? whyUnenforceable(lost) : undefined
  if (unenforceable !== undefined) return unenforceable
  const { target, now } = question
  const somethingLeft = target === undefined ? effective.resources.size > 0 : effective.resources.has(target)
  // Written so that a time that is not a number denies.
  if (somethingLeft && effective.notAfter > now) return undefined
  return whyNothing(
    question,
    target === undefined ? judgements : judgements.filter(({ asked }) => asked.url === target),
  )
}

/** @param concerned those at the target, where there is one */
function whyNothing(question: Question, concerned: readonly Judgement[]): Refusal {
  const { agent, user, subject, target, environment, external } = question
  const who = `agent ${agent.clientId}`
  if (!mayIssue(agent.state, environment)) return refused('agent_inactive', `${who} is ${agent.state}`)
  if (user !== undefined && !user.active) return refused('user_inactive', `${subject} is not active`)
  if (target !== undefined && concerned.length === 0) {
    return refused('resource_not_in_session', `nothing was asked for at ${target}`)
  }
  const lost = concerned.flatMap(lostOf)
  const why = whyNoResource(concerned, environment) ?? whyUnenforceable(lost)
  if (why !== undefined) return why
  if (external.kind === 'failed' && lost.some(({ layer }) => layer === 'external')) {
    return refused('external_policy_unavailable', external.cause)
  }
  const where = target === undefined ? '' : ` at ${target}`
  return refused('nothing_granted', `nothing that was asked for${where} is granted to ${who} acting for ${subject}`)
}

const UNKNOWN = { reason: 'resource_unknown', says: 'not registered' } as const

/** `undefined`: not because of its resource is each of them refused. Of one that is known there is more to say. */
function whyNoResource(concerned: readonly Judgement[], environment: string): Refusal | undefined {
  const whys = concerned.map(({ asked: { resource } }) =>
    resource === undefined ? UNKNOWN : whyNotIssuedFor(resource, environment),
  )
  if (whys.includes(undefined)) return undefined
  const why = whys.find((one) => one !== UNKNOWN) ?? whys[0]
  return why && refused(why.reason, `the resource is ${why.says}`)
}

function whyUnenforceable(lost: readonly Lost[]): Refusal | undefined {
  const first = lost.find(({ layer }) => layer === 'enforcement')
  return first && refused('resource_cannot_enforce', missingLine(first))
}

function refused(reason: RejectionReason, description: string): Refusal {
  return { reason, description }
}

/** One line for each tool asked for and not given, so far as there is room; the last says how many more. */
function missingLines(lost: readonly Lost[]): readonly string[] {
  const lines = lost.map(missingLine)
  if (lines.length <= MISSING_LINES_MAX) return lines
  return [...lines.slice(0, MISSING_LINES_MAX - 1), `and ${lines.length - MISSING_LINES_MAX + 1} more tools`]
}

function missingLine({ asked, cause }: Lost): string {
  return `${asked.name} at ${asked.resource?.id ?? asked.url}: ${cause}`
}
