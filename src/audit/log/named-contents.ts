/**
 * The texts that records name by digest, and those that such a text names in turn, fetched from beside the records: what is
 * pruned with the records, and read with them.
 */
import { APPENDED_CONTENT_BYTES_MAX, APPENDED_TEXT_BYTES_MAX } from '../../kernel/log-limits.ts'
import { getOrInsertComputed } from '../../kernel/maps.ts'
import type { Acknowledged } from './acknowledged.ts'
import type { Incoming, LogTail } from './log-tail.ts'
import type { OutboxSource } from './outbox-reader.ts'

/** SHA-256 as it stands in JSON. One that names no text kept there is asked for in vain. */
const DIGEST = /^[A-Za-z0-9_-]{43}$/
const DIGEST_LENGTH = 43
const QUOTE = 0x22
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
  const digests = new Digests()
  const named = await fetchNamed(records, source, digests)
  const contents = new Map<string, string>()
  const batch: Incoming[] = []
  let bytes = 0
  for (const record of records) {
    const own = [...textsOf(digests.of(record), named, digests)].filter(
      ([digest]) => !contents.has(digest) && !source.tail.has(digest),
    )
    bytes += own.reduce((sum, [, text]) => sum + Buffer.byteLength(text), 0)
    if (bytes > APPENDED_CONTENT_BYTES_MAX && batch.length > 0) break
    for (const [digest, text] of own) contents.set(digest, text)
    batch.push(record)
  }
  return { batch, contents }
}

/** The texts of these digests, and what those name. */
function* textsOf(
  wanted: readonly string[],
  named: ReadonlyMap<string, string>,
  digests: Digests,
): Generator<readonly [string, string]> {
  for (const digest of wanted) {
    const found = named.get(digest)
    if (found === undefined) continue
    yield [digest, found]
    for (const part of digests.in(digest, found)) {
      const kept = named.get(part)
      if (kept !== undefined) yield [part, kept]
    }
  }
}

async function fetchNamed(
  records: readonly Incoming[],
  { audit, acknowledged, tail }: ContentSource,
  digests: Digests,
): Promise<ReadonlyMap<string, string>> {
  const named = new Map<string, string>()
  const isMissing = (digest: string) => !tail.has(digest) && !named.has(digest)
  for (const record of records)
    for (const { digest, text } of acknowledged.contentsOf(record, isMissing)) named.set(digest, text)
  const byOutbox = new Map<string, Set<string>>()
  for (const record of records) {
    const missing = digests.of(record).filter(isMissing)
    if (missing.length === 0) continue
    const wanted = getOrInsertComputed(byOutbox, record.outbox, () => new Set<string>())
    for (const digest of missing) wanted.add(digest)
  }
  const fetchOf = async (outbox: string, wanted: ReadonlySet<string>) => {
    const found = await audit.contentsIn(outbox, [...wanted])
    const parts = new Set<string>()
    for (const [digest, text] of found) {
      named.set(digest, text)
      for (const part of digests.in(digest, text)) if (isMissing(part) && !found.has(part)) parts.add(part)
    }
    if (parts.size === 0) return
    for (const [digest, text] of await audit.contentsIn(outbox, [...parts])) named.set(digest, text)
  }
  await Promise.all(Array.from(byOutbox, ([outbox, wanted]) => fetchOf(outbox, wanted)))
  return named
}

/** What texts name, each looked through once. */
class Digests {
  readonly #ofRecords = new Map<Incoming, readonly string[]>()
  readonly #inTexts = new Map<string, readonly string[]>()

  of(incoming: Incoming): readonly string[] {
    return getOrInsertComputed(this.#ofRecords, incoming, () => {
      const { record, text } = incoming
      const vain = NOT_KEPT.map((member) => record?.[member])
      return digestsIn(text).filter((digest) => !vain.includes(digest))
    })
  }

  in(digest: string, text: string): readonly string[] {
    return getOrInsertComputed(this.#inTexts, digest, () => digestsIn(text))
  }
}

/** What stands between two quotes that are as far apart as a digest is long. */
function digestsIn(text: string): readonly string[] {
  const found: string[] = []
  for (let end = text.indexOf('"', DIGEST_LENGTH + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    const start = end - DIGEST_LENGTH
    if (text.charCodeAt(start - 1) !== QUOTE) continue
    const inside = text.slice(start, end)
    if (DIGEST.test(inside)) found.push(inside)
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
