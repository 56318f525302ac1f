/** SHA-256 as unpadded base64url: the one way this code fingerprints tokens, documents and evidence. */
import { createHash } from 'node:crypto'

export function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('base64url')
}
