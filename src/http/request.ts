/** Requests as they arrive: facts read once, bodies read once with a counted cap. */
import { isAscii } from 'node:buffer'
import type { Context } from 'hono'
import type { PresentedToken } from '../credentials/proof/presented-token.ts'
import { parseTokenParameter } from '../credentials/token-parameter.ts'
import { BODY_BYTES_MAX, NAME_CHARS_MAX, USER_AGENT_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { Secret } from '../kernel/secret.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { API_KEY_PREFIX } from '../protocol/oauth.ts'
import { parseTraceparent, TRACEPARENT } from '../protocol/trace-context.ts'
import { bodyOf, headerOf, peerOf, type Take, takeBody } from './incoming.ts'
import type { SourceOf } from './source-address.ts'

/** RFC 7617 §2: one space, then the credentials. */
const BASIC = /^Basic /i
const BEARER = /^Bearer /i
const CORRELATION = /^[A-Za-z0-9._:-]{1,128}$/

export function readFacts(context: Context, sourceOf: SourceOf): RequestFacts {
  const correlation = headerOf(context, 'x-request-id')
  const authorization = headerOf(context, 'authorization')
  const dpopProof = headerOf(context, 'dpop')
  return {
    source: sourceOf(peerOf(context), headerOf(context, 'x-forwarded-for')),
    authorizationScheme: authorization?.split(' ', 1)[0]?.toLowerCase().slice(0, NAME_CHARS_MAX),
    basicCredentials:
      authorization !== undefined && BASIC.test(authorization) ? new Secret(authorization.slice(6)) : undefined,
    apiKey: apiKeyIn(authorization),
    ...(dpopProof === undefined ? {} : { dpopProof: new Secret(dpopProof) }),
    correlation: correlation !== undefined && CORRELATION.test(correlation) ? correlation : undefined,
    trace: parseTraceparent(headerOf(context, TRACEPARENT)),
    userAgent: cleaned(headerOf(context, 'user-agent')),
  }
}

/** What a record may hold of a text that anybody may write: no character that means something to whoever prints it. */
function cleaned(text: string | undefined): string | undefined {
  return text?.slice(0, USER_AGENT_CHARS_MAX).replaceAll(/[^\x20-\x7e]/g, '?')
}

function apiKeyIn(authorization: string | undefined): Secret | undefined {
  if (authorization === undefined || !BEARER.test(authorization)) return undefined
  const text = authorization.slice('Bearer '.length)
  return text.startsWith(API_KEY_PREFIX) ? new Secret(text) : undefined
}

const SCHEMES = ['bearer', 'dpop'] as const

/** RFC 6750 §2.1 or RFC 9449 §7.1, header only. @throws Rejection `bearer_invalid` for a token that is no compact JWS */
export function readPresented(context: Context, facts: RequestFacts, issuer: string): PresentedToken | undefined {
  const authorization = headerOf(context, 'authorization')
  if (authorization === undefined) return undefined
  const [name, text, ...rest] = authorization.split(' ')
  const scheme = SCHEMES.find((known) => known === name?.toLowerCase())
  if (scheme === undefined || text === undefined || rest.length > 0) {
    throw new Rejection('bearer_invalid', `Authorization must be ${SCHEMES.join(' or ')} and one token`)
  }
  const token = parseTokenParameter(text, 'the token in Authorization', 'bearer_invalid')
  // The path alone is the request's: whom it calls its Host is nothing to us.
  return { scheme, token, method: context.req.method, url: new URL(issuer).origin + context.req.path, facts }
}

const FORM = 'application/x-www-form-urlencoded'

/** The text of a form body. @throws Rejection `media_type_unsupported`, `body_too_large`, `body_malformed` */
export async function readFormText(context: Context): Promise<string> {
  requireMediaType(context, FORM)
  return readText(context, BODY_BYTES_MAX)
}

/** @throws Rejection as above */
export async function readJsonText(context: Context): Promise<string> {
  requireMediaType(context, 'application/json')
  return readText(context, BODY_BYTES_MAX)
}

/** A body that may be long, piece by piece: what is made of it is made elsewhere. @throws Rejection as above */
export async function takeJson(context: Context, bytesMax: number, take: Take): Promise<void> {
  requireMediaType(context, 'application/json')
  requireShort(context, bytesMax)
  if (!(await takeBody(context, bytesMax, take))) throw tooLarge(bytesMax)
}

function requireMediaType(context: Context, expected: string): void {
  const type = (headerOf(context, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (type !== expected) throw new Rejection('media_type_unsupported', `the body must be ${expected}`)
  // A compressed body would pass the cap and grow behind it.
  if (headerOf(context, 'content-encoding') !== undefined) {
    throw new Rejection('media_type_unsupported', 'compressed bodies are not accepted')
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })

function requireShort(context: Context, bytesMax: number): void {
  const declared = Number(headerOf(context, 'content-length') ?? '0')
  if (declared > bytesMax) throw tooLarge(bytesMax)
}

async function readText(context: Context, bytesMax: number): Promise<string> {
  requireShort(context, bytesMax)
  const bytes = await bodyOf(context, bytesMax)
  if (bytes === undefined) throw tooLarge(bytesMax)
  // What nearly every body is, and read in a fraction of the time.
  if (isAscii(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  try {
    return UTF8.decode(bytes)
  } catch {
    throw new Rejection('body_malformed', 'the body is not UTF-8')
  }
}

function tooLarge(bytesMax: number): Rejection {
  return new Rejection('body_too_large', `the body exceeds ${bytesMax} bytes`)
}
