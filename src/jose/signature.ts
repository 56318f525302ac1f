/**
 * The one door to `crypto.sign` and `crypto.verify`. What takes long runs on the thread pool, so that a burst of signatures
 * does not stop the event loop. Signing on an elliptic curve does not: handing it over costs more than doing it (measured).
 *
 * Validates: the key's type, half and curve fit the algorithm; the signature's exact length; ECDSA ranges (`ecdsa-form.ts`).
 * Does not validate: whether this key may be used here; that is `key-set.ts`.
 */
import { constants, type KeyObject, type SignKeyObjectInput, sign, verify } from 'node:crypto'
import { type Algorithm, type EcCurve, findAlgorithm } from './algorithms.ts'
import { derFromP1363, p1363FromDer } from './ecdsa-form.ts'
import { JwtError } from './jwt-error.ts'

/** OpenSSL's names of the curves. */
const NAMED_CURVE: Readonly<Record<EcCurve, string>> = {
  'P-256': 'prime256v1',
  'P-384': 'secp384r1',
  'P-521': 'secp521r1',
}
const KEY_TYPE = { EC: 'ec', RSA: 'rsa', OKP: 'ed25519' } as const

/** @throws JwtError `algorithm` | `key` when the key is not a private key of this algorithm. */
export async function signBytes(alg: string, key: KeyObject, input: string | Uint8Array): Promise<Uint8Array> {
  const algorithm = algorithmFor(alg, key, 'private')
  const signature =
    algorithm.kty === 'RSA' ? await signInPool(algorithm, key, input) : sign(algorithm.hash, bytesOf(input), key)
  return algorithm.kty === 'EC' ? p1363FromDer(signature, algorithm.crv as EcCurve) : signature
}

function signInPool(algorithm: Algorithm, key: KeyObject, input: string | Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(algorithm.hash, bytesOf(input), keyInput(algorithm, key), (error, made) =>
      error === null ? resolve(made) : reject(error),
    )
  })
}

/**
 * `false`: not a signature by this key.
 * @throws JwtError `algorithm` | `key` when the key is not a public key of this algorithm: an error of the caller.
 */
export async function verifyBytes(
  alg: string,
  key: KeyObject,
  input: string | Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const algorithm = algorithmFor(alg, key, 'public')
  const presented = presentedTo(algorithm, key, signature)
  if (presented === undefined) return false
  return new Promise<boolean>((resolve, reject) => {
    verify(algorithm.hash, bytesOf(input), keyInput(algorithm, key), presented, (error, valid) =>
      error === null ? resolve(valid === true) : reject(error),
    )
  })
}

/**
 * The same on this thread: less work in all, and the event loop waits for it (ES256: 75 µs). For those who see few signatures
 * for the first time.
 * @throws JwtError as `verifyBytes`
 */
export function verifyBytesHere(
  alg: string,
  key: KeyObject,
  input: string | Uint8Array,
  signature: Uint8Array,
): boolean {
  const algorithm = algorithmFor(alg, key, 'public')
  const presented = presentedTo(algorithm, key, signature)
  return presented !== undefined && verify(algorithm.hash, bytesOf(input), keyInput(algorithm, key), presented)
}

/** In the form that OpenSSL reads; `undefined`: it has none. */
function presentedTo(algorithm: Algorithm, key: KeyObject, signature: Uint8Array): Uint8Array | undefined {
  return algorithm.kty === 'EC'
    ? derFromP1363(signature, algorithm.crv as EcCurve)
    : exactLength(algorithm, key, signature)
}

/** The bare key wherever possible: an options object costs a conversion per call. */
function keyInput(algorithm: Algorithm, key: KeyObject): KeyObject | SignKeyObjectInput {
  if (!algorithm.pss) return key
  // RFC 7518 §3.5: the salt is as long as the hash, never "whatever the signature says".
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
}

/** A key's type and curve never change, and reading them is a call into OpenSSL: each key is asked once per algorithm. */
const fitting = new WeakMap<KeyObject, string>()

function algorithmFor(alg: string, key: KeyObject, half: 'private' | 'public'): Algorithm {
  const algorithm = findAlgorithm(alg)
  if (algorithm === undefined) throw new JwtError('algorithm', 'the algorithm is not supported')
  const asked = `${half} ${algorithm.name}`
  if (fitting.get(key) === asked) return algorithm
  const fits =
    key.type === half &&
    key.asymmetricKeyType === KEY_TYPE[algorithm.kty] &&
    (algorithm.kty !== 'EC' || key.asymmetricKeyDetails?.namedCurve === NAMED_CURVE[algorithm.crv as EcCurve])
  if (!fits) throw new JwtError('key', `not a ${half} key for this algorithm`)
  fitting.set(key, asked)
  return algorithm
}

function exactLength(algorithm: Algorithm, key: KeyObject, signature: Uint8Array): Uint8Array | undefined {
  const bytes = algorithm.signatureBytes ?? Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8)
  return signature.length === bytes ? signature : undefined
}

function bytesOf(input: string | Uint8Array): Uint8Array {
  return typeof input === 'string' ? Buffer.from(input, 'utf8') : input
}
