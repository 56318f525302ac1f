/** Pages of the audit trail, one after the other, until there are as many records as are wanted or there are no more. */
import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import type { Operator } from '../operator.ts'
import { plural } from '../terminal.ts'

export interface FoundRecords {
  /** Newest first. */
  readonly records: readonly JsonObject[]
  /** There may be older ones behind it. */
  readonly after?: string
  /** How far the trail goes back, where all of it was looked through. */
  readonly reach?: JsonObject
  /** What of the trail could not be read, said to people. */
  readonly gaps: readonly string[]
}

export interface Wanted {
  readonly limit: number
  readonly after?: string | undefined
}

export async function readPages(operator: Operator, query: URLSearchParams, wanted: Wanted): Promise<FoundRecords> {
  const records: JsonObject[] = []
  const gaps = new Set<string>()
  let after = wanted.after
  let reach: JsonObject | undefined
  do {
    const asked = new URLSearchParams(query)
    asked.set('limit', String(wanted.limit - records.length))
    if (after !== undefined) asked.set('after', after)
    const answer = await operator.get(`/audit?${asked}`)
    records.push(...arrayOf(answer['records']).map(jsonObject))
    for (const gap of arrayOf(answer['gaps'])) gaps.add(gapWords(jsonObject(gap)))
    after = textOf(answer['after'])
    if (answer['reach'] !== undefined) reach = jsonObject(answer['reach'])
  } while (after !== undefined && records.length < wanted.limit)
  return { records, ...(after === undefined ? {} : { after }), ...(reach && { reach }), gaps: [...gaps] }
}

const REASONS: Readonly<Record<string, string>> = {
  pruned: 'are older than records are kept: their proofs are still there',
  damaged: 'CANNOT BE READ: the log is damaged there; see errand audit verify',
  not_sequenced: 'wait in the outboxes and were not looked through: the log is behind',
}

/** "512 records from 1024 on are older than records are kept …" */
export function gapWords(gap: JsonObject): string {
  const [why, first, count] = [textOf(gap['why']) ?? '', gap['first'], numberIn(gap['records'])]
  const many = Number.isNaN(count) ? 'records' : plural(count, 'record')
  const place = typeof first === 'number' ? ` from index ${first} on` : ''
  return `${many}${place} ${REASONS[why] ?? why}`
}

/** "the trail goes back to 2026-…; the 512 records before that are pruned, their proofs are not" */
export function reachWords(reach: JsonObject): string {
  const pruned = numberIn(reach['pruned'])
  const before = pruned > 0 ? `; the ${plural(pruned, 'record')} before are pruned, and their proofs kept` : ''
  return `the trail goes back to ${textOf(reach['oldest']) ?? 'now'}${before}`
}
