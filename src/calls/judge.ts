/**
 * One evaluation put to the policy as it is now: who, by a live token or by name; which tool, where, with which arguments.
 *
 * Guarantees: what is not certain is no; a question reaches nothing but the caller's own servers, and nobody is looked up for
 * any other; the same engine judges arguments that judges them at a server's own verifier.
 */

import type { ToolConstraints } from '../authority/authority.ts'
import { argumentsRefusal, isUnconstrained } from '../authority/constraints.ts'
import { concerningCall } from '../authority/dimensions.ts'
import type { DecisionId } from '../kernel/ids.ts'
import { getOrInsertComputed } from '../kernel/maps.ts'
import type { RejectionReason } from '../kernel/rejection.ts'
import type { Decision, ExternalAnswer, Question } from '../model/decision.ts'
import type { Resource } from '../model/resource.ts'
import { beforeAsking } from '../net/external-policy.ts'
import { decide } from '../policy/decide.ts'
import { scopeSet } from '../protocol/scope.ts'
import { isAlive, isBlocked as isBearerBlocked, isCutOff } from '../sessions/live-access.ts'
import { blockOn } from '../sessions/liveness.ts'
import type { Evaluation } from './authzen-request.ts'
import { type Bearer, bearerOf } from './bearer.ts'
import { type Matter, matterOf } from './matter.ts'
import type { ServiceCall } from './service-call.ts'
import { agentsNamed, type Party, partyOf } from './subjects.ts'

export interface Refusal {
  readonly reason: RejectionReason | 'call_refused'
  readonly says: string
}

/** A question as far as it is ready to be decided. */
export interface Prepared {
  readonly question: Question
  readonly matter: Matter
  readonly tools: readonly string[]
  /** `undefined`: the one it is about is named, not proven. */
  readonly bearer: Bearer | undefined
}

export interface Verdict {
  readonly decision: Decision
  /** `undefined`: it is allowed. */
  readonly refusal: Refusal | undefined
  /** What would be allowed of the one tool meant; `undefined`: nothing, or several were. */
  readonly allowed: ToolConstraints | undefined
}

const INACTIVE: Refusal = { reason: 'subject_token_inactive', says: 'this is no live access token for this server' }
const NOWHERE: Refusal = { reason: 'resource_unknown', says: 'no server of yours has such a thing' }
const NOBODY: Refusal = { reason: 'not_found', says: 'nobody is known by that name' }
const TOOL_REVOKED: Refusal = {
  reason: 'subject_token_revoked',
  says: 'this tool was cut off since the token was issued: get a new token',
}
const BLOCKED: Refusal = { reason: 'principal_blocked', says: 'blocked until an operator lifts the block' }

const UNAPPROVED: Refusal = { reason: 'approval_required', says: 'a person has to approve this call' }

/** @throws Rejection `parameter_malformed`, `keys_not_ready`; StoreUnavailable */
export async function prepare(asked: Evaluation, call: ServiceCall, id: DecisionId): Promise<Prepared | Refusal> {
  const { token } = asked.subject
  if (token === undefined) return prepareNamed(asked, call, id)
  const bearer = await getOrInsertComputed(call.bearers, token.fingerprint(), () =>
    bearerOf(token, call.own, livenessOf(call)),
  )
  if (bearer === undefined) return INACTIVE
  const matter = matterOf(asked, [bearer.resource])
  if (matter === undefined) return NOWHERE
  if (isCallDead(bearer, toolsMeant(matter), call)) return TOOL_REVOKED
  return prepared(matter, bearer.asks, { call, id, bearer, notAfter: bearer.token.expiresAt })
}

function prepareNamed(asked: Evaluation, call: ServiceCall, id: DecisionId): Prepared | Refusal {
  // First: what is not the caller's is answered before anybody is looked for.
  const matter = matterOf(asked, call.own)
  if (matter === undefined) return NOWHERE
  const { environment } = call.parts.settings
  const party = partyOf(asked.subject, asked.context, { ...call, environment })
  if (party === undefined) return NOBODY
  if (isBlocked(party, matter, call)) return BLOCKED
  const asks = { ...party, chain: [], services: [], risk: undefined, parent: undefined, contracted: false }
  return prepared(matter, asks, { call, id, bearer: undefined, notAfter: Number.MAX_SAFE_INTEGER })
}

interface Asking {
  readonly call: ServiceCall
  readonly id: DecisionId
  readonly bearer: Bearer | undefined
  readonly notAfter: number
}

