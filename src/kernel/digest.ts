/** SHA-256 as unpadded base64url: the one way this code fingerprints tokens, documents and evidence. */
import { hash } from 'node:crypto'

/** A name that somebody else has chosen, for a record: as it is, or by its digest where it is long, so that it fills none. */
export function recordedName(name: string, charsMax: number): string {
  return name.length > charsMax ? `sha256:${sha256(name)}` : name
}

export function sha256(text: string | Uint8Array): string {
  return hash('sha256', text, 'base64url')
}
