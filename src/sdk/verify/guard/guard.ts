/**
 * What stands before an MCP server, whatever framework it is built with: from a request's method, headers and body to a verdict.
 *
 * Guarantees: nothing passes without a token that the verifier believes, in exactly one `Authorization` header; whatever passes
 * was judged by the body that is handed on (`gate.ts`); any fault refuses, as 503 rather than 401, so that clients keep their token.
 */
import { type AuthInfo, authInfoOf } from '../auth-info.ts'
import { resourceMetadataUrl } from '../challenge.ts'
import type { Holder } from '../holder.ts'
import { TokenRefused, type VerifiedToken } from '../verified-token.ts'
import type { Verifier } from '../verifier.ts'
import type { AnswerWatch } from './answer-watch.ts'
import {
  type Answer,
  badMessage,
  badRequest,
  bodyTooLarge,
  methodNotAllowed,
  noSuchSession,
  type Place,
  resourceMetadataDocument,
  tokenNeeded,
  tokenRefused,
  unavailable,
} from './answers.ts'
import { createGate, type Gate, type GateOptions } from './gate.ts'
import { BadMessage } from './messages.ts'
import { ProtocolSessions, SESSION_HEADER } from './protocol-sessions.ts'

export interface GuardOptions extends GateOptions {
  readonly verifier: Pick<Verifier, 'verify' | 'issuer' | 'resource' | 'senderConstraint'>
  /**
   * The least scope with which a client is useful here: what the metadata advertise and a 401 asks for. Clients of the SDKs ask
   * for all that is advertised, so more is asked for call by call.
   */
  readonly baseScope: string
  /** Where the verifier's `proofs` ask for a nonce: a fresh one, for the answer that asks (RFC 9449 §9). */
  readonly dpopNonce?: () => string
}

/** A request in the words of no framework. */
export interface GuardedRequest {
  readonly method: string
  /** With its query. */
  readonly url: string
  /** Every value of a header; values that the platform has joined by commas count as one. */
  readonly header: (name: string) => readonly string[]
  /** Asked at most once; the same object must be what the server sees. @throws BadMessage, BodyTooLarge */
  readonly body: () => Promise<GuardedBody>
  /** Of the certificate that the client has shown; where the server sees certificates. */
  readonly certificateThumbprint?: string | undefined
}

export interface GuardedBody {
  readonly value: unknown
  /** As received, where that is known. */
  readonly bytes?: Uint8Array
}

export class BodyTooLarge extends Error {}

export type Verdict = { readonly answer: Answer } | Admitted

export interface Admitted {
  readonly answer?: never
  readonly token: VerifiedToken
  readonly authInfo: AuthInfo
  /** What was judged, to be handed on; absent where there is none. */
  readonly body?: GuardedBody
  /** To be shown the answer; absent where nothing hangs on it. */
  readonly watch?: AnswerWatch
  /** To be told the answer's `Mcp-Session-Id`, where it has one. */
  readonly opened: (protocolSession: string) => void
}

export interface Guard {
  /** Path of the metadata document (RFC 9728 §3.1). */
  readonly metadataPath: string
  readonly metadata: Answer
  admit(request: GuardedRequest): Promise<Verdict>
}

/** @param certificates whether the server sees its clients' certificates. @throws TypeError where an option cannot be */
export function createGuard(options: GuardOptions, certificates = false): Guard {
  const { verifier, baseScope, dpopNonce } = options
  const { issuer, resource, senderConstraint } = verifier
  const resourceMetadata = resourceMetadataUrl(resource)
  const place = { issuer, resource, resourceMetadata, baseScope, senderConstraint, certificates, dpopNonce }
  const gate = createGate(options)
  const sessions = new ProtocolSessions()
  return {
    metadataPath: new URL(resourceMetadata).pathname,
    metadata: resourceMetadataDocument(place),
    admit: async (request) => {
      try {
        return await admitted(request, { place, gate, sessions, verify: verifier.verify })
      } catch (error) {
        if (error instanceof BadMessage) return { answer: badMessage(error) }
        if (error instanceof BodyTooLarge) return { answer: bodyTooLarge() }
        return { answer: unavailable() }
      }
    },
  }
}

interface Standing {
  readonly place: Place
  readonly gate: Gate
  readonly sessions: ProtocolSessions
  readonly verify: Verifier['verify']
}

async function admitted(request: GuardedRequest, { place, gate, sessions, verify }: Standing): Promise<Verdict> {
  const { method } = request
  const presented = readAuthorization(request)
  if (presented === undefined) return { answer: tokenNeeded(place) }
  if ('wrong' in presented) return { answer: presented.wrong }
  const { scheme, bearer } = presented
  // A proof may name the body (MCP's DPoP extension): then it is read before the token is believed.
  const early = scheme === 'DPoP' && method === 'POST' ? await request.body() : undefined
  let token: VerifiedToken
  try {
    token = await verify(bearer, holderOf(request, scheme, early))
  } catch (error) {
    if (error instanceof TokenRefused) return { answer: tokenRefused(place, error, scheme) }
    throw error
  }
  const { issuer, resource, resourceMetadata } = place
  const authInfo = authInfoOf(token, { issuer, resource, bearer })
  if (sessions.isOfAnother(request.header(SESSION_HEADER), token)) return { answer: noSuchSession() }
  const opened = (id: string) => sessions.opened(id, token)
  // The stream of what the server sends by itself, and the end of a protocol session: no call is made by them.
  if (method === 'GET' || method === 'DELETE') return { token, authInfo, opened }
  if (method !== 'POST') return { answer: methodNotAllowed() }
  const body = early ?? (await request.body())
  const { header } = request
  const passed = await gate.pass({ body: body.value, header }, { token, bearer, resourceMetadata })
  return passed.answer === undefined ? { token, authInfo, body, opened, ...passed } : passed
}

/** RFC 6750 §2.1, RFC 9449 §7.1: the header alone, once. `undefined`: no token was presented. */
function readAuthorization({
  header,
  url,
}: GuardedRequest):
  | { readonly scheme: 'Bearer' | 'DPoP'; readonly bearer: string }
  | { readonly wrong: Answer }
  | undefined {
  // Addresses end up in logs and referrers: a token there is to be replaced, not believed (RFC 9700 §4.3.2).
  if (new URLSearchParams(url.replace(/^[^?]*/, '')).has('access_token'))
    return { wrong: badRequest('a token must not be in the address') }
  const values = header('authorization')
  const [value, ...others] = values
  if (value === undefined) return undefined
  if (others.length > 0) return { wrong: badRequest('there must be one Authorization header') }
  const [, name = '', bearer] = /^(Bearer|DPoP) +([A-Za-z0-9._~+/-]+=*)$/i.exec(value) ?? []
  if (bearer !== undefined) return { scheme: name.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer', bearer }
  return /^(Bearer|DPoP)\b/i.test(value) && value.includes(',')
    ? { wrong: badRequest('there must be one Authorization header') }
    : undefined
}

function holderOf(request: GuardedRequest, scheme: 'Bearer' | 'DPoP', body: GuardedBody | undefined): Holder {
  const { method, certificateThumbprint } = request
  // Values that were joined come apart at commas, which no proof holds.
  const proofs = request.header('dpop').flatMap((value) => value.split(',').map((proof) => proof.trim()))
  const dpop = { proofs, method, ...(body?.bytes === undefined ? {} : { body: body.bytes }) }
  return { certificateThumbprint, ...(scheme === 'DPoP' ? { dpop } : {}) }
}
