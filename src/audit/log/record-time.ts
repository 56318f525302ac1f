/** What the log reads of a record's text, and the time its column has: u48 epoch milliseconds; 0 where it says none that fits. */
import type { AuditRecord } from '../../model/audit-record.ts'
import { TIME_BYTES } from './layout.ts'

export const TIME_MS_MAX = 2 ** 48 - 1

export function timeOf(record: AuditRecord | undefined): number {
  const atMs = record === undefined ? 0 : Date.parse(record.at)
  return atMs >= 0 && atMs <= TIME_MS_MAX ? atMs : 0
}

export function timeBytes(atMs: number): Buffer {
  const bytes = Buffer.alloc(TIME_BYTES)
  bytes.writeUIntBE(atMs, 0, TIME_BYTES)
  return bytes
}

/** Whatever is in an outbox gets into the log, so that nothing stands in the way of what comes behind it. */
export function parsedRecord(text: string): AuditRecord | undefined {
  try {
    const record: unknown = JSON.parse(text)
    return typeof record === 'object' && record !== null && 'at' in record ? (record as AuditRecord) : undefined
  } catch {
    return undefined
  }
}
