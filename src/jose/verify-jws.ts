/**
 * The cryptographic half of verification: the algorithm is allowed, the key is the one named, the signature is its own.
 *
 * Validates: `alg` against the caller's allow-list; the key by `kid` and algorithm; the signature.
 * Does not validate: `typ`, nor anything in the payload.
 */
import type { DecodedJws, DecodedJwt } from './decode-jws.ts'
import { JwtError } from './jwt-error.ts'
import type { KeySet } from './key-set.ts'
import { verifyBytes } from './signature.ts'

/** @throws JwtError `algorithm` | `key` | `signature` */
export async function verifyJws(
  jws: DecodedJws | DecodedJwt,
  keys: KeySet,
  algorithms: readonly string[],
): Promise<void> {
  const { alg, kid } = jws.header
  if (!algorithms.includes(alg)) throw new JwtError('algorithm', 'the alg is not allowed here')
  const key = keys.select(kid, alg)
  if (key === undefined) throw new JwtError('key', 'no single key of the issuer fits the kid and alg of the token')
  // The key's own algorithm decides, not the header's spelling of it.
  const valid = await verifyBytes(key.alg, key.key, jws.signingInput, jws.signature)
  if (!valid) throw new JwtError('signature', 'the signature does not verify')
}
