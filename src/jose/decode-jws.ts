/**
 * JWS compact serialisation (RFC 7515 §7.1) and the JWT inside it (RFC 7519), taken apart without trusting any of it.
 *
 * Validates: size before anything else; exactly three canonical parts; header and claims are strict JSON objects; no header
 * member that brings its own key (but in a DPoP proof, which is about that key), changes what is signed, or nests another
 * token; a known asymmetric `alg`.
 * Does not validate: the signature, and therefore nothing the token says. See `verify-jwt.ts`.
 */
import { isAscii } from 'node:buffer'
import { NAME_CHARS_MAX, TOKEN_CHARS_MAX } from '../kernel/limits.ts'
import type { Secret } from '../kernel/secret.ts'
import { findAlgorithm } from './algorithms.ts'
import { decodeBase64url } from './base64url.ts'
import { JwtError } from './jwt-error.ts'
import { isName } from './name.ts'
import { isJsonObject, parseStrictJson } from './strict-json.ts'

export interface JwsHeader {
  readonly alg: string
  readonly kid: string | undefined
  /** Lower case, without the optional `application/` (RFC 7515 §4.1.9); `undefined`: the header has none. */
  readonly typ: string | undefined
}

export interface DecodedJws {
  readonly header: JwsHeader
  readonly payload: Buffer
  /** The text the signature covers: the first two parts with their dot. */
  readonly signingInput: string
  readonly signature: Uint8Array
}

export interface DecodedJwt {
  readonly header: JwsHeader
  readonly claims: Readonly<Record<string, unknown>>
  readonly signingInput: string
  readonly signature: Uint8Array
}

/**
 * `jwk jku x5u x5c`: a key chosen by whoever sends the token, and a request to an address of theirs. `crit b64`: another
 * meaning of the same bytes (RFC 7797). `zip enc`: compression and encryption that a JWS does not have.
 */
const REFUSED_MEMBERS = ['crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c', 'zip', 'enc'] as const

/** @throws JwtError `too_large` | `malformed` | `algorithm` */
export function decodeJws(token: Secret): DecodedJws {
  const parts = split(token)
  return { header: decodeHeader(parts.header), ...decodeRest(parts) }
}

/** RFC 9449 §4.2: the one kind of JWS that brings the key it is signed with, because that key is what it is about. */
export interface DecodedProof extends DecodedJwt {
  /** Somebody's JSON, unread. */
  readonly jwk: unknown
}

/** @throws JwtError `too_large` | `malformed` | `algorithm` */
export function decodeProof(proof: Secret): DecodedProof {
  const parts = split(proof)
  // Never kept like other headers: every stranger has a key of their own, and as many as they like.
  const { jwk, ...header } = parseObject(decodeBase64url(parts.header, 'the header'), 'the header')
  if (jwk === undefined) throw new JwtError('malformed', 'the header of a proof must have a jwk')
  const checked = checkHeader(header)
  const { payload, ...rest } = decodeRest(parts)
  return { header: checked, jwk, claims: parseObject(payload, 'the claims set'), ...rest }
}

/** The three texts between the dots, and what the last of them signs. */
interface Parts {
  readonly header: string
  readonly payload: string
  readonly signature: string
  /** The first two, with their dot. */
  readonly signingInput: string
}

function split(token: Secret): Parts {
  if (token.length > TOKEN_CHARS_MAX) {
    throw new JwtError('too_large', `a token must not exceed ${TOKEN_CHARS_MAX} characters`)
  }
  const text = token.reveal()
  const first = text.indexOf('.')
  const second = text.indexOf('.', first + 1)
  if (first <= 0 || second < 0 || text.includes('.', second + 1)) {
    throw new JwtError('malformed', 'a token must have exactly three parts (RFC 7515 section 7.1)')
  }
  return {
    header: text.slice(0, first),
    payload: text.slice(first + 1, second),
    signature: text.slice(second + 1),
    signingInput: text.slice(0, second),
  }
}

function decodeRest(parts: Parts): Omit<DecodedJws, 'header'> {
  const payload = decodeBase64url(parts.payload, 'the payload')
  const signature = decodeBase64url(parts.signature, 'the signature')
  if (signature.length === 0) throw new JwtError('malformed', 'a token must be signed')
  return { payload, signingInput: parts.signingInput, signature }
}

