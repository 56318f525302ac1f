/** Requests as they arrive: facts read once, bodies read once with a counted cap. */
import { getConnInfo } from '@hono/node-server/conninfo'
import type { Context } from 'hono'
import { parseTokenParameter } from '../credentials/token-parameter.ts'
import { BODY_BYTES_MAX, NAME_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import type { SourceOf } from './source-address.ts'

const CORRELATION = /^[A-Za-z0-9._:-]{1,128}$/

export function readFacts(context: Context, sourceOf: SourceOf): RequestFacts {
  const correlation = context.req.header('x-request-id')
  const authorization = context.req.header('authorization')
  return {
    source: sourceOf(peerAddress(context), context.req.header('x-forwarded-for')),
    authorizationScheme: authorization?.split(' ', 1)[0]?.toLowerCase().slice(0, NAME_CHARS_MAX),
    correlation: correlation !== undefined && CORRELATION.test(correlation) ? correlation : undefined,
  }
}

function peerAddress(context: Context): string {
  try {
    return getConnInfo(context).remote.address ?? 'unknown'
  } catch {
    return 'unknown' // in-process requests have no socket
  }
}

/** RFC 6750 §2.1, header only. @throws Rejection `bearer_invalid` for a token that is no compact JWS */
export function readBearer(context: Context): Secret | undefined {
  const authorization = context.req.header('authorization')
  if (authorization === undefined) return undefined
  const [scheme, token, ...rest] = authorization.split(' ')
  if (scheme?.toLowerCase() !== 'bearer' || token === undefined || rest.length > 0) {
    throw new Rejection('bearer_invalid', 'Authorization must be Bearer and one token')
  }
  try {
    return parseTokenParameter(token, 'the bearer token')
  } catch (cause) {
    throw new Rejection('bearer_invalid', 'the bearer token is not a JWT', { cause })
  }
}

const FORM = 'application/x-www-form-urlencoded'

/** The text of a form body. @throws Rejection `media_type_unsupported`, `body_too_large`, `body_malformed` */
export async function readFormText(context: Context): Promise<string> {
  requireMediaType(context, FORM)
  return readText(context)
}

/** @throws Rejection as above */
export async function readJsonText(context: Context): Promise<string> {
  requireMediaType(context, 'application/json')
  return readText(context)
}

function requireMediaType(context: Context, expected: string): void {
  const type = (context.req.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (type !== expected) throw new Rejection('media_type_unsupported', `the body must be ${expected}`)
  // A compressed body would pass the cap and grow behind it.
  if (context.req.header('content-encoding') !== undefined) {
    throw new Rejection('media_type_unsupported', 'compressed bodies are not accepted')
  }
}

async function readText(context: Context): Promise<string> {
  const declared = Number(context.req.header('content-length') ?? '0')
  if (declared > BODY_BYTES_MAX) throw tooLarge()
  const stream = context.req.raw.body
  if (stream === null) return ''
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength
    if (bytes > BODY_BYTES_MAX) throw tooLarge()
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new Rejection('body_malformed', 'the body is not UTF-8')
  }
}

function tooLarge(): Rejection {
  return new Rejection('body_too_large', `the body exceeds ${BODY_BYTES_MAX} bytes`)
}
