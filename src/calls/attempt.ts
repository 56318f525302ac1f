/**
 * A call that a server is about to make (R158): announced before it is decided, counted and recorded in one commit of its
 * session, and only then permitted.
 *
 * Guarantees: an id stands for one call, of one token with the same arguments, and is permitted at most until that call has
 * ended; however often it is asked about, and of how many brokers, it is counted once; a call that was announced is on record
 * with an end, whoever dies meanwhile (`overdue-calls.ts`); where the store does not answer, nothing is permitted.
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import { ATTEMPT_REPEAT_MS } from '../kernel/call-limits.ts'
import { type DecisionId, servicePrincipal } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { CaptureMode } from '../model/captured.ts'
import type { ApprovalUse } from '../sessions/approval-commits.ts'
import { callCounters, callsExhausted, countCall } from '../sessions/call-counters.ts'
import { OutboxFull } from '../store/ports.ts'
import { type DecisionBody, described } from './answer.ts'
import type { Bearer } from './bearer.ts'
import {
  askedDigest,
  type BegunCall,
  callKey,
  decodeBegun,
  encodeBegun,
  encodeRefusal,
  refusalIn,
} from './begun-call.ts'
import { placesFor, placesLeft, releasePlaces, takePlaces } from './call-places.ts'
import { responseMode } from './captured-call.ts'
import { cutOffMeanwhile, type Prepared, type Refusal } from './judge.ts'
import type { ServiceCall } from './service-call.ts'

/** Announced, and not decided yet. */
export interface Attempt {
  readonly id: string
  readonly key: string
  readonly bearer: Bearer
  readonly tool: string
  /** Of whoever announced it first. */
  readonly decision: DecisionId
  /** Another request has announced it: it may have been permitted already. */
  readonly isRepeated: boolean
}

interface Asked<State> {
  readonly draft: AuditDraft
  readonly state: State
}

export type Announced = Asked<Prepared | Refusal | DecisionBody> & { readonly attempt?: Attempt }

const REUSED: Refusal = {
  reason: 'attempt_reused',
  says: 'this attempt is of another call, or of one that has ended or was announced long ago: give each call an id of its own',
}
const SEVERAL: Refusal = { reason: 'call_refused', says: 'an attempt is of one tool: name it' }

export function isAnswer(state: object): state is DecisionBody {
  return 'decision' in state
}

/** Announces the call of a live token. What was answered to the same attempt before is the answer again. @throws StoreUnavailable */
export async function attemptIn(
  id: string,
  { draft, state }: Asked<Prepared | Refusal>,
  call: ServiceCall,
): Promise<Announced> {
  draft.add({ event: 'call.attempt', call: { attempt: id } })
  if (!('question' in state) || state.bearer === undefined) return { draft, state }
  const [tool, ...others] = state.tools
  if (tool === undefined || others.length > 0) return { draft, state: SEVERAL }
  const { parts, caller, nowMs } = call
  const key = callKey(caller.clientId, id)
  const begun: BegunCall = {
    attempt: id,
    asked: askedDigest(state),
    atMs: nowMs,
    decision: draft.id,
    by: servicePrincipal(caller.clientId),
    about: described(state),
    ...keptMode(responseMode(state.matter.resource, tool)),
  }
  const kept = await parts.calls.begin(key, encodeBegun(begun), nowMs + parts.settings.callOutcomeSeconds * 1000)
  const first = decodeBegun(kept.text)
  const answer = refusalIn(kept.ended)
  const isOver = nowMs - first.atMs > ATTEMPT_REPEAT_MS || (kept.ended !== undefined && answer === undefined)
  if (first.asked !== begun.asked || isOver) return { draft, state: REUSED }
  if (answer !== undefined) return { draft, state: answer }
  const isRepeated = first.decision !== begun.decision
  const attempt = { id, key, bearer: state.bearer, tool, decision: first.decision, isRepeated }
  if (!isRepeated) return { draft, state, attempt }
  // Another request has announced it: what it decides, or has decided, is one decision.
  const same = call.draft(first.decision)
  same.add({ event: 'call.attempt', call: { attempt: id } })
  return { draft: same, state: { ...state, question: { ...state.question, id: first.decision } }, attempt }
}

const keptMode = (responses: CaptureMode | undefined) => (responses === undefined ? {} : { responses })

