/**
 * Base64url with exactly one spelling per value (RFC 7515 §2, RFC 4648 §3.5, §5).
 *
 * A lenient decoder gives one token many spellings, and then digests of tokens (caches, replay claims, blocks) can be
 * walked around by changing a character that decodes to nothing.
 */
import { JwtError } from './jwt-error.ts'

export function encodeBase64url(bytes: Uint8Array | string): string {
  return (typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : asBuffer(bytes)).toString('base64url')
}

/**
 * Refuses padding, whitespace, the `+/` alphabet, impossible lengths and non-zero trailing bits.
 * @param what names the part in the error, since its text may not.
 * @throws JwtError `malformed`
 */
export function decodeBase64url(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  // Only the canonical spelling survives the round trip; encoding is native, so this is cheaper than any scan.
  if (bytes.toString('base64url') !== text) {
    throw new JwtError('malformed', `${what} must be canonical base64url without padding (RFC 7515 section 2)`)
  }
  return bytes
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
