/**
 * JwtError: why a JOSE object was refused, as a closed code that callers map to a Rejection of their own endpoint.
 *
 * Messages name the rule, never the value: a token, a claim or a key that reached a message would reach a log.
 */

export type JwtErrorCode =
  | 'malformed'
  | 'too_large'
  | 'algorithm'
  | 'key'
  | 'signature'
  | 'typ'
  | 'issuer'
  | 'audience'
  | 'expired'
  | 'not_yet_valid'
  | 'claims'
  | 'lifetime'

export class JwtError extends Error {
  readonly code: JwtErrorCode

  constructor(code: JwtErrorCode, message: string) {
    super(message)
    this.name = 'JwtError'
    this.code = code
  }
}