export interface Permit {
  readonly attempt: string
  readonly outcome_within_seconds: number
  readonly remaining_calls?: number
}

/**
 * Permits what was decided, if the session's own slot agrees: the one commit that counts the call holds its record, too.
 * @param approval what it uses up with it
 * @throws Rejection `audit_unavailable`; StoreUnavailable, and then nobody knows: it counts, and its end will be unknown
 */
export async function commitCall(
  attempt: Attempt,
  draft: AuditDraft,
  call: ServiceCall,
  approval: ApprovalUse = { checks: [], operations: [] },
): Promise<Permit | Refusal> {
  const { id, bearer, tool } = attempt
  const { parts, nowMs } = call
  const { token, facts, path, resource } = bearer
  const counters = callCounters(path, resource.url, tool)
  const now = Math.floor(nowMs / 1000)
  const counted = countCall(bearer, token.path, { jti: token.jti, counters, now })
  const change = {
    ...counted,
    checks: [...counted.checks, ...approval.checks],
    operations: [...counted.operations, ...approval.operations],
    contents: draft.contents,
  }
  const places = placesFor(bearer, tool)
  try {
    // What was permitted has had its place, also where that is free again by now.
    const isCounted = attempt.isRepeated && (await wasPermitted(attempt, parts))
    if (!isCounted) await takePlaces(places, draft.id, parts.windows)
  } catch (error) {
    if (error instanceof Rejection) return refusalOf(error)
    throw error
  }
  try {
    await parts.sessions.commitSurely(change, commitId(draft.id), draft.granted(), () => undefined)
  } catch (error) {
    const isRefused = error instanceof Rejection || error instanceof OutboxFull
    if (isRefused) await releasePlaces(places, draft.id, parts.windows)
    if (error instanceof Rejection) return refusalOf(error)
    throw error
  }
  const gone = cutOffMeanwhile(bearer, tool, call)
  if (gone !== undefined) return gone
  parts.observer?.call('permitted')
  const left = await Promise.all([
    parts.sessions.callsLeft(facts.id, counters),
    placesLeft(places, parts.windows).then((found) => found?.left),
  ])
  return { attempt: id, outcome_within_seconds: parts.settings.callOutcomeSeconds, ...remaining(left) }
}

/** Of a question without an attempt: what one would be answered now. It counts nothing. @throws StoreUnavailable */
export async function wouldPermit(
  { bearer, tools }: Prepared,
  { parts }: ServiceCall,
): Promise<Refusal | Pick<Permit, 'remaining_calls'>> {
  if (bearer === undefined) return {}
  const counters = tools.flatMap((tool) => callCounters(bearer.path, bearer.resource.url, tool))
  const places = tools.flatMap((tool) => placesFor(bearer, tool))
  const [counted, free] = await Promise.all([
    parts.sessions.callsLeft(bearer.facts.id, counters),
    placesLeft(places, parts.windows),
  ])
  if (counted === 0) return refusalOf(callsExhausted())
  return free?.left === 0 ? refusalOf(free.refusal) : remaining([counted, free?.left])
}

function remaining(left: readonly (number | undefined)[]): Pick<Permit, 'remaining_calls'> {
  const known = left.filter((one) => one !== undefined)
  return known.length === 0 ? {} : { remaining_calls: Math.min(...known) }
}

function refusalOf({ reason, message }: Rejection): Refusal {
  return { reason, says: message }
}

/**
 * It never runs: whoever asks again is answered the same. Not so where it was permitted before: it may have run since, and its end
 * is the server's to tell.
 */
export async function refuseCall(attempt: Attempt, answer: DecisionBody, call: ServiceCall): Promise<void> {
  const { parts, nowMs } = call
  const { key } = attempt
  if (await wasPermitted(attempt, parts)) return
  // No longer than it may be asked about again: an agent that is refused all the time must not fill the store with answers.
  const expiresAtMs = nowMs + ATTEMPT_REPEAT_MS
  const end = { over: undefined, ended: encodeRefusal(answer), expiresAtMs, audit: undefined }
  if ((await parts.calls.end(key, end))?.written === true) parts.observer?.call('refused')
}

const commitId = (decision: DecisionId): string => `call:${decision}`

function wasPermitted({ bearer, decision }: Attempt, { sessions }: ServiceCall['parts']): Promise<boolean> {
  return sessions.hasCommitted(bearer.facts.id, commitId(decision))
}
