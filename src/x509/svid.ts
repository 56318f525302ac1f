/**
 * X.509-SVIDs (SPIFFE X509-SVID §2 to §5): whose a client's certificate is, and that an authority of exactly that trust domain
 * vouches for it.
 *
 * Validates: exactly one URI among its names, a SPIFFE ID with a path; not an authority, may not sign certificates or
 * revocation lists, may sign as itself (`digitalSignature`); extended key usage, where it has one, for clients; the path
 * (`path.ts`); and that an authority in it that has a SPIFFE ID has one of this trust domain.
 * Does not validate: that its presenter holds the key: the TLS handshake has.
 */
import { X509_PRESENTED_MAX } from '../kernel/limits.ts'
import { parseSpiffeId, type SpiffeId } from '../protocol/spiffe-id.ts'
import { type Certificate, decodeCertificate } from './certificate.ts'
import { CertificateError } from './certificate-error.ts'
import { KEY_USAGE, PURPOSE } from './extensions.ts'
import { findPath, type PathSources } from './path.ts'

/** Read, not believed. */
export interface ClaimedSvid {
  readonly leaf: Certificate
  readonly intermediates: readonly Certificate[]
  readonly spiffeId: SpiffeId
}

/**
 * @param presented DER, the client's own first
 * @throws CertificateError `malformed`, `unacceptable`
 */
export function readSvid(presented: readonly Uint8Array[]): ClaimedSvid {
  if (presented.length > X509_PRESENTED_MAX) {
    throw new CertificateError('malformed', `more than ${X509_PRESENTED_MAX} certificates were presented`)
  }
  const [leaf, ...intermediates] = presented.map(decodeCertificate)
  if (leaf === undefined) throw new CertificateError('malformed', 'no certificate was presented')
  const uris = leaf.alternativeNames.filter(({ form }) => form === 'uri')
  const spiffeId = parseSpiffeId(uris[0]?.value ?? '')
  // §2: two, and each reader could choose another.
  if (uris.length !== 1 || spiffeId === undefined || spiffeId.path === '') {
    throw unacceptable('it must have exactly one URI among its names: a SPIFFE ID with a path')
  }
  assertLeaf(leaf)
  return { leaf, intermediates, spiffeId }
}

function assertLeaf({ isCa, keyUsage, purposes }: Certificate): void {
  if (isCa) throw unacceptable('an authority is not a workload (basicConstraints)')
  const may = (use: number) => keyUsage?.bits.has(use) === true
  if (keyUsage?.isCritical !== true || !may(KEY_USAGE.digitalSignature)) {
    throw unacceptable('its keyUsage must be critical and have digitalSignature')
  }
  if (may(KEY_USAGE.certificateSigning) || may(KEY_USAGE.crlSigning)) {
    throw unacceptable('its keyUsage must not have keyCertSign or cRLSign')
  }
  if (purposes !== undefined && !purposes.includes(PURPOSE.clientAuthentication)) {
    throw unacceptable('its extKeyUsage does not have clientAuth')
  }
}

/** @throws CertificateError `expired`, `unacceptable`, `untrusted` */
export async function verifySvid(
  { leaf, intermediates, spiffeId }: ClaimedSvid,
  sources: Omit<PathSources, 'intermediates'>,
): Promise<void> {
  const path = await findPath(leaf, { ...sources, intermediates })
  for (const { form, value } of path.slice(1).flatMap(({ alternativeNames }) => alternativeNames)) {
    const isForeign =
      form === 'uri' && value.startsWith('spiffe:') && parseSpiffeId(value)?.trustDomain !== spiffeId.trustDomain
    if (isForeign) throw unacceptable('an authority in its path is of another trust domain')
  }
}

function unacceptable(message: string): CertificateError {
  return new CertificateError('unacceptable', message)
}
