/**
 * DPoP proofs (RFC 9449) as a client makes them, from one valid draft that a test breaks one member of. Signed with
 * node:crypto directly, and thumbprints computed by hand: nothing of `src/jose` takes part.
 */
import { createHash, randomUUID } from 'node:crypto'
import { signText, type TestKey, testKey } from './keys.ts'
import type { World } from './world.ts'

export interface ProofChange {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

export const holderKey = (name = 'holder', alg: TestKey['alg'] = 'ES256'): TestKey => testKey(`dpop-${name}`, alg)

/** Public members only (RFC 9449 §4.2). */
export function bareJwk(key: TestKey): Record<string, unknown> {
  return { ...key.publicKey.export({ format: 'jwk' }) }
}

/** RFC 7638 §3, spelled out. */
export function jktOf(key: TestKey): string {
  const { kty, crv, x, y, e, n } = bareJwk(key)
  const members = kty === 'RSA' ? { e, kty, n } : { crv, kty, x, ...(y === undefined ? {} : { y }) }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}

export const athOf = (token: string): string => createHash('sha256').update(token).digest('base64url')

/** For `POST /token` of this world, unless told otherwise; an `undefined` member is left out. */
export function proof(world: Pick<World, 'issuer' | 'now'>, key: TestKey, change: ProofChange = {}): string {
  const header = { typ: 'dpop+jwt', alg: key.alg, jwk: bareJwk(key), ...change.header }
  const claims = { jti: randomUUID(), htm: 'POST', htu: `${world.issuer}/token`, iat: world.now(), ...change.claims }
  return signText(key, JSON.stringify(header), JSON.stringify(claims)).reveal()
}

export const proving = (world: Pick<World, 'issuer' | 'now'>, key: TestKey, change?: ProofChange) => ({
  DPoP: proof(world, key, change),
})