/** A token is taken apart once, however many stages of a request look at it. @throws JwtError `too_large` | `malformed` | `algorithm` */
export function decodeJwt(token: Secret): DecodedJwt {
  return token.derived(takeApart)
}

function takeApart(token: Secret): DecodedJwt {
  const { header, payload, signingInput, signature } = decodeJws(token)
  return { header, claims: parseObject(payload, 'the claims set'), signingInput, signature }
}

/**
 * The `iss` a token claims, only to look up which configured issuer's rules it must then pass. Grants nothing: an unknown
 * value must be refused without any network access.
 * @throws JwtError as `decodeJwt`; `issuer` when it names none
 */
export function peekIssuer(token: Secret): string {
  const { claims } = decodeJwt(token)
  const issuer = Object.hasOwn(claims, 'iss') ? claims['iss'] : undefined
  if (typeof issuer !== 'string' || issuer === '') throw new JwtError('issuer', 'iss must be a non-empty string')
  return issuer
}

/** Signers write one header for all their tokens: by its text, and forgotten together when there are too many. */
const decodedHeaders = new Map<string, JwsHeader>()
const HEADERS_MAX = 512
/** Longer ones are nobody's habit. */
const KEPT_HEADER_CHARS_MAX = 512

function decodeHeader(part: string): JwsHeader {
  const known = decodedHeaders.get(part)
  if (known !== undefined) return known
  const header = parseHeader(part)
  if (part.length > KEPT_HEADER_CHARS_MAX) return header
  if (decodedHeaders.size >= HEADERS_MAX) decodedHeaders.clear()
  // A copy: a part of a token's text would keep all of that text in memory.
  decodedHeaders.set(Buffer.from(part, 'latin1').toString('latin1'), header)
  return header
}

function parseHeader(part: string): JwsHeader {
  return checkHeader(parseObject(decodeBase64url(part, 'the header'), 'the header'))
}

function checkHeader(header: Readonly<Record<string, unknown>>): JwsHeader {
  const member = (name: string): unknown => (Object.hasOwn(header, name) ? header[name] : undefined)
  for (const name of REFUSED_MEMBERS) {
    if (Object.hasOwn(header, name)) throw new JwtError('malformed', `the header member ${name} is not accepted`)
  }
  const [alg, kid] = [member('alg'), member('kid')]
  if (!isName(alg)) throw new JwtError('algorithm', 'the header must name its alg')
  if (findAlgorithm(alg) === undefined)
    throw new JwtError('algorithm', 'the alg is not a supported signature algorithm')
  if (kid !== undefined && !isName(kid)) {
    throw new JwtError('malformed', `kid must be a string of 1 to ${NAME_CHARS_MAX} characters`)
  }
  if (normaliseMediaType(member('cty'), 'cty') === 'jwt') {
    throw new JwtError('malformed', 'a token inside a token is not accepted (RFC 7519 section 5.2)')
  }
  return { alg, kid, typ: normaliseMediaType(member('typ'), 'typ') }
}

/** RFC 7515 §4.1.9: case-insensitive, `application/` implied where there is no other slash. */
function normaliseMediaType(value: unknown, member: string): string | undefined {
  if (value === undefined) return undefined
  // ASCII only, before lower-casing: U+212A would otherwise become a plain k.
  if (typeof value !== 'string' || value.length > NAME_CHARS_MAX || !/^[\x21-\x7e]+$/.test(value)) {
    throw new JwtError('malformed', `${member} must be a media type`)
  }
  const lower = value.toLowerCase()
  const subtype = lower.startsWith('application/') ? lower.slice('application/'.length) : lower
  return subtype === '' || subtype.includes('/') ? lower : subtype
}

/** `ignoreBOM` keeps a byte order mark in the text, where JSON refuses it: one spelling per document. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function parseObject(bytes: Buffer, what: string): Record<string, unknown> {
  const value = parseStrictJson(textOf(bytes, what))
  if (!isJsonObject(value)) throw new JwtError('malformed', `${what} must be a JSON object`)
  return value
}

/** Nearly every token is plain ASCII, which is read in a fraction of the time. */
function textOf(bytes: Buffer, what: string): string {
  if (isAscii(bytes)) return bytes.toString('latin1')
  try {
    return UTF8.decode(bytes)
  } catch {
    throw new JwtError('malformed', `${what} must be UTF-8`)
  }
}
