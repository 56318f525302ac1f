/** The Authorization API (AuthZEN 1.0 §10.1): JSON in and out, behind an API token with the scope `evaluate`. */
import type { Context } from 'hono'
import { evaluatingCaller } from '../admin/callers.ts'
import { evaluateMany, evaluateOne } from '../calls/evaluate.ts'
import { reportOutcome } from '../calls/outcome.ts'
import { search } from '../calls/search.ts'
import type { ServiceRequest } from '../calls/service-call.ts'
import { isJsonObject } from '../jose/strict-json.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { parseBody } from './decode-order.ts'
import { json } from './error-response.ts'
import { ACCESS } from './pdp-metadata.ts'
import { readJsonText } from './request.ts'
import type { Route, RouterParts } from './route.ts'
import { admitted } from './session-routes.ts'

/** One rate for all of them: each is a question about decisions. */
const ENDPOINTS = '/access/v1'

export function accessRoutes(parts: RouterParts, base: string): readonly Route[] {
  const post = (path: string, work: (request: ServiceRequest) => Promise<unknown>): Route => ({
    path: base + path,
    bearer: true,
    echoesRequestId: true,
    methods: {
      POST: async (context, facts) => json(200, await work(await requestOf(context, facts, parts))),
    },
  })
  const { evaluation } = parts
  return [
    post(ACCESS.evaluation, (request) => evaluateOne(request, evaluation)),
    post(ACCESS.evaluations, (request) => evaluateMany(request, evaluation)),
    post(ACCESS.subject, (request) => search('subject', request, evaluation)),
    post(ACCESS.resource, (request) => search('resource', request, evaluation)),
    post(ACCESS.action, (request) => search('action', request, evaluation)),
    post(ACCESS.outcome, (request) => reportOutcome(request, evaluation)),
  ]
}

async function requestOf(context: Context, facts: RequestFacts, parts: RouterParts): Promise<ServiceRequest> {
  const text = await readJsonText(context)
  return {
    caller: () => admitted(context, facts, parts, (presented) => evaluatingCaller(presented, parts.callers)),
    facts,
    spend: (clientId) => parts.admission.spend(clientId, ENDPOINTS),
    body: () => objectOf(text),
  }
}

/** Members that nobody knows are ignored; those that two readers would read differently are refused. */
function objectOf(text: string): Readonly<Record<string, unknown>> {
  const value = parseBody(text)
  if (!isJsonObject(value)) throw new Rejection('body_malformed', 'the body is not a JSON object')
  return value
}
