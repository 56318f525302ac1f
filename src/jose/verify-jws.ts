/**
 * The cryptographic half of verification: the algorithm is allowed, the key is the one named, the signature is its own.
 *
 * Validates: `alg` against the caller's allow-list; the key by `kid` and algorithm; the signature.
 * Does not validate: `typ`, nor anything in the payload.
 */
import type { Secret } from '../kernel/secret.ts'
import type { DecodedJws, DecodedJwt } from './decode-jws.ts'
import type { PublicKey } from './jwk.ts'
import { JwtError } from './jwt-error.ts'
import type { KeySet } from './key-set.ts'
import type { SeenSignatures } from './seen-signatures.ts'
import { verifyBytes, verifyBytesHere } from './signature.ts'

export interface SignatureRules {
  readonly keys: KeySet
  readonly algorithms: readonly string[]
}

/**
 * On the thread pool.
 * @param again where the token may have been presented before: what is remembered of it
 * @throws JwtError `algorithm` | `key` | `signature`
 */
export async function verifyJws(
  jws: DecodedJws | DecodedJwt,
  rules: SignatureRules,
  again?: { readonly token: Secret; readonly seen: SeenSignatures },
): Promise<void> {
  const key = keyOf(jws, rules)
  if (again?.seen.has(again.token, key) === true) return
  // The key's own algorithm decides, not the header's spelling of it.
  const valid = await verifyBytes(key.alg, key.key, signed(jws), jws.signature)
  if (!valid) throw new JwtError('signature', 'the signature does not verify')
  again?.seen.add(again.token, key)
}

/** On this thread (`signature.ts`). Gives the key it was. @throws JwtError `algorithm` | `key` | `signature` */
export function verifyJwsHere(jws: DecodedJws | DecodedJwt, rules: SignatureRules): PublicKey {
  const key = keyOf(jws, rules)
  const valid = verifyBytesHere(key.alg, key.key, signed(jws), jws.signature)
  if (!valid) throw new JwtError('signature', 'the signature does not verify')
  return key
}

function keyOf({ header: { alg, kid } }: DecodedJws | DecodedJwt, { keys, algorithms }: SignatureRules): PublicKey {
  if (!algorithms.includes(alg)) throw new JwtError('algorithm', 'the alg is not allowed here')
  const key = keys.select(kid, alg)
  if (key === undefined) throw new JwtError('key', 'no single key of the issuer fits the kid and alg of the token')
  return key
}

/** Canonical base64url and a dot: one octet per character. */
function signed({ signingInput }: DecodedJws | DecodedJwt): Uint8Array {
  return Buffer.from(signingInput, 'latin1')
}
