/** Records as they come, oldest first: asks for the newest again and again, and prints what it has not printed yet. */
import { setTimeout as sleep } from 'node:timers/promises'
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import { type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import type { Operator } from '../operator.ts'
import { readPages } from './trail-pages.ts'

const EVERY_MS = 1_000
/** A command's token lasts a minute (`operator.ts`). */
const CONNECTED_MS = 30_000
/** Of those that were there before. */
const SHOWN_FIRST = 10
/** Between two looks; what comes beyond is said to be left out. */
const PER_LOOK_MAX = 10 * LIST_ENTRIES_MAX
/** Printed before: enough to know them again. */
const SEEN_MAX = 2 * PER_LOOK_MAX

export interface Following {
  /** A new one whenever it is called: its token does not last. */
  connect(): Promise<Operator>
  draw(record: JsonObject): void
  say(text: string): void
}

/** Ends only with the process, or by a fault. */
export async function followTrail(query: URLSearchParams, { connect, draw, say }: Following): Promise<never> {
  const seen = new Set<string>()
  let operator = await connect()
  let looks = 0
  for (let isFirst = true; ; isFirst = false) {
    const { records, isMore } = await newRecords(operator, query, seen, isFirst ? SHOWN_FIRST : PER_LOOK_MAX)
    if (isMore && !isFirst) say(`more than ${PER_LOOK_MAX} records came at once: the older ones of them are left out`)
    for (const record of records.toReversed()) {
      seen.add(keyOf(record))
      if (!isOwnReading(record, query)) draw(record)
    }
    forgetOldest(seen)
    await sleep(EVERY_MS)
    looks += 1
    if (looks % (CONNECTED_MS / EVERY_MS) === 0) operator = await connect()
  }
}

/** Newest first, up to the first that was seen. */
async function newRecords(operator: Operator, query: URLSearchParams, seen: ReadonlySet<string>, most: number) {
  const records: JsonObject[] = []
  let after: string | undefined
  do {
    const page = await readPages(operator, query, { limit: Math.min(LIST_ENTRIES_MAX, most), after })
    for (const record of page.records) {
      if (seen.has(keyOf(record))) return { records, isMore: false }
      records.push(record)
    }
    after = page.after
  } while (after !== undefined && records.length < most)
  return { records, isMore: after !== undefined }
}

/** Two records of one decision differ by what happened, or when. */
function keyOf(record: JsonObject): string {
  const { id, at, event, outcome } = record
  return JSON.stringify([id, at, event, outcome, jsonObject(record['call'])['ended']])
}

/** Each look is on record itself: shown, it would be followed by the next one for ever. */
function isOwnReading(record: JsonObject, query: URLSearchParams): boolean {
  return textOf(record['event']) === 'admin.read' && query.get('event') !== 'admin.read'
}

function forgetOldest(seen: Set<string>): void {
  for (const key of seen) {
    if (seen.size <= SEEN_MAX) return
    seen.delete(key)
  }
}
