/** Receipts of records: the record as it was logged, its salt, and its path to the root of a checkpoint that was signed. */
import type { DocumentStore, LogStore } from '../../store/ports.ts'
import { parseCheckpoint } from '../../tlog/checkpoint.ts'
import { parseNote } from '../../tlog/note.ts'
import { NoteError } from '../../tlog/note-keys.ts'
import { inclusionProof } from '../../tlog/proofs.ts'
import { formatReceipt } from '../../tlog/receipt.ts'
import { decodeRecords } from './bodies.ts'
import { parseHead } from './head.ts'
import { BUNDLE_RECORDS, bundleOf, recordsPiece, tilesOf } from './layout.ts'
import { CHECKPOINT_DOCUMENT, COSIGNED_DOCUMENT } from './log-documents.ts'

export interface ReceiptParts {
  readonly log: Pick<LogStore, 'head' | 'read'>
  readonly documents: Pick<DocumentStore, 'read'>
}

/** Under a checkpoint that witnesses have signed, where one has the record. `undefined`: no checkpoint has it, or it was pruned. */
export async function receiptOf(index: number, { log, documents }: ReceiptParts): Promise<string | undefined> {
  const newest = await documents.read(CHECKPOINT_DOCUMENT)
  const { origin } = stated(newest)
  for (const checkpoint of [await documents.read(COSIGNED_DOCUMENT), newest]) {
    const { size, ...of } = stated(checkpoint)
    if (checkpoint === undefined || size <= index || size > parseHead(await log.head()).size) continue
    // What was co-signed of a log that was continued since: its end is lost, and other records are there.
    if (of.origin !== origin) continue
    const [piece] = await log.read([recordsPiece(bundleOf(index))])
    const body = piece === undefined ? undefined : decodeRecords(piece)[index % BUNDLE_RECORDS]
    if (body === undefined) return undefined
    const path = await inclusionProof(index, size, tilesOf(log))
    return formatReceipt({ index, salt: body.salt, record: body.text, path, checkpoint })
  }
  return undefined
}

/** Size 0: it is no checkpoint. Who has signed it, is for whoever takes the receipt. */
function stated(note: string | undefined): { readonly origin: string; readonly size: number } {
  try {
    return parseCheckpoint(parseNote(note ?? '').text)
  } catch (error) {
    if (error instanceof NoteError) return { origin: '', size: 0 }
    throw error
  }
}
