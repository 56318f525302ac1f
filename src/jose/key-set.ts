/**
 * KeySet: the keys one issuer may sign with, each bound to one algorithm, chosen by `kid` and never by trial.
 *
 * Validates: bounds, unambiguous `kid`s, no private or symmetric key anywhere in the document; each key as in `jwk.ts`.
 * Does not validate: where the document came from, nor its age.
 */
import { JWKS_KEYS_MAX } from '../kernel/limits.ts'
import { findAlgorithm } from './algorithms.ts'
import { holdsSecret, importPublicJwk, type PublicKey } from './jwk.ts'
import { JwtError } from './jwt-error.ts'
import { isJsonObject } from './strict-json.ts'

/** A key of the document that is not used, and why: for the log. */
export interface SkippedKey {
  /** Position in the document, from 0. */
  readonly index: number
  readonly reason: string
}

/** A registered client's keys are one array for as long as the registry stands, and asked for at each of its requests. */
const ofArrays = new WeakMap<readonly PublicKey[], KeySet>()

export class KeySet {
  readonly #keys: readonly PublicKey[]
  readonly skipped: readonly SkippedKey[]
  /** Of its keys, as headers spell them: most signers still write EdDSA (RFC 8037) where RFC 9864 says Ed25519. */
  readonly algorithms: readonly string[]

  private constructor(keys: readonly PublicKey[], skipped: readonly SkippedKey[]) {
    this.#keys = keys
    this.skipped = skipped
    this.algorithms = keys.flatMap(({ alg }) => (alg === 'Ed25519' ? ['Ed25519', 'EdDSA'] : [alg]))
  }

  /** @throws JwtError `key` when two keys could answer to one (kid, algorithm). */
  static of(keys: readonly PublicKey[], skipped: readonly SkippedKey[] = []): KeySet {
    const known = ofArrays.get(keys)
    if (known !== undefined && skipped.length === 0) return known
    const made = KeySet.#make(keys, skipped)
    if (skipped.length === 0) ofArrays.set(keys, made)
    return made
  }

  static #make(keys: readonly PublicKey[], skipped: readonly SkippedKey[]): KeySet {
    const named = keys.filter((key) => key.kid !== undefined).map((key) => `${key.alg} ${key.kid}`)
    if (new Set(named).size !== named.length) throw new JwtError('key', 'two keys must not share a kid')
    return new KeySet([...keys], skipped)
  }

  get size(): number {
    return this.#keys.length
  }

  /** Whether a key of this name is here, for any algorithm: an unknown one is worth asking the issuer again, not trust. */
  has(kid: string): boolean {
    return this.#keys.some((key) => key.kid === kid)
  }

  /**
   * The one key that may have signed. A token that names no key is verified only where there is no choice: trying each
   * would let any key of the set answer for another (RFC 8725 §3.1).
   */
  select(kid: string | undefined, alg: string): PublicKey | undefined {
    const name = findAlgorithm(alg)?.name
    if (name === undefined) return undefined
    let found: PublicKey | undefined
    for (const key of this.#keys) {
      if (key.alg !== name || (kid !== undefined && key.kid !== kid)) continue
      if (found !== undefined) return undefined
      found = key
    }
    return found
  }
}

/**
 * RFC 7517 §5. Keys for encryption, of unknown types or of algorithms outside `algorithms` are skipped, weak or broken ones
 * too: they are simply not trusted. A private or symmetric key, or two keys with one `kid`, condemn the whole document:
 * it is compromised or ambiguous. A document without usable keys is a valid, empty set: its issuer has withdrawn them.
 * @throws JwtError `key`
 */
export function parseKeySet(document: unknown, algorithms: readonly string[]): KeySet {
  const keys = isJsonObject(document) && Object.hasOwn(document, 'keys') ? document['keys'] : undefined
  if (!Array.isArray(keys)) throw new JwtError('key', 'a JWK set must be an object with an array of keys')
  if (keys.length > JWKS_KEYS_MAX) throw new JwtError('key', `a JWK set must not exceed ${JWKS_KEYS_MAX} keys`)
  const kids = new Set<unknown>()
  for (const jwk of keys) {
    if (!isJsonObject(jwk)) throw new JwtError('key', 'a JWK must be a JSON object')
    if (holdsSecret(jwk)) throw new JwtError('key', 'a published JWK set must not hold private or symmetric keys')
    if (jwk['kid'] === undefined) continue
    if (kids.has(jwk['kid'])) throw new JwtError('key', 'two keys of a JWK set must not share a kid')
    kids.add(jwk['kid'])
  }
  const allowed = [...new Set(algorithms.flatMap((name) => findAlgorithm(name)?.name ?? []))]
  const accepted: PublicKey[] = []
  const skipped: SkippedKey[] = []
  keys.forEach((jwk: Record<string, unknown>, index) => {
    try {
      const imported = importForEach(jwk, allowed)
      if (imported.length === 0) skipped.push({ index, reason: 'its algorithm is not allowed for this issuer' })
      accepted.push(...imported)
    } catch (error) {
      if (!(error instanceof JwtError)) throw error
      skipped.push({ index, reason: error.message })
    }
  })
  return KeySet.of(accepted, skipped)
}

/** An RSA key that does not say its algorithm stands once for each that the issuer's allow-list gives it. */
function importForEach(jwk: Record<string, unknown>, allowed: readonly string[]): PublicKey[] {
  if (jwk['alg'] !== undefined || jwk['kty'] !== 'RSA') {
    const key = importPublicJwk(jwk)
    return allowed.includes(key.alg) ? [key] : []
  }
  return allowed.filter((name) => findAlgorithm(name)?.kty === 'RSA').map((name) => importPublicJwk(jwk, name))
}
