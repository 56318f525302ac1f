/**
 * How a call ended (R159), told by the server that made it: recorded once, under the decision that permitted it. Whoever tells the
 * same again is answered the same; whoever tells another end is refused, for the first may have been relied upon. What comes
 * after its time was up is recorded after the `unknown` that it contradicts.
 */
import { CALL_DETAIL_CHARS_MAX, CALL_KEPT_MS } from '../kernel/call-limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { readAttemptId } from './authzen-request.ts'
import { callKey, decodeBegun, REPORTED, type Reported, UNKNOWN } from './begun-call.ts'
import { captureResponse } from './captured-call.ts'
import { callAsService, type EvaluationParts, type ServiceCall, type ServiceRequest } from './service-call.ts'

interface Report {
  readonly attempt: string
  readonly decision: string
  readonly outcome: Reported
  /** A code of the server's own; absent: it has given none. */
  readonly detail?: string
  /** What the tool answered; `undefined`: that is not told. */
  readonly response: unknown
}

/** @throws RefusedRequest */
export function reportOutcome(request: ServiceRequest, parts: EvaluationParts): Promise<object> {
  return callAsService(request, parts, (call) => ended(readReport(call.body), call), 'call.outcome')
}

/** @throws Rejection `not_found`, `outcome_conflict` */
async function ended({ attempt, decision, outcome, detail, response }: Report, call: ServiceCall): Promise<object> {
  const { parts, caller, nowMs } = call
  const key = callKey(caller.clientId, attempt)
  let kept = await parts.calls.read(key)
  for (;;) {
    const begun = kept === undefined ? undefined : decodeBegun(kept.text)
    if (kept === undefined || begun?.decision !== decision) {
      throw new Rejection('not_found', 'no call of yours has this attempt and decision_id')
    }
    if (kept.ended === outcome) return {}
    if (kept.ended !== undefined && kept.ended !== UNKNOWN) throw conflict()
    const late = kept.ended === UNKNOWN ? ({ after: UNKNOWN } as const) : {}
    const draft = call.draft(begun.decision)
    draft.add({
      ...begun.about,
      ...(detail === undefined ? {} : { detail }),
      call: { attempt, ended: outcome, ...late },
    })
    await captureResponse(response, { session: begun.about.session, mode: begun.responses }, draft, call)
    const record = { audit: draft.granted(), contents: draft.contents }
    const end = { over: kept.ended, ended: outcome, expiresAtMs: nowMs + CALL_KEPT_MS, ...record }
    const now = await parts.calls.end(key, end)
    if (now?.written === true) {
      parts.observer?.call(outcome)
      return {}
    }
    // Somebody else was faster: once with `unknown`, and then once with an end that stays.
    kept = now
  }
}

function conflict(): Rejection {
  return new Rejection('outcome_conflict', 'this call was refused, or another outcome of it was told before')
}

const CODE = /^[\x20-\x7e]*$/

/** Members that nobody knows are errors: this endpoint is no one's standard. @throws Rejection `parameter_*` */
function readReport(body: Readonly<Record<string, unknown>>): Report {
  const { attempt, decision_id: decision, outcome, detail, response, ...others } = body
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw malformed('the body', 'of attempt, decision_id, outcome, detail and response alone')
  const told = REPORTED.find((one) => one === outcome)
  if (outcome === undefined || decision === undefined) {
    throw new Rejection('parameter_missing', 'decision_id and outcome are required')
  }
  if (told === undefined) throw malformed('outcome', REPORTED.join(' or '))
  if (typeof decision !== 'string') throw malformed('decision_id', 'a string')
  const isCode = typeof detail === 'string' && detail.length <= CALL_DETAIL_CHARS_MAX && CODE.test(detail)
  if (detail !== undefined && !isCode) {
    throw malformed('detail', `at most ${CALL_DETAIL_CHARS_MAX} plain characters: a code, not content`)
  }
  const given = isCode ? { detail } : {}
  return { attempt: readAttemptId(attempt, 'attempt'), decision, outcome: told, ...given, response }
}

function malformed(name: string, wanted: string): Rejection {
  return new Rejection('parameter_malformed', `${name} must be ${wanted}`)
}
