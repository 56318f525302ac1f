/**
 * A certificate (RFC 5280 §4.1), decoded strictly into what a path is judged by. Decoding believes nothing: a decoded
 * certificate has not been verified.
 *
 * Validates: version 3; strict DER of everything read; one signature algorithm, inside as outside (§4.1.1.2); extensions each
 * once. Does not validate: the signature, the time, or any rule between certificates (`path.ts`).
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { X509_CERTIFICATE_BYTES_MAX } from '../kernel/limits.ts'
import { CertificateError } from './certificate-error.ts'
import { type Element, elementsOf, expectTag, readOid, readTime, soleElement, TAG } from './der.ts'
import { type Extensions, readExtensions } from './extensions.ts'

export interface Certificate extends Extensions {
  readonly der: Buffer
  /** SHA-256 of the DER, base64url: what `x5t#S256` is (RFC 8705 §3.1). */
  readonly thumbprint: string
  /** DER of the distinguished names, hexadecimal: compared byte by byte, which is stricter than RFC 5280 §7.1. */
  readonly subject: string
  readonly issuer: string
  /** Epoch seconds; both are part of the period. */
  readonly notBefore: number
  readonly notAfter: number
  /** Object identifier. */
  readonly signatureAlgorithm: string
  readonly publicKey: KeyObject
  /** DER of the SubjectPublicKeyInfo, hexadecimal. */
  readonly keyInfo: string
}

const VERSION_3 = Buffer.from('a003020102', 'hex')
const EXTENSIONS_TAG = 0xa3

/** @throws CertificateError `malformed` */
export function decodeCertificate(bytes: Uint8Array): Certificate {
  if (bytes.length > X509_CERTIFICATE_BYTES_MAX) {
    throw new CertificateError('malformed', `a certificate has more than ${X509_CERTIFICATE_BYTES_MAX} bytes`)
  }
  const der = Buffer.from(bytes)
  const [body, algorithm, signature, ...rest] = elementsOf(soleElement(der, TAG.sequence).content)
  expectTag(signature, TAG.bitString)
  const outer = expectTag(algorithm, TAG.sequence)
  const [version, serial, inner, issuer, validity, subject, keyInfo, extensions, ...more] = elementsOf(
    expectTag(body, TAG.sequence).content,
  )
  if (version === undefined || !version.whole.equals(VERSION_3) || rest.length + more.length > 0) {
    throw new CertificateError('malformed', 'it is not a certificate of version 3 in its plain form')
  }
  expectTag(serial, TAG.integer)
  // What is signed says which algorithm it was signed with: outside, anybody could have written another.
  if (!expectTag(inner, TAG.sequence).whole.equals(outer.whole)) {
    throw new CertificateError('malformed', 'its two signature algorithms differ (RFC 5280 section 4.1.1.2)')
  }
  const [notBefore, notAfter, ...others] = elementsOf(expectTag(validity, TAG.sequence).content)
  if (notBefore === undefined || notAfter === undefined || others.length > 0) {
    throw new CertificateError('malformed', 'its validity is not two times')
  }
  const list = soleElement(expectTag(extensions, EXTENSIONS_TAG).content, TAG.sequence)
  return {
    der,
    thumbprint: createHash('sha256').update(der).digest('base64url'),
    subject: hexOf(subject),
    issuer: hexOf(issuer),
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
    signatureAlgorithm: algorithmOf(outer),
    publicKey: importKey(expectTag(keyInfo, TAG.sequence).whole),
    keyInfo: hexOf(keyInfo),
    ...readExtensions(list.content),
  }
}

function hexOf(element: Element | undefined): string {
  return expectTag(element, TAG.sequence).whole.toString('hex')
}

function algorithmOf({ content }: Element): string {
  return readOid(expectTag(elementsOf(content)[0], TAG.oid))
}

function importKey(der: Buffer): KeyObject {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' })
  } catch {
    throw new CertificateError('malformed', 'its public key cannot be read')
  }
}
