/**
 * The Merkle log itself, for whoever verifies it or wants a record's receipt: pieces byte for byte as the store has them. What
 * is made of them is the reader's business; nothing here says that they are right.
 */
import { z } from 'zod'
import {
  CHECKPOINT_DOCUMENT,
  CONTINUED_DOCUMENT,
  COSIGNED_DOCUMENT,
  LOG_KEYS_DOCUMENT,
} from '../../audit/log/log-documents.ts'
import { receiptOf } from '../../audit/log/receipts.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { announcedKeys } from '../../keys/log-key.ts'
import type { AuditEvent } from '../../model/audit-record.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import type { TrailParts } from './read-trail.ts'

const NAMES_MAX = 128
/** Of all pieces of one answer: it is written as base64. */
const BYTES_MAX = 4 * 1024 * 1024

/** What is wanted, a large piece in parts. */
export const piecesOrder = z.strictObject({
  pieces: z
    .array(z.strictObject({ name: z.string().regex(/^[a-z0-9/_-]{1,120}$/), from: z.int().nonnegative().default(0) }))
    .min(1)
    .max(NAMES_MAX),
})
export type PiecesOrder = z.infer<typeof piecesOrder>

export interface LogState {
  readonly head: string | null
  readonly checkpoint: string | null
  readonly cosigned: string | null
  /** Where it went on without its end: a JSON array of signed notes. */
  readonly continued: string | null
  /** vkeys, as brokers have announced them: not to be believed for that. */
  readonly keys: readonly string[]
}

export interface PiecePart {
  readonly name: string
  /** Of the whole piece; `null`: there is none. */
  readonly length: number | null
  /** From where it was asked for, as far as this answer had room. */
  readonly bytes: string
}

const READ: AuditEvent = 'admin.read'

/** One record for a whole reading of it, however many requests that takes. @throws RefusedRequest */
async function readInOne<T>({ caller, facts }: ReadRequest, { auditor }: TrailParts, work: () => Promise<T>) {
  const draft = auditor.begin(facts)
  try {
    draft.authenticatedAs((await caller()).principal)
    draft.add({ event: READ, detail: 'the log as it lies in the store' })
    const result = await work()
    await auditor.recordReading(draft, READ, facts.source)
    return result
  } catch (error) {
    throw await auditor.refuse(draft, error, facts.source)
  }
}

/** @throws RefusedRequest */
export function readLogState(request: ReadRequest, parts: TrailParts): Promise<LogState> {
  return readInOne(request, parts, async () => {
    const { documents, log } = parts.store
    // Checkpoints first: the head is never behind them.
    const checkpoint = (await documents.read(CHECKPOINT_DOCUMENT)) ?? null
    const cosigned = (await documents.read(COSIGNED_DOCUMENT)) ?? null
    const continued = (await documents.read(CONTINUED_DOCUMENT)) ?? null
    const keys = announcedKeys(await documents.read(LOG_KEYS_DOCUMENT))
    return { head: (await log.head()) ?? null, checkpoint, cosigned, continued, keys }
  })
}

/** Those that the answer has room for, in the order asked: what is missing is asked for again. @throws RefusedRequest */
export function readPieces(
  request: ReadRequest,
  order: () => Promise<PiecesOrder>,
  parts: TrailParts,
): Promise<{ readonly pieces: readonly PiecePart[] }> {
  return readInOne(request, parts, async () => {
    const { pieces: wanted } = await order()
    const found = await parts.store.log.read(wanted.map(({ name }) => name))
    const pieces: PiecePart[] = []
    let room = BYTES_MAX
    for (const [n, { name, from }] of wanted.entries()) {
      if (room === 0) break
      const part = found[n]?.subarray(from, from + room)
      room -= part?.length ?? 0
      pieces.push({ name, length: found[n]?.length ?? null, bytes: part?.toString('base64') ?? '' })
    }
    return { pieces }
  })
}

export interface ReceiptAnswer {
  readonly index: number
  readonly event: string
  readonly receipt: string
}

/** Of every record of this id, oldest first. @throws RefusedRequest */
export function readReceipts(
  request: ReadRequest,
  id: string,
  parts: TrailParts,
): Promise<{ readonly receipts: readonly ReceiptAnswer[] }> {
  return readAs(request, parts, READ, async () => {
    const entries = await parts.trail.find(id)
    if (entries.length === 0) throw new Rejection('not_found', 'there is no record of this id')
    const receipts: ReceiptAnswer[] = []
    for (const { index, record } of entries) {
      const receipt = index === undefined ? undefined : await receiptOf(index, parts.store)
      if (index !== undefined && receipt !== undefined) receipts.push({ index, event: record.event, receipt })
    }
    if (receipts.length > 0) return { receipts }
    throw new Rejection(
      'not_found',
      'no checkpoint has the record yet, or it was pruned: a new one is signed within a second',
    )
  })
}