function prepared(matter: Matter, asks: Bearer['asks'], { call, id, bearer, notAfter }: Asking): Prepared {
  const { resource } = matter
  const tools = toolsMeant(matter)
  const scopes = scopeSet(tools.flatMap((name) => resource.tools.get(name)?.scope ?? []))
  const wanted = { scopes, tools: new Map(tools.map((name) => [name, new Map()])), limits: {} }
  const question: Question = {
    id,
    now: Math.floor(call.nowMs / 1000),
    environment: call.parts.settings.environment,
    ...asks,
    asked: { resources: new Map([[resource.url, wanted]]), notAfter, maxDepth: 0 },
    askedExplicitly: true,
    ceiling: undefined,
    target: resource.url,
    container: matter.container,
    external: beforeAsking(call.parts.external),
    atCall: true,
  }
  return { question, matter, tools, bearer }
}

/** A tool by its name; else every tool of the category of that name. */
function toolsMeant({ resource, tool }: Matter): readonly string[] {
  if (resource.tools.has(tool)) return [tool]
  const named = [...resource.tools.values()].filter(({ category }) => category === tool).map(({ name }) => name)
  return named.length === 0 ? [tool] : named
}

/**
 * Whether it still stands once somebody else was asked: that took its time.
 * @throws Rejection `cutoffs_stale`; StoreUnavailable
 */
export async function stillStands(
  { bearer, question, matter, tools }: Prepared,
  call: ServiceCall,
): Promise<Refusal | undefined> {
  call.parts.cutoffs.assertFresh()
  if (bearer !== undefined) {
    if (isCallDead(bearer, tools, call)) return TOOL_REVOKED
    return (await isAlive(bearer.token, livenessOf(call))) ? undefined : INACTIVE
  }
  return isBlocked(question, matter, call) ? BLOCKED : undefined
}

/**
 * Whether its bearer was cut off or blocked, as far as this broker knows by now: for the last moment before a yes, when the
 * session's own slot has agreed. A kill that was acknowledged before that moment is no yes after it.
 * @throws Rejection `cutoffs_stale`
 */
export function cutOffMeanwhile(bearer: Bearer, tool: string, call: ServiceCall): Refusal | undefined {
  const { cutoffs } = call.parts
  cutoffs.assertFresh()
  if (isCallDead(bearer, [tool], call)) return TOOL_REVOKED
  const { token, facts } = bearer
  const known = livenessOf(call)
  return isCutOff(token, known) || isBearerBlocked(token, facts.evidence?.signedInAt, known) ? INACTIVE : undefined
}

function isBlocked(
  party: Pick<Party, 'subject' | 'user' | 'agent'>,
  { resource }: Matter,
  { parts, nowMs }: ServiceCall,
): boolean {
  const whose = { subject: party.subject, agents: agentsNamed(party), versions: [] }
  const named = { ...whose, resource: resource.url, signedInAt: undefined }
  return blockOn(named, parts.cutoffs, nowMs) !== undefined
}

/** The cut-off of a tool kills its calls, not the token. */
function isCallDead({ token, resource }: Bearer, tools: readonly string[], { parts }: ServiceCall): boolean {
  return tools.some(
    (tool) => parts.cutoffs.set.killingAny([concerningCall(resource.url, tool)], token.rv) !== undefined,
  )
}

function livenessOf({ parts, registry, nowMs }: ServiceCall) {
  const { settings, cutoffs, sessions, ring } = parts
  return { registry, settings, cutoffs, sessions, ring, nowMs }
}

export function answered({ question, matter, tools }: Prepared, call: ServiceCall, external: ExternalAnswer): Verdict {
  const asked = { ...question, external }
  const decision = decide(call.registry, asked)
  if (decision.outcome === 'deny') {
    return { decision, refusal: { reason: decision.reason, says: decision.description }, allowed: undefined }
  }
  const left = decision.effective.resources.get(matter.resource.url)?.tools
  const [only, ...others] = tools
  const allowed = only === undefined || others.length > 0 ? undefined : left?.get(only)
  for (const tool of tools) {
    const constraints = left?.get(tool)
    if (constraints === undefined) {
      return { decision, refusal: { reason: 'nothing_granted', says: 'not granted' }, allowed }
    }
    const says =
      matter.arguments === undefined
        ? isUnconstrained(constraints)
          ? undefined
          : 'the call is allowed with some arguments only: send them'
        : argumentsRefusal(constraints, matter.arguments)
    if (says !== undefined) return { decision, refusal: { reason: 'call_refused', says }, allowed }
  }
  return { decision, refusal: needsApproval(matter.resource, tools) ? UNAPPROVED : undefined, allowed }
}

/** Whether every call of one of these tools needs a person's yes: nothing else says no to it. */
function needsApproval({ tools }: Resource, named: readonly string[]): boolean {
  return named.some((name) => tools.get(name)?.approval === 'required')
}
