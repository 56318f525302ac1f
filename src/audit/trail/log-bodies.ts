/** Records of the log and the texts they name, by their place; what is not there any more, or cannot be read, is said. */
import type { AuditRecord } from '../../model/audit-record.ts'
import type { LogStore } from '../../store/ports.ts'
import { decodeContents, decodeRecords, type LoggedRecord } from '../log/bodies.ts'
import { DamagedLog } from '../log/damaged-log.ts'
import { BUNDLE_RECORDS, bundleOf, contentsPiece, recordsPiece } from '../log/layout.ts'
import type { TrailGap } from './audit-trail.ts'

export type Unreadable = Extract<TrailGap['why'], 'pruned' | 'damaged'>
export interface LoggedEntry extends LoggedRecord {
  readonly index: number
  readonly record: AuditRecord
}

/** Texts of full bundles, which do not change: whoever reads decisions reads those of neighbours. */
const CONTENTS_REMEMBERED = 8

export class LogBodies {
  readonly #log: Pick<LogStore, 'read'>
  readonly #contents = new Map<number, ReadonlyMap<string, string>>()

  constructor(log: Pick<LogStore, 'read'>) {
    this.#log = log
  }

  /** In the order asked. @param indexes of a few bundles: all of these are read at once */
  async at(indexes: readonly number[]): Promise<readonly (LoggedEntry | Unreadable)[]> {
    const bundles = [...new Set(indexes.map(bundleOf))]
    const pieces = await this.#log.read(bundles.map(recordsPiece))
    const decoded = new Map(bundles.map((bundle, n) => [bundle, recordsIn(pieces[n])]))
    return indexes.map((index) => {
      const records = decoded.get(bundleOf(index)) ?? 'pruned'
      return typeof records === 'string' ? records : entryAt(index, records[index % BUNDLE_RECORDS])
    })
  }

  /** A text that a record of this bundle names. @param size of the log */
  async content(digest: string, bundle: number, size: number): Promise<string | undefined> {
    // What it does not have, the bundle may have by now: a log that goes on without its end has another there.
    const known = this.#contents.get(bundle)?.get(digest)
    if (known !== undefined) return known
    const [piece] = await this.#log.read([contentsPiece(bundle)])
    if (piece === undefined) return undefined
    const contents = decodeContents(piece)
    if ((bundle + 1) * BUNDLE_RECORDS <= size) this.#remember(bundle, contents)
    return contents.get(digest)
  }

  #remember(bundle: number, contents: ReadonlyMap<string, string>): void {
    this.#contents.set(bundle, contents)
    const [oldest] = this.#contents.keys()
    if (this.#contents.size > CONTENTS_REMEMBERED && oldest !== undefined) this.#contents.delete(oldest)
  }
}

function recordsIn(piece: Buffer | undefined): readonly LoggedRecord[] | Unreadable {
  if (piece === undefined) return 'pruned'
  try {
    return decodeRecords(piece)
  } catch (error) {
    if (error instanceof DamagedLog) return 'damaged'
    throw error
  }
}

function entryAt(index: number, logged: LoggedRecord | undefined): LoggedEntry | Unreadable {
  try {
    const record: unknown = logged && JSON.parse(logged.text)
    if (logged === undefined || typeof record !== 'object' || record === null) return 'damaged'
    return { ...logged, index, record: record as AuditRecord }
  } catch {
    return 'damaged'
  }
}
