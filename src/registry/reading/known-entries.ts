/**
 * The entries of long lists that were read last, by the digest of what they are: one that is read again is the same object. A
 * policy in which ten of a hundred thousand grants have changed is handed over as ten grants and the places of the others, and
 * whoever keeps what became of an entry finds it again.
 */
import { sha256 } from '../../kernel/digest.ts'

/** Shared with the thread that reads: the digests, one after the other, each of an entry. */
export interface KnownEntries {
  readonly digests: SharedArrayBuffer
  readonly entries: readonly unknown[]
}

const DIGEST_CHARS = 43

/** In the place of a digest. */
const UNKNOWN = '-'.repeat(DIGEST_CHARS)

export const NOTHING_KNOWN: KnownEntries = { digests: new SharedArrayBuffer(0), entries: [] }

/** In the thread. */
export class Recognition {
  readonly #places = new Map<string, number>()
  readonly #digests: string[] = []

  constructor(known: SharedArrayBuffer) {
    const text = Buffer.from(known).toString('latin1')
    for (let from = 0; from < text.length; from += DIGEST_CHARS) {
      this.#places.set(text.slice(from, from + DIGEST_CHARS), from / DIGEST_CHARS)
    }
    this.#places.delete(UNKNOWN)
  }

  /** Its place among those known, or -1. */
  placeOf(entry: unknown): number {
    const digest = isSaidByJson(entry) ? sha256(JSON.stringify(entry)) : UNKNOWN
    this.#digests.push(digest)
    return this.#places.get(digest) ?? -1
  }

  /** Of all entries that were asked about, in that order. */
  digests(): SharedArrayBuffer {
    const shared = new SharedArrayBuffer(this.#digests.length * DIGEST_CHARS)
    const bytes = Buffer.from(shared)
    for (const [index, digest] of this.#digests.entries()) bytes.write(digest, index * DIGEST_CHARS, 'latin1')
    return shared
  }
}

/** Whether its JSON says all that it says: of YAML's infinity and of nothing at all it makes null, and of -0 another zero. */
function isSaidByJson(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  if (typeof value !== 'object') return value !== undefined
  if (value === null) return true
  for (const member of Array.isArray(value) ? value : Object.values(value)) if (!isSaidByJson(member)) return false
  return true
}
