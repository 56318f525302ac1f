/**
 * Search (AuthZEN Authorization API 1.0 §8): who could, what could be done, and to what; each result is what an evaluation of it
 * would be answered with yes at this moment. A page is bounded by what it looks at, not only by what it finds: it may be short
 * or empty, and only an empty `next_token` ends the results.
 */
import { sha256 } from '../kernel/digest.ts'
import type { DecisionId } from '../kernel/ids.ts'
import { SEARCH_CANDIDATES_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { apartFromBudget } from '../store/time-budget.ts'
import { wouldPermit } from './attempt.ts'
import { ACCESS_TOKEN_SUBJECT, type Evaluation, readSearch, type Search, type SearchKind } from './authzen-request.ts'
import { answered, type Prepared, prepare, stillStands } from './judge.ts'
import { candidatesOf, TOOL, TOOLS_CALL } from './matter.ts'
import { callAsService, type EvaluationParts, type ServiceCall, type ServiceRequest } from './service-call.ts'
import { everybody } from './subjects.ts'

export interface SearchBody {
  readonly page: { readonly next_token: string; readonly count: number }
  readonly results: readonly Readonly<Record<string, string>>[]
  readonly context: { readonly decision_id: string }
}

interface Candidate {
  readonly asked: Evaluation
  readonly result: Readonly<Record<string, string>>
}

/** @throws RefusedRequest */
export function search(kind: SearchKind, request: ServiceRequest, parts: EvaluationParts): Promise<SearchBody> {
  return callAsService(request, parts, async (call) => {
    const draft = call.draft()
    const wanted = readSearch(kind, call.body)
    const digest = queryDigest(wanted, call)
    const from = positionOf(wanted.token, digest)
    parts.cutoffs.assertFresh()
    const all = candidates(wanted, call)
    const { found, next } = await page(all, { from, limit: wanted.limit, call, id: draft.id })
    const token = next < all.length ? `${digest}~${next}` : ''
    draft.add({ detail: `search ${kind}: ${found.length} found, ${next - from} looked at` })
    draft.add({ policy: call.registry.version })
    await parts.auditor.log.append(draft.id, draft.granted())
    return {
      page: { next_token: token, count: found.length },
      results: found.map(({ result }) => result),
      context: { decision_id: draft.id },
    }
  })
}

function candidates(wanted: Search, call: ServiceCall): readonly Candidate[] {
  const { subject, resource, context, kind } = wanted
  if (kind === 'subject') {
    const { action = NO_ACTION } = wanted
    // Nobody lists tokens.
    if (subject.type === ACCESS_TOKEN_SUBJECT) return []
    return everybody(subject.type, { ...call, environment: call.parts.settings.environment }).map((id) => ({
      asked: { subject: { ...subject, id }, action, resource, context },
      result: { type: subject.type, id },
    }))
  }
  if (kind === 'resource') {
    const { action = NO_ACTION } = wanted
    return candidatesOf(resource.type, call.own).map(({ id, server }) => ({
      asked: { subject, action, resource: { ...resource, id }, context: { server: server.id, ...context } },
      result: { type: resource.type, id },
    }))
  }
  const names = resource.type === TOOL ? [TOOLS_CALL] : toolNames(call)
  return names.map((name) => ({
    asked: { subject, action: { name, properties: {} }, resource, context },
    result: { name },
  }))
}

const NO_ACTION = { name: '', properties: {} }

function toolNames({ own }: ServiceCall): readonly string[] {
  return [...new Set(own.flatMap(({ tools }) => [...tools.keys()]))]
}

interface Looking {
  readonly from: number
  readonly limit: number
  readonly call: ServiceCall
  /** Of the one record of the search. */
  readonly id: DecisionId
}

/** The registry's policy first, which costs little; whoever else is asked, is asked about what that allows. */
async function page(all: readonly Candidate[], { from, limit, call, id }: Looking) {
  const allowed: { candidate: Candidate; prepared: Prepared }[] = []
  const end = Math.min(all.length, from + SEARCH_CANDIDATES_MAX)
  let next = from
  for (; next < end && allowed.length < limit; next += 1) {
    const candidate = all[next]
    if (candidate === undefined) break
    const state = await prepare(candidate.asked, call, id)
    if (!('question' in state)) continue
    if (answered(state, call, { kind: 'none' }).refusal !== undefined) continue
    // Nor what is used up: an evaluation of it would say no.
    if (!('reason' in (await wouldPermit(state, call)))) allowed.push({ candidate, prepared: state })
  }
  const { external } = call.parts
  if (external === undefined || allowed.length === 0) return { found: allowed.map(({ candidate }) => candidate), next }
  const questions = allowed.map(({ prepared: { question, matter } }) => ({ question, arguments: matter.arguments }))
  const answers = await apartFromBudget(() => external.ask(questions))
  const found: Candidate[] = []
  for (const [index, { candidate, prepared }] of allowed.entries()) {
    const answer = answers[index]
    if (answer === undefined || (await stillStands(prepared, call)) !== undefined) continue
    if (answered(prepared, call, answer).refusal === undefined) found.push(candidate)
  }
  return { found, next }
}

/** What must be the same from page to page (§8.2): the question, who asks it, and the policy whose order is counted in. */
function queryDigest({ token: _token, ...wanted }: Search, { caller, registry }: ServiceCall): string {
  const subject = { ...wanted.subject, token: wanted.subject.token?.fingerprint() }
  return sha256(JSON.stringify([caller.clientId, registry.version, { ...wanted, subject }]))
}

/** @throws Rejection `parameter_malformed` */
function positionOf(token: string | undefined, digest: string): number {
  if (token === undefined) return 0
  const [of, position = ''] = token.split('~')
  if (of !== digest || !/^[1-9]\d{0,8}$/.test(position)) {
    throw new Rejection('parameter_malformed', 'page.token is of another search, or of a policy before: begin again')
  }
  return Number(position)
}
