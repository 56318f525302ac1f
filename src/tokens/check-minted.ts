/**
 * Sign, re-read, assert, release: a token is decoded again as a stranger would decode it and compared with the decision it
 * was minted from, so that a fault in building claims cannot hand out more than was decided.
 */
import type { Authority, ToolLimits } from '../authority/authority.ts'
import { narrowsTool, parseToolConstraints } from '../authority/constraints.ts'
import { decodeJwt } from '../jose/decode-jws.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { MINTED_TOKEN_BYTES_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import { parseScope } from '../protocol/scope.ts'

export interface Expected {
  readonly typ: string
  readonly kid: string
  /** What each claim must say, in the order its members are written; `undefined`: it must be absent. No other may be there. */
  readonly claims: Readonly<Record<string, unknown>>
  /** `undefined`: a token without a session. */
  readonly authority: Authority | undefined
}

/** @throws Rejection `token_too_large`; Error where the token does not say what was decided (a fault of ours, never sent). */
export function checkMinted(token: Secret, expected: Expected): void {
  if (token.length > MINTED_TOKEN_BYTES_MAX) {
    throw new Rejection(
      'token_too_large',
      `the token would exceed ${MINTED_TOKEN_BYTES_MAX} bytes: ask for fewer tools`,
    )
  }
  const { header, claims } = decodeJwt(token)
  if (header.typ !== expected.typ || header.kid !== expected.kid) throw new Error('minted header differs')
  for (const [name, value] of Object.entries(expected.claims)) {
    if (!isSame(claims[name], value)) throw new Error(`minted claim ${name} differs from the decision`)
  }
  const known = expected.authority === undefined ? [] : AUTHORITY_CLAIMS
  for (const name of Object.keys(claims)) {
    if (!Object.hasOwn(expected.claims, name) && !known.includes(name))
      throw new Error(`minted claim ${name} is unknown`)
  }
  if (expected.authority !== undefined) checkAuthority(claims, expected.authority)
}

function isSame(minted: unknown, decided: unknown): boolean {
  if (typeof decided !== 'object' || decided === null) return minted === decided
  return JSON.stringify(minted) === JSON.stringify(decided)
}

/** Compared with the decided authority instead of letter by letter: less is fine, more is not. */
const AUTHORITY_CLAIMS: readonly string[] = ['scope', 'authorization_details', 'not_after']

function checkAuthority(claims: Readonly<Record<string, unknown>>, decided: Authority): void {
  const allowed = new Set([...decided.resources.values()].flatMap((resource) => resource.scopes))
  for (const scope of parseScope(String(claims['scope']))) {
    if (!allowed.has(scope)) throw new Error('minted scope exceeds the decision')
  }
  // Not `>`: an end that is absent or no number must not pass as an early one.
  if (!(Number(claims['not_after']) <= decided.notAfter && Number(claims['exp']) <= decided.notAfter)) {
    throw new Error('minted life exceeds the decision')
  }
  const details = claims['authorization_details']
  if (!Array.isArray(details)) throw new Error('minted details are missing')
  for (const object of details as readonly MintedDetails[]) checkDetails(object, decided)
}

interface MintedDetails {
  readonly locations: readonly string[]
  readonly tools: Readonly<Record<string, unknown>>
  readonly limits?: ToolLimits
}

function checkDetails(object: MintedDetails, decided: Authority): void {
  const resource = decided.resources.get(object.locations[0] as ResourceUrl)
  if (resource === undefined || object.locations.length !== 1) throw new Error('minted details exceed the decision')
  for (const [tool, constraints] of Object.entries(object.tools)) {
    const parent = resource.tools.get(tool)
    const widened = parent === undefined || narrowsTool(parseToolConstraints(constraints, tool), parent) !== undefined
    if (widened) throw new Error('minted details exceed the decision')
  }
  const most = resource.limits.maxCalls
  if (most !== undefined && !(Number(object.limits?.maxCalls) <= most))
    throw new Error('minted limits exceed the decision')
}
