/** Refusals on the wire: RFC 6749 §5.2 JSON, never cached, never with token text, coarse towards strangers. */
import { RefusedRequest } from '../audit/auditor.ts'
import { DPOP_ALGORITHMS } from '../jose/dpop-proof.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { requestSpan } from '../model/trace.ts'
import type { Fault } from '../operate/fault-log.ts'
import { type WireError, wireOf } from './rejection-map.ts'

export const NO_STORE = { 'Cache-Control': 'no-store', Pragma: 'no-cache' } as const

export interface ErrorContext {
  readonly facts: RequestFacts
  /** Set for endpoints that take bearer tokens (RFC 6750 §3). */
  readonly bearer: boolean
  /** Told when an answer is 5xx or a fault of ours. */
  report(fault: Fault): void
}

export function errorResponse(thrown: unknown, context: ErrorContext): Response {
  const refused = thrown instanceof RefusedRequest ? thrown : new RefusedRequest(thrown, {}, false)
  if (!(refused.error instanceof Rejection)) return faultResponse(refused, context)
  const rejection = refused.error
  // A stranger's refusal has no record whose attributes would say so.
  requestSpan()?.set({ 'errand.reason': rejection.reason })
  const { error, status } = wireAt(rejection, context)
  // A stranger may provoke this one as often as they like; each fetch that failed has its line already.
  const isLogged = rejection.reason === 'client_keys_unavailable'
  if (status >= 500 && !isLogged) context.report({ faultId: undefined, ...namesOf(refused, context), cause: rejection })
  const body = {
    error,
    error_description: describe(rejection, context.facts),
    // Reasons are for callers we know: a stranger learns nothing about which clients exist or what they did wrong.
    ...(refused.authenticated ? { error_reason: rejection.reason } : {}),
    ...(refused.authenticated && rejection.missing.length > 0 ? { missing: rejection.missing.map(plain) } : {}),
    ...(refused.decisionId === undefined ? {} : { decision_id: refused.decisionId }),
  }
  return json(status, body, headersFor(rejection, status, context))
}

function namesOf({ decisionId, txn }: RefusedRequest, { facts }: ErrorContext) {
  return { decisionId, txn, traceId: facts.trace?.traceId }
}

/** RFC 9449 §7.1: where the proof comes with a token, it is the token that was not accepted. */
function wireAt(rejection: Rejection, { bearer }: ErrorContext): WireError {
  const wire = wireOf(rejection)
  return bearer && isAboutProof(rejection) ? { ...wire, status: 401 } : wire
}

const isAboutProof = ({ reason }: Rejection) => reason === 'bearer_bound' || reason.startsWith('dpop_')

/** One answer for every credential that was not believed: more would tell which clients, issuers and users are known. */
function describe(rejection: Rejection, facts: RequestFacts): string {
  if (rejection.reason === 'client_authentication_unsupported') {
    return 'this way of client authentication is not supported here: use private_key_jwt, or another of token_endpoint_auth_methods_supported (client_secret_post never is)'
  }
  if (wireOf(rejection).error === 'invalid_client') {
    if (facts.basicCredentials !== undefined) {
      return 'client authentication failed: send the client id and a current secret of its own with the scheme Basic (RFC 6749 section 2.3.1)'
    }
    return 'client authentication failed: the credential must be one of this client and still good; a JWT fresh, with the issuer as its only audience'
  }
  if (rejection.reason === 'bearer_invalid') {
    return 'the bearer token is not accepted here: send an API token, a management token, or a user token meant for this broker'
  }
  return plain(rejection.message)
}

function faultResponse(refused: RefusedRequest, context: ErrorContext): Response {
  context.report({ faultId: refused.faultId, ...namesOf(refused, context), cause: refused.error })
  const body = {
    error: 'server_error',
    error_description: `the broker failed: tell its operator the id ${refused.faultId ?? 'unknown'}`,
    ...(refused.decisionId === undefined ? {} : { decision_id: refused.decisionId }),
  }
  return json(500, body, {})
}

function headersFor(rejection: Rejection, status: number, context: ErrorContext): Record<string, string> {
  const headers: Record<string, string> = {}
  if (status === 429 || status === 503) headers['Retry-After'] = String(rejection.retryAfterSeconds ?? 1)
  if (context.bearer && (status === 401 || status === 403)) {
    headers['WWW-Authenticate'] = tokenChallenge(rejection, context.facts)
  } else if (status === 401 && context.facts.authorizationScheme !== undefined) {
    // RFC 6749 §5.2: answered in the scheme that was tried, whether or not it is switched on.
    headers['WWW-Authenticate'] = context.facts.authorizationScheme === 'basic' ? 'Basic realm="errand"' : 'Bearer'
  }
  return headers
}

/** RFC 6750 §3: no error code where no token was presented; RFC 9449 §7.1 where its scheme was tried, or is what is missing. */
function tokenChallenge(rejection: Rejection, facts: RequestFacts): string {
  if (rejection.reason === 'bearer_missing') return 'Bearer realm="errand"'
  const failure = `error="${wireOf(rejection).error}", error_description="${describe(rejection, facts)}"`
  const isDpop = facts.authorizationScheme === 'dpop' || isAboutProof(rejection)
  return isDpop
    ? `DPoP realm="errand", algs="${DPOP_ALGORITHMS.join(' ')}", ${failure}`
    : `Bearer realm="errand", ${failure}`
}

/** RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E only. */
export function plain(text: string): string {
  return text
    .replaceAll('"', "'")
    .replaceAll('\\', '/')
    .replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?')
}

/** @param caching what caches may do with it; nothing, unless told otherwise (RFC 6749 §5.1) */
export function json(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  caching: Readonly<Record<string, string>> = NO_STORE,
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/json', ...caching, ...headers },
  })
}
