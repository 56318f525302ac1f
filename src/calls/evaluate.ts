/**
 * Access evaluation (AuthZEN Authorization API 1.0 §6, §7): may this be done now. Each answer is recorded before it is given,
 * with the question it was given to; a denial is an answer, not an error.
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import { actors } from '../authority/actor-chain.ts'
import type { ToolConstraints } from '../authority/authority.ts'
import { type Guidance, guidance } from '../authority/guidance.ts'
import { buildOf } from '../authority/token-facts.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { AuditRecord } from '../model/audit-record.ts'
import type { ExternalAnswer } from '../model/decision.ts'
import { ANY_AGENT_ID } from '../policy/any-agent.ts'
import { keepDecision } from '../policy/recorded-decision.ts'
import { apartFromBudget } from '../store/time-budget.ts'
import { type Evaluation, readBatch, readEvaluation } from './authzen-request.ts'
import type { Bearer } from './bearer.ts'
import { answered, type Prepared, prepare, type Refusal, stillStands } from './judge.ts'
import { callAsService, type EvaluationParts, type ServiceCall, type ServiceRequest } from './service-call.ts'

type Json = Readonly<Record<string, unknown>>

/** §6.2 */
export interface DecisionBody {
  readonly decision: boolean
  readonly context: Json
}

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
  const draft = call.draft()
  // What is wrong with the only one is wrong with the request (§10.1.2).
  const item = { draft, state: await prepare(readEvaluation(call.body), call, draft.id) }
  const external = await askOutside([item], call)
  return concluded(item, call, external.get(item))
}

interface Item {
  readonly draft: AuditDraft
  readonly state: Prepared | Refusal | Rejection
}

async function answerAll(asked: readonly (Evaluation | Rejection)[], call: ServiceCall): Promise<DecisionBody[]> {
  call.parts.cutoffs.assertFresh()
  const items = await Promise.all(asked.map((one) => begun(one, call)))
  const external = await askOutside(items, call)
  return Promise.all(items.map((item) => concluded(item, call, external.get(item))))
}

async function begun(one: Evaluation | Rejection, call: ServiceCall): Promise<Item> {
  const draft = call.draft()
  if (one instanceof Rejection) return { draft, state: one }
  return { draft, state: await inItem(() => prepare(one, call, draft.id)) }
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

async function concluded(
  { draft, state }: Item,
  call: ServiceCall,
  external: ExternalAnswer | undefined,
): Promise<DecisionBody> {
  if (state instanceof Rejection) {
    await record(draft, { reason: state.reason, says: state.message }, call)
    const error = { status: 400, message: state.message }
    return { decision: false, context: { reason: state.reason, error, decision_id: draft.id } }
  }
  if (!('question' in state)) return refused(draft, state, call)
  describe(draft, state)
  const gone = external === undefined ? undefined : await stillStands(state, call)
  if (gone !== undefined) return refused(draft, gone, call)
  const answer = external ?? state.question.external
  const { decision, refusal, allowed } = answered(state, call, answer)
  const asked = { ...state.question, external: answer }
  draft.addDecision(decision, keepDecision(asked, decision), call.parts.shadow.answer(asked, decision))
  if (refusal !== undefined) return refused(draft, refusal, call, guided(state, allowed))
  await record(draft, undefined, call)
  return { decision: true, context: { decision_id: draft.id, ...bound(state) } }
}

async function refused(
  draft: AuditDraft,
  refusal: Refusal,
  call: ServiceCall,
  guided: Partial<Guidance> = {},
): Promise<DecisionBody> {
  await record(draft, refusal, call)
  const { reason, says } = refusal
  return { decision: false, context: { reason, reason_admin: { en: says }, decision_id: draft.id, ...guided } }
}

/** Of a live token alone: to whoever holds it, nothing of this is new. Of somebody named, a server is told no more than no. */
function guided({ bearer, matter }: Prepared, allowed: ToolConstraints | undefined): Partial<Guidance> {
  if (bearer === undefined) return {}
  const tools = bearer.asks.parent?.resources.get(bearer.resource.url)?.tools ?? new Map()
  return guidance(matter, { purpose: bearer.node.purpose, tools }, allowed)
}

/** Before the answer: without its record there is none. @throws Rejection `audit_unavailable` */
async function record(draft: AuditDraft, refusal: Refusal | undefined, { parts }: ServiceCall): Promise<void> {
  const text = refusal === undefined ? draft.granted() : draft.refused(refusal.reason)
  await parts.auditor.log.append(draft.id, text, draft.contents)
}

function describe(draft: AuditDraft, { question, matter, bearer }: Prepared): void {
  const place = matter.container === undefined ? '' : ` in ${matter.container}`
  draft.add({
    on_behalf_of: question.subject,
    ...(question.agent.clientId === ANY_AGENT_ID ? {} : { agent: { id: question.agent.clientId } }),
    resource: matter.resource.url,
    detail: `call ${matter.tool.slice(0, 128)}${place}`,
    ...(bearer === undefined ? {} : attributed(bearer)),
  })
}

/** Whose work the call would be, and what set it off. */
function attributed({ token, facts, node, asks }: Bearer): Partial<AuditRecord> {
  const { clientId } = asks.agent
  const version = buildOf(clientId, token.versions)
  return {
    agent: { id: clientId, ...(version === undefined ? {} : { version }) },
    session: facts.id,
    node: node.id,
    intent: node.intentHash,
    origin: node.origin.type,
    jti: token.jti,
    ...(token.act === undefined ? {} : { chain: actors(token.act).map(({ sub }) => sub) }),
  }
}

/** The key that the token is bound to: whoever asks has seen the proof, and must have checked that it is by this one. */
function bound({ bearer }: Prepared): Json {
  const cnf = bearer?.token.claims['cnf']
  return cnf === undefined ? {} : { cnf }
}
