/**
 * Access evaluation (AuthZEN Authorization API 1.0 §6, §7): may this be done now. Each answer is recorded before it is given,
 * with the question it was given to; a denial is an answer, not an error.
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { ExternalAnswer } from '../model/decision.ts'
import { keepDecision } from '../policy/recorded-decision.ts'
import { apartFromBudget } from '../store/time-budget.ts'
import { bound, type DecisionBody, described, guided, record, refused } from './answer.ts'
import { permitApproved } from './approvals/permit-approved.ts'
import { type Attempt, attemptIn, commitCall, isAnswer, refuseCall, wouldPermit } from './attempt.ts'
import { type Evaluation, readBatch, readEvaluation } from './authzen-request.ts'
import { captureAttempt } from './captured-call.ts'
import { answered, type Prepared, prepare, type Refusal, stillStands } from './judge.ts'
import { countedOutside } from './outside-call.ts'
import { callAsService, type EvaluationParts, type ServiceCall, type ServiceRequest } from './service-call.ts'

/** @throws RefusedRequest */
export function evaluateOne(request: ServiceRequest, parts: EvaluationParts): Promise<DecisionBody> {
  return callAsService(request, parts, (call) => single(call))
}

/** @throws RefusedRequest */
export function evaluateMany(
  request: ServiceRequest,
  parts: EvaluationParts,
): Promise<DecisionBody | { readonly evaluations: readonly DecisionBody[] }> {
  return callAsService(request, parts, async (call) => {
    const batch = readBatch(call.body)
    if (batch === undefined) return single(call)
    const { semantic, evaluations } = batch
    if (semantic === 'execute_all') return { evaluations: await answerAll(evaluations, call) }
    const given: DecisionBody[] = []
    for (const one of evaluations) {
      const [answer] = await answerAll([one], call)
      if (answer === undefined) break
      given.push(answer)
      if (answer.decision === (semantic === 'permit_on_first_permit')) break
    }
    return { evaluations: given }
  })
}

async function single(call: ServiceCall): Promise<DecisionBody> {
  call.parts.cutoffs.assertFresh()
  // What is wrong with the only one is wrong with the request (§10.1.2).
  const item = await prepared(readEvaluation(call.body), call)
  const external = await askOutside([item], call)
  return concluded(item, call, external.get(item))
}

interface Item {
  readonly draft: AuditDraft
  readonly state: Prepared | Refusal | Rejection | DecisionBody
  /** Of a call that is about to be made. */
  readonly attempt?: Attempt
}

async function answerAll(asked: readonly (Evaluation | Rejection)[], call: ServiceCall): Promise<DecisionBody[]> {
  call.parts.cutoffs.assertFresh()
  const items = await Promise.all(asked.map((one) => begun(one, call)))
  const external = await askOutside(items, call)
  return Promise.all(items.map((item) => concluded(item, call, external.get(item))))
}

async function begun(one: Evaluation | Rejection, call: ServiceCall): Promise<Item> {
  if (one instanceof Rejection) return { draft: call.draft(), state: one }
  const item = await inItem(() => prepared(one, call))
  return item instanceof Rejection ? { draft: call.draft(), state: item } : item
}

async function prepared(asked: Evaluation, call: ServiceCall): Promise<Item> {
  const draft = call.draft()
  const state = await prepare(asked, call, draft.id)
  if (asked.attempt === undefined) return { draft, state }
  const item = await attemptIn(asked.attempt, { draft, state }, call)
  const { attempt } = item
  if (attempt !== undefined && 'question' in item.state) {
    await captureAttempt(asked, { ...item.state, ...attempt }, item.draft, call)
  }
  return item
}

/** What is wrong with the evaluation itself is its own answer; what is wrong with the broker is everybody's. */
async function inItem<T>(work: () => Promise<T>): Promise<T | Rejection> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Rejection && error.reason.startsWith('parameter_')) return error
    throw error
  }
}

/** All in one batch. Empty where nobody else is asked. */
async function askOutside(items: readonly Item[], { parts }: ServiceCall): Promise<Map<Item, ExternalAnswer>> {
  const { external } = parts
  const ready = items.flatMap((item) => ('question' in item.state ? [{ item, prepared: item.state }] : []))
  if (external === undefined || ready.length === 0) return new Map()
  const questions = ready.map(({ prepared: { question, matter } }) => ({ question, arguments: matter.arguments }))
  const answers = await apartFromBudget(() => external.ask(questions))
  return new Map(ready.flatMap(({ item }, index) => (answers[index] === undefined ? [] : [[item, answers[index]]])))
}

async function concluded(item: Item, call: ServiceCall, external: ExternalAnswer | undefined): Promise<DecisionBody> {
  const { attempt } = item
  const answer = await answerTo(item, call, external)
  if (attempt !== undefined && !answer.decision) await refuseCall(attempt, answer, call)
  return answer
}

async function answerTo(
  { draft, state, attempt }: Item,
  call: ServiceCall,
  external: ExternalAnswer | undefined,
): Promise<DecisionBody> {
  if (isAnswer(state)) return state
  if (state instanceof Rejection) {
    await record(draft, { reason: state.reason, says: state.message }, call)
    const error = { status: 400, message: state.message }
    return { decision: false, context: { reason: state.reason, error, decision_id: draft.id } }
  }
  if (!('question' in state)) return refused(draft, state, call)
  draft.add(described(state))
  const gone = external === undefined ? undefined : await stillStands(state, call)
  if (gone !== undefined) return refused(draft, gone, call)
  const answer = external ?? state.question.external
  const { decision, refusal, allowed } = answered(state, call, answer)
  const asked = { ...state.question, external: answer }
  draft.addDecision(decision, keepDecision(asked, decision), call.parts.shadow.answer(asked, decision))
  if (refusal?.reason === 'approval_required') return askedPerson({ draft, state, attempt }, call)
  if (refusal !== undefined) {
    const counted = countedOutside(attempt, state, draft, call)
    return refused(draft, refusal, call, { more: guided(state, allowed), counted })
  }
  const permit = attempt === undefined ? await wouldPermit(state, call) : await commitCall(attempt, draft, call)
  if ('reason' in permit) return refused(draft, permit, call)
  if (attempt === undefined) await record(draft, undefined, call)
  return { decision: true, context: { decision_id: draft.id, ...permit, ...bound(state) } }
}

/** Nothing else says no: it is a person's to say. */
async function askedPerson(
  { draft, state, attempt }: { draft: AuditDraft; state: Prepared; attempt: Attempt | undefined },
  call: ServiceCall,
): Promise<DecisionBody> {
  const permit = await permitApproved({ draft, state, attempt }, call)
  if (!('reason' in permit)) return { decision: true, context: { decision_id: draft.id, ...permit, ...bound(state) } }
  return refused(
    draft,
    permit,
    call,
    'accessRequest' in permit ? { more: { access_request: permit.accessRequest } } : {},
  )
}
