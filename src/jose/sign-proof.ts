/** DPoP proofs as a client makes them (RFC 9449 §4.2): for commands that speak to a broker as an agent does. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { sha256 } from '../kernel/digest.ts'
import { newJti } from '../kernel/ids.ts'
import { Secret } from '../kernel/secret.ts'
import { encodeBase64url } from './base64url.ts'
import { publicMembers } from './jwk.ts'
import { signBytes } from './signature.ts'

export interface ProofRequest {
  readonly method: string
  readonly url: string
  /** The token the proof goes with; `undefined` at a token endpoint. */
  readonly token: Secret | undefined
  /** As the server asked for it. */
  readonly nonce: string | undefined
  /** Epoch seconds. */
  readonly now: number
}

/** @param key a private key on P-256. @throws JwtError `key` for any other */
export async function signDpopProof(key: KeyObject, request: ProofRequest): Promise<Secret> {
  const jwk = publicMembers(createPublicKey(key).export({ format: 'jwk' }))
  const { method, url, token, nonce, now } = request
  const ath = token === undefined ? {} : { ath: sha256(token.reveal()) }
  const claims = { jti: newJti(), htm: method, htu: url, iat: now, ...ath, ...(nonce === undefined ? {} : { nonce }) }
  const parts = [{ typ: 'dpop+jwt', alg: 'ES256', jwk }, claims].map((part) => encodeBase64url(JSON.stringify(part)))
  const input = parts.join('.')
  return new Secret(`${input}.${encodeBase64url(await signBytes('ES256', key, input))}`)
}
