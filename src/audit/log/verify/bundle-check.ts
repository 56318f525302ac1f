/** One bundle of the log: each record against its entry, each entry against its hash in the tile, each kept text against its name. */
import { sha256 } from '../../../kernel/digest.ts'
import { HASH_BYTES, leafHash } from '../../../tlog/hashes.ts'
import { saltedEntry } from '../../../tlog/salted-entry.ts'
import { parseEntries } from '../../../tlog/tiles.ts'
import { decodeContents, decodeRecords, type LoggedRecord } from '../bodies.ts'
import { DamagedLog } from '../damaged-log.ts'
import { keptTexts } from '../kept-texts.ts'
import { contentsPiece, recordsPiece } from '../layout.ts'
import { parsedRecord } from '../record-time.ts'
import type { BundlePieces } from './chunk-pieces.ts'
import { LogFault } from './log-source.ts'

export interface CheckedEntry {
  readonly index: number
  readonly leaf: Buffer
  /** `undefined`: pruned. */
  readonly text: string | undefined
}

export interface BundlePlace {
  readonly bundle: number
  /** Index of its first record. */
  readonly first: number
  readonly count: number
  readonly prunedBefore: number
}

/** In order; what is wrong is thrown when its record would have come. @throws LogFault */
export function* checkedEntries(pieces: BundlePieces, place: BundlePlace): Generator<CheckedEntry> {
  const { first, count } = place
  const { entries } = parseEntries(pieces.entries)
  const bodies = bodiesOf(pieces, place)
  const kept = keptIn(pieces, place)
  for (let n = 0; n < count; n++) {
    const index = first + n
    const entry = entries[n]
    if (entry === undefined) throw new LogFault(index, 'its entry is gone')
    const leaf = leafHash(entry)
    const hash = pieces.hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES)
    const body = bodies.at(n, index)
    const isRecord = body === undefined || saltedEntry(body.salt, body.text).equals(entry)
    if (!hash.equals(leaf)) {
      throw new LogFault(index, isRecord ? 'its hash in the tile is not that of its entry' : 'its entry was altered')
    }
    if (!isRecord) throw new LogFault(index, 'its record, or the salt of it, is not what the log has committed to')
    if (body !== undefined && index >= place.prunedBefore) checkNamed(index, body.text, kept, place)
    yield { index, leaf, text: body?.text }
  }
  for (const [digest, text] of kept) {
    if (sha256(text) !== digest)
      throw new LogFault(first, `a text in ${contentsPiece(place.bundle)} is not the one its records name`)
  }
}

interface Bodies {
  /** @throws LogFault */
  at(n: number, index: number): LoggedRecord | undefined
}

function bodiesOf({ records }: BundlePieces, { bundle, prunedBefore }: BundlePlace): Bodies {
  if (records === undefined) {
    return {
      at: (_n, index) => {
        if (index < prunedBefore) return undefined
        throw new LogFault(index, `its record is gone: there is no ${recordsPiece(bundle)}`)
      },
    }
  }
  const decoded = decode(() => decodeRecords(records))
  return {
    at: (n, index) => {
      if (decoded === undefined) throw new LogFault(index, `${recordsPiece(bundle)} cannot be read`)
      if (decoded[n] === undefined) throw new LogFault(index, 'its record is gone')
      return decoded[n]
    },
  }
}

type Kept = ReadonlyMap<string, string>

/** Texts by the digest they are kept under. @throws LogFault */
function keptIn({ contents }: BundlePieces, { bundle, first }: BundlePlace): Kept {
  if (contents === undefined) return new Map()
  const kept = decode(() => decodeContents(contents))
  if (kept === undefined) throw new LogFault(first, `${contentsPiece(bundle)} cannot be read`)
  return kept
}

/** @throws LogFault where a text that was written with this record is gone */
function checkNamed(index: number, text: string, kept: Kept, { bundle }: BundlePlace): void {
  const record = parsedRecord(text)
  for (const [member, digest] of record === undefined ? [] : keptTexts(record)) {
    if (!kept.has(digest))
      throw new LogFault(index, `the text that its ${member} names is gone: ${contentsPiece(bundle)} does not have it`)
  }
}

function decode<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof DamagedLog) return undefined
    throw error
  }
}
