/** What a guard answers by itself: challenges (RFC 6750 §3, RFC 9728 §5.1), refusals of calls, and the resource's metadata. */
import { DPOP_ALGORITHMS } from '../../../jose/dpop-proof.ts'
import { type Challenge, challengeHeader } from '../challenge.ts'
import type { ToolCallRefusal } from '../tool-call.ts'
import type { TokenRefused } from '../verified-token.ts'
import type { BadMessage } from './messages.ts'

/** Not yet in the words of any framework. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** To be sent as JSON. */
  readonly body: Readonly<Record<string, unknown>>
}

/** Of the server that answers. */
export interface Place {
  readonly issuer: string
  readonly resource: string
  /** Address of its metadata. */
  readonly resourceMetadata: string
  /** The least a client needs to be useful here. */
  readonly baseScope: string
  readonly senderConstraint: 'optional' | 'required'
  /** Whether it sees its clients' certificates. */
  readonly certificates: boolean
  /** A fresh one, where proofs must carry it (RFC 9449 §9). */
  readonly dpopNonce?: (() => string) | undefined
}

/** No token was presented: then no error may be named (RFC 6750 §3.1). */
export function tokenNeeded(place: Place): Answer {
  const scheme = takesProofsOnly(place) ? 'DPoP' : 'Bearer'
  const header = challengeHeader({ ...challenged(place), scheme })
  return refused(401, header, { error: 'invalid_request', error_description: 'an access token is needed' })
}

function takesProofsOnly({ senderConstraint, certificates }: Place): boolean {
  return senderConstraint === 'required' && !certificates
}

export function tokenRefused(place: Place, refusal: TokenRefused, scheme: 'Bearer' | 'DPoP'): Answer {
  if (refusal.kind === 'unavailable') return unavailable()
  const { error, message } = refusal
  const header = challengeHeader({ ...challenged(place), error, description: message, scheme })
  const answer = refused(401, header, { error, error_description: message })
  if (error !== 'use_dpop_nonce' || place.dpopNonce === undefined) return answer
  return { ...answer, headers: { ...answer.headers, 'dpop-nonce': place.dpopNonce() } }
}

function challenged({ baseScope, resourceMetadata }: Place): Pick<Challenge, 'scopes' | 'resourceMetadata'> {
  return { scopes: [baseScope], resourceMetadata }
}

/** Clients keep their token and come back. */
export function unavailable(): Answer {
  const description = 'whether this is allowed cannot be said at present'
  const body = { error: 'temporarily_unavailable', error_description: description }
  return { status: 503, headers: { ...UNCACHED, 'retry-after': '1' }, body }
}

/** @param scopes every scope that the whole request needs, held or not */
export function callRefused(
  refusal: ToolCallRefusal,
  scopes: readonly string[],
  resourceMetadata: Challenge['resourceMetadata'],
): Answer {
  const { error, description } = refusal
  const asked = error === 'insufficient_scope' ? scopes : []
  const header = challengeHeader({ error, description, scopes: asked, resourceMetadata })
  return refused(403, header, refusalBody(refusal, asked))
}

/** A refusal for whoever reads JSON: how to narrow, and whom to ask. */
export function refusalBody(refusal: ToolCallRefusal, scopes: readonly string[]): Answer['body'] {
  const { error, description, narrowTo, declared, accessRequest } = refusal
  return {
    error,
    error_description: description,
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    ...(declared === undefined ? {} : { declared }),
    ...(narrowTo === undefined ? {} : { narrow_to: narrowTo }),
    ...(accessRequest === undefined ? {} : { access_request: accessRequest }),
  }
}

export function badRequest(description: string): Answer {
  return { status: 400, headers: UNCACHED, body: { error: 'invalid_request', error_description: description } }
}

/** As a JSON-RPC error, which is what it is. */
export function badMessage({ code, message, id }: BadMessage): Answer {
  return { status: 400, headers: UNCACHED, body: { jsonrpc: '2.0', id, error: { code, message } } }
}

/** As the SDKs say that there is none: whose it is, is nobody else's business. */
export function noSuchSession(): Answer {
  const body = { jsonrpc: '2.0', id: null, error: { code: -32_001, message: 'Session not found' } }
  return { status: 404, headers: UNCACHED, body }
}

export function bodyTooLarge(): Answer {
  const body = { error: 'invalid_request', error_description: 'the body is too large' }
  return { status: 413, headers: UNCACHED, body }
}

export function methodNotAllowed(): Answer {
  const body = { error: 'invalid_request', error_description: 'MCP has POST, GET and DELETE' }
  return { status: 405, headers: { ...UNCACHED, allow: 'POST, GET, DELETE' }, body }
}

/** RFC 9728 §2. The least scope alone: clients ask for all that is advertised, and get more by a challenge. */
export function resourceMetadataDocument(place: Place): Answer {
  const { issuer, resource, baseScope, certificates } = place
  const body = {
    resource,
    authorization_servers: [issuer],
    scopes_supported: [baseScope],
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: DPOP_ALGORITHMS,
    ...(takesProofsOnly(place) ? { dpop_bound_access_tokens_required: true } : {}),
    ...(certificates ? { tls_client_certificate_bound_access_tokens: true } : {}),
  }
  return { status: 200, headers: { 'cache-control': 'max-age=300', 'access-control-allow-origin': '*' }, body }
}

const UNCACHED = { 'cache-control': 'no-store' } as const

function refused(status: number, challenge: string, body: Answer['body']): Answer {
  return { status, headers: { ...UNCACHED, 'www-authenticate': challenge }, body }
}
