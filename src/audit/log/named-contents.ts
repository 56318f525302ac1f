/**
 * The texts that records name by digest, and those that such a text names in turn, fetched from beside the records: what is
 * pruned with the records, and read with them.
 */
import { APPENDED_CONTENT_BYTES_MAX, APPENDED_TEXT_BYTES_MAX } from '../../kernel/log-limits.ts'
import { getOrInsertComputed } from '../../kernel/maps.ts'
import type { Content } from '../../model/commit.ts'
import type { Acknowledged } from './acknowledged.ts'
import { namedTexts } from './kept-texts.ts'
import type { Incoming, LogTail } from './log-tail.ts'
import type { OutboxSource } from './outbox-reader.ts'

/** SHA-256 as it stands in JSON. One that names no text kept there is asked for in vain. */
const DIGEST = /^[A-Za-z0-9_-]{43}$/
const DIGEST_LENGTH = 43
/** Members of a record whose digests name texts that are kept elsewhere, or nowhere. */
const NOT_KEPT = ['policy', 'intent', 'subject_token'] as const

export interface Gathered {
  /** As many of the records as have room for their texts: one at least. */
  readonly batch: readonly Incoming[]
  readonly contents: ReadonlyMap<string, string>
}

export interface ContentSource {
  readonly audit: Pick<OutboxSource, 'contentsIn'>
  /** What this process has written beside a record need not be fetched. */
  readonly acknowledged: Pick<Acknowledged, 'contentsOf'>
  /** What its bundle has is not needed. */
  readonly tail: Pick<LogTail, 'has'>
}

export async function gatherContents(records: readonly Incoming[], source: ContentSource): Promise<Gathered> {
  const named = new Named(source.tail)
  for (const record of records) {
    const written = source.acknowledged.contentsOf(record, (digest) => named.isMissing(digest))
    if (written !== undefined) named.wrote(record, written)
  }
  await fetchMissing(records, named, source.audit)
  const contents = new Map<string, string>()
  const batch: Incoming[] = []
  let bytes = 0
  for (const record of records) {
    const own = new Map<string, string>()
    for (const { digest, text } of named.textsOf(record))
      if (!contents.has(digest) && !source.tail.has(digest)) own.set(digest, text)
    for (const text of own.values()) bytes += Buffer.byteLength(text)
    if (bytes > APPENDED_CONTENT_BYTES_MAX && batch.length > 0) break
    for (const [digest, text] of own) contents.set(digest, text)
    batch.push(record)
  }
  return { batch, contents }
}

async function fetchMissing(
  records: readonly Incoming[],
  named: Named,
  audit: Pick<OutboxSource, 'contentsIn'>,
): Promise<void> {
  const byOutbox = new Map<string, Set<string>>()
  for (const record of records) {
    const missing = named.of(record).filter((digest) => named.isMissing(digest))
    if (missing.length === 0) continue
    const wanted = getOrInsertComputed(byOutbox, record.outbox, () => new Set<string>())
    for (const digest of missing) wanted.add(digest)
  }
  const fetchOf = async (outbox: string, wanted: ReadonlySet<string>) => {
    const found = await audit.contentsIn(outbox, [...wanted])
    const parts = new Set<string>()
    for (const [digest, text] of found) {
      named.fetched(digest, text)
      for (const part of named.in(digest, text)) if (named.isMissing(part) && !found.has(part)) parts.add(part)
    }
    if (parts.size === 0) return
    for (const [digest, text] of await audit.contentsIn(outbox, [...parts])) named.fetched(digest, text)
  }
  await Promise.all(Array.from(byOutbox, ([outbox, wanted]) => fetchOf(outbox, wanted)))
}

/** What records name, and what that names: as far as it is known, and each looked through once. */
class Named {
  readonly #tail: Pick<LogTail, 'has'>
  readonly #texts = new Map<string, string>()
  /** Texts that a record looked at so far was written with: all that they name was, too. */
  readonly #whole = new Set<string>()
  readonly #written = new Map<Incoming, readonly Content[]>()
  readonly #ofRecords = new Map<Incoming, readonly string[]>()
  readonly #inTexts = new Map<string, readonly string[]>()

  constructor(tail: Pick<LogTail, 'has'>) {
    this.#tail = tail
  }

  isMissing(digest: string): boolean {
    return !this.#tail.has(digest) && !this.#texts.has(digest)
  }

  fetched(digest: string, text: string): void {
    this.#texts.set(digest, text)
  }

  /** @param written what was missing of all that it names, and that this names: a record is written with the whole of it */
  wrote(record: Incoming, written: readonly Content[]): void {
    this.#written.set(record, written)
    for (const { digest, text } of written) this.#texts.set(digest, text)
  }

  /** Digests in a record: of one that this process wrote only members that name texts are looked at. */
  of(incoming: Incoming): readonly string[] {
    return getOrInsertComputed(this.#ofRecords, incoming, () => {
      const { record, text } = incoming
      if (record !== undefined && this.#written.has(incoming)) return namedTexts(record).map(([, digest]) => digest)
      const vain = NOT_KEPT.map((member) => record?.[member])
      return digestsIn(text).filter((digest) => !vain.includes(digest))
    })
  }

  in(digest: string, text: string): readonly string[] {
    return getOrInsertComputed(this.#inTexts, digest, () => digestsIn(text))
  }

  /** What is known of all that a record names, and that this names. Asked for each record once, in their order. */
  *textsOf(record: Incoming): Generator<Content> {
    for (const content of this.#written.get(record) ?? []) {
      this.#whole.add(content.digest)
      yield content
    }
    for (const digest of this.of(record)) {
      const text = this.#texts.get(digest)
      if (text === undefined) continue
      yield { digest, text }
      // What it names has come with it, or with a record before.
      if (this.#whole.has(digest)) continue
      for (const part of this.in(digest, text)) {
        const kept = this.#texts.get(part)
        if (kept !== undefined) yield { digest: part, text: kept }
      }
    }
  }
}

/** What stands between two quotes that are as far apart as a digest is long. */
function digestsIn(text: string): readonly string[] {
  const found: string[] = []
  let start = text.indexOf('"') + 1
  for (let end = text.indexOf('"', start); start > 0 && end >= 0; end = text.indexOf('"', start)) {
    if (end - start === DIGEST_LENGTH && DIGEST.test(text.slice(start, end))) found.push(text.slice(start, end))
    start = end + 1
  }
  return found
}

/** As many as one append may have: by their number and by their bytes. */
export function firstOf(incoming: readonly Incoming[], count: number): readonly Incoming[] {
  let bytes = 0
  const end = incoming.findIndex(({ text }, n) => {
    bytes += Buffer.byteLength(text)
    return n >= count || (n > 0 && bytes > APPENDED_TEXT_BYTES_MAX)
  })
  return end < 0 ? incoming : incoming.slice(0, end)
}
