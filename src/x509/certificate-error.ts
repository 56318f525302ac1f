/**
 * CertificateError: why a certificate or its path was refused, as a closed code that callers map to a Rejection of their own.
 *
 * Messages name the rule, never the value: names in a certificate are a stranger's text.
 */

export type CertificateErrorCode =
  /** Not one strict DER certificate, or too many or too large ones. */
  | 'malformed'
  /** It, or the only authority that could have issued it, is not valid now. */
  | 'expired'
  /** No path to an authority of the trust domain. */
  | 'untrusted'
  /** It, or what its path says about it, breaks a rule of RFC 5280 or of the X.509-SVID specification. */
  | 'unacceptable'

export class CertificateError extends Error {
  readonly code: CertificateErrorCode

  constructor(code: CertificateErrorCode, message: string) {
    super(message)
    this.name = 'CertificateError'
    this.code = code
  }
}
