/**
 * The signature algorithms Errand knows: asymmetric only. `none` and HS* are not refused by name, they do not exist here
 * (RFC 8725 §2.1, §3.1), so no configuration can allow them.
 */

export type EcCurve = 'P-256' | 'P-384' | 'P-521'

export interface Algorithm {
  /** The fully specified name (RFC 9864): `Ed25519` for the polymorphic `EdDSA`. */
  readonly name: string
  readonly kty: 'EC' | 'RSA' | 'OKP'
  readonly crv: EcCurve | 'Ed25519' | undefined
  /** As node:crypto names it; `null` where the algorithm hashes for itself. */
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null
  /** RSASSA-PSS instead of PKCS #1 v1.5. */
  readonly pss: boolean
  /** Length of a signature; `undefined`: that of the RSA modulus. */
  readonly signatureBytes: number | undefined
}

function ecdsa(name: string, crv: EcCurve, hash: Algorithm['hash'], signatureBytes: number): Algorithm {
  return { name, kty: 'EC', crv, hash, pss: false, signatureBytes }
}

function rsa(name: string, hash: Algorithm['hash']): Algorithm {
  return { name, kty: 'RSA', crv: undefined, hash, pss: name.startsWith('PS'), signatureBytes: undefined }
}

const ED25519: Algorithm = {
  name: 'Ed25519',
  kty: 'OKP',
  crv: 'Ed25519',
  hash: null,
  pss: false,
  signatureBytes: 64,
}

/** A null prototype: `constructor` or `__proto__` as a header's `alg` finds nothing. */
const REGISTRY: Readonly<Record<string, Algorithm>> = Object.freeze(
  Object.assign(Object.create(null), {
    ES256: ecdsa('ES256', 'P-256', 'sha256', 64),
    ES384: ecdsa('ES384', 'P-384', 'sha384', 96),
    ES512: ecdsa('ES512', 'P-521', 'sha512', 132),
    RS256: rsa('RS256', 'sha256'),
    RS384: rsa('RS384', 'sha384'),
    RS512: rsa('RS512', 'sha512'),
    PS256: rsa('PS256', 'sha256'),
    PS384: rsa('PS384', 'sha384'),
    PS512: rsa('PS512', 'sha512'),
    Ed25519: ED25519,
    // RFC 8037 §3.1 names two curves EdDSA; here it is only the old name of Ed25519.
    EdDSA: ED25519,
  }),
)

export const ALGORITHM_NAMES: readonly string[] = Object.freeze(Object.keys(REGISTRY))

export function findAlgorithm(name: string): Algorithm | undefined {
  return REGISTRY[name]
}

/** The one algorithm a curve fixes; RSA keys fix none. */
export function algorithmOfCurve(crv: unknown): Algorithm | undefined {
  return typeof crv === 'string' ? Object.values(REGISTRY).find((algorithm) => algorithm.crv === crv) : undefined
}
