/**
 * What makes an RSA public key acceptable: its size, its exponent, and that it is not one of the keys that vulnerable
 * smart cards and TPMs made (ROCA, CVE-2017-15361), whose factors can be computed from the public half.
 *
 * Does not validate: that the modulus is a product of two primes (nobody outside can).
 */
import { RSA_BITS_MAX, RSA_BITS_MIN } from '../kernel/limits.ts'
import { JwtError } from './jwt-error.ts'

/** Exponents above 32 bits serve nobody, cost time to verify with, and other implementations refuse them. */
const EXPONENT_BYTES_MAX = 4

/** @throws JwtError `key` */
export function checkRsaKey(modulus: Uint8Array, exponent: Uint8Array): void {
  const n = integerOf(modulus, 'n')
  const e = integerOf(exponent, 'e')
  const bits = n.toString(2).length
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
    throw new JwtError('key', `an RSA modulus must have ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits`)
  }
  // With e = 1 every message is its own signature; an even e is no RSA key at all.
  if (exponent.length > EXPONENT_BYTES_MAX || e < 3n || e % 2n === 0n) {
    throw new JwtError('key', 'an RSA exponent must be odd, at least 3 and at most 32 bits')
  }
  if (n % 2n === 0n) throw new JwtError('key', 'an RSA modulus must be odd')
  if (hasRocaFingerprint(n)) throw new JwtError('key', 'the RSA modulus carries the ROCA fingerprint (CVE-2017-15361)')
}

/** Base64urlUInt (RFC 7518 §2): no leading zero octet, so that a key has one spelling and one thumbprint. */
function integerOf(bytes: Uint8Array, member: string): bigint {
  if (bytes.length === 0 || bytes[0] === 0) {
    throw new JwtError('key', `the RSA member ${member} must be a minimal unsigned integer (RFC 7518 section 2)`)
  }
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

const ROCA_PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
  127, 131, 137, 139, 149, 151, 157, 163, 167,
]

/** For each small prime, the residues a vulnerable modulus can have: the powers of 65537. */
const ROCA_RESIDUES: readonly (readonly [bigint, ReadonlySet<number>])[] = ROCA_PRIMES.map((prime) => {
  const residues = new Set<number>()
  for (let power = 1; !residues.has(power); power = (power * 65_537) % prime) residues.add(power)
  return [BigInt(prime), residues]
})

/** Vulnerable primes are `k·M + 65537^a mod M`; an honest modulus passes this by chance once in 2^27. */
function hasRocaFingerprint(n: bigint): boolean {
  return ROCA_RESIDUES.every(([prime, residues]) => residues.has(Number(n % prime)))
}
