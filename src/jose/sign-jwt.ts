/**
 * Signing of our own JWTs: the header is always `{alg, kid, typ}`, so that no token of ours can be taken for another kind
 * (RFC 8725 §3.11) or needs its key guessed.
 *
 * Does not validate: the claims. Who mints decodes the result again and compares.
 */
import type { KeyObject } from 'node:crypto'
import { getOrInsertComputed } from '../kernel/maps.ts'
import { encodeBase64url } from './base64url.ts'
import { JwtError } from './jwt-error.ts'
import { isName } from './name.ts'
import { signBytes } from './signature.ts'

export interface SigningKey {
  readonly kid: string
  readonly alg: string
  /** The private half. */
  readonly key: KeyObject
}

/** @throws JwtError `key` | `algorithm` */
export async function signJwt(
  key: SigningKey,
  typ: string,
  claims: Readonly<Record<string, unknown>>,
): Promise<string> {
  const input = `${encodedHeader(key, typ)}.${encodeBase64url(JSON.stringify(claims))}`
  const signature = await signBytes(key.alg, key.key, input)
  return `${input}.${encodeBase64url(signature)}`
}

/** By key and `typ`: a key signs tokens of a few kinds, and all of a kind have one header. */
const headers = new WeakMap<SigningKey, Map<string, string>>()

function encodedHeader(key: SigningKey, typ: string): string {
  const ofKey = getOrInsertComputed(headers, key, () => new Map<string, string>())
  return getOrInsertComputed(ofKey, typ, () => {
    if (!isName(key.kid)) throw new JwtError('key', 'a signing key must have a kid')
    if (!isName(typ)) throw new JwtError('typ', 'a token must say its typ')
    return encodeBase64url(JSON.stringify({ alg: key.alg, kid: key.kid, typ }))
  })
}
