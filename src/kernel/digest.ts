/** SHA-256 as unpadded base64url: the one way this code fingerprints tokens, documents and evidence. */
import { hash } from 'node:crypto'

export function sha256(text: string | Uint8Array): string {
  return hash('sha256', text, 'base64url')
}
