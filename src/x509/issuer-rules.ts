/**
 * The rules between a path so far and the authority that would extend it (RFC 5280 §6.1.3, §6.1.4), all but the signature:
 * cheap, and so judged first. The library's chain builder looks at names and signatures alone.
 */
import { RSA_BITS_MAX, RSA_BITS_MIN } from '../kernel/limits.ts'
import type { Certificate } from './certificate.ts'
import { CertificateError } from './certificate-error.ts'
import { KEY_USAGE, PURPOSE } from './extensions.ts'
import { keepsTo } from './name-constraints.ts'

/** Signature algorithms by object identifier, and the type of the key that makes them. No SHA-1, no MD5. */
const ALGORITHMS: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.11': 'rsa',
  '1.2.840.113549.1.1.12': 'rsa',
  '1.2.840.113549.1.1.13': 'rsa',
  '1.2.840.10045.4.3.2': 'ec',
  '1.2.840.10045.4.3.3': 'ec',
  '1.2.840.10045.4.3.4': 'ec',
  '1.3.101.112': 'ed25519',
}
const CURVES: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1']

/** @throws CertificateError `expired`, `unacceptable` for whatever any certificate of a path must be, its end included */
export function assertUsable(certificate: Certificate, now: number): void {
  // Whatever it says that nobody here understands may be what limits it.
  if (certificate.hasUnknownCritical) throw unacceptable('it has a critical extension that is not understood here')
  if (now < certificate.notBefore || now > certificate.notAfter) {
    throw new CertificateError('expired', 'it is not valid now')
  }
  assertStrongKey(certificate)
}

/**
 * @param below the path so far, its leaf first
 * @throws CertificateError `expired`, `unacceptable`
 */
export function assertMayIssue(
  issuer: Certificate,
  below: readonly Certificate[],
  isAuthority: boolean,
  now: number,
): void {
  assertUsable(issuer, now)
  const { isCa, keyUsage, pathLength, purposes, nameConstraints } = issuer
  if (!isCa) throw unacceptable('its issuer is not an authority (basicConstraints)')
  // §4.2.1.3 demands it of authorities; older roots, whom an operator has chosen by hand, may lack it.
  if (keyUsage === undefined ? !isAuthority : !keyUsage.bits.has(KEY_USAGE.certificateSigning)) {
    throw unacceptable('its issuer may not sign certificates (keyUsage)')
  }
  if (purposes !== undefined && !purposes.includes(PURPOSE.clientAuthentication) && !purposes.includes(PURPOSE.any)) {
    throw unacceptable('its issuer may not vouch for clients (extKeyUsage)')
  }
  // §6.1.4 (l): those that only renew their own name do not count.
  const intermediates = below.slice(1).filter(({ subject, issuer: by }) => subject !== by).length
  if (pathLength !== undefined && intermediates > pathLength)
    throw unacceptable('the path is too long for an authority in it')
  if (
    nameConstraints !== undefined &&
    !below.every((one, index) => isExempt(one, index) || keepsTo(nameConstraints, one))
  ) {
    throw unacceptable('an authority in its path may not vouch for its names (nameConstraints)')
  }
  const signedBy = below.at(-1)?.signatureAlgorithm ?? ''
  if (!Object.hasOwn(ALGORITHMS, signedBy) || ALGORITHMS[signedBy] !== issuer.publicKey.asymmetricKeyType) {
    throw unacceptable('it is signed with an algorithm that is not accepted')
  }
}

/** §6.1.3 (b): self-issued, unless it is the leaf. */
function isExempt({ subject, issuer }: Certificate, index: number): boolean {
  return index > 0 && subject === issuer
}

function assertStrongKey({ publicKey }: Certificate): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = details ?? {}
  const isStrong =
    type === 'ed25519' ||
    (type === 'ec' && CURVES.includes(namedCurve)) ||
    (type === 'rsa' &&
      modulusLength >= RSA_BITS_MIN &&
      modulusLength <= RSA_BITS_MAX &&
      publicExponent >= 3n &&
      publicExponent % 2n === 1n &&
      // Larger ones serve nobody, and cost whoever verifies.
      publicExponent < 2n ** 32n)
  if (!isStrong) throw unacceptable('its key, or that of an authority in its path, is of a kind that is not accepted')
}

function unacceptable(message: string): CertificateError {
  return new CertificateError('unacceptable', message)
}
