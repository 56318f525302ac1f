/** SHA-256 as unpadded base64url: the one way this code fingerprints tokens, documents and evidence. */
import { createHash, hash } from 'node:crypto'

/** A name that somebody else has chosen, for a record: as it is, or by its digest where it is long, so that it fills none. */
export function recordedName(name: string, charsMax: number): string {
  return name.length > charsMax ? `sha256:${sha256(name)}` : name
}

/** Of a text that comes in pieces. */
export class Sha256 {
  readonly #hash = createHash('sha256')

  add(piece: string): void {
    this.#hash.update(piece)
  }

  /** Once. */
  digest(): string {
    return this.#hash.digest('base64url')
  }
}

export function sha256(text: string | Uint8Array): string {
  return hash('sha256', text, 'base64url')
}
