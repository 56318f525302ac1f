/** What can go wrong when another is asked, in words that never quote what the other side sent. */

export type OutboundErrorCode =
  | 'url_refused'
  | 'address_refused'
  | 'unreachable'
  | 'timeout'
  | 'redirect'
  | 'status'
  | 'media_type'
  | 'too_large'
  | 'malformed'

/** Says what went wrong with which host. */
export class OutboundError extends Error {
  readonly code: OutboundErrorCode

  constructor(code: OutboundErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'OutboundError'
    this.code = code
  }
}
