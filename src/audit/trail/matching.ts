/** Whether a record is what was asked for: decided on the record itself, whatever has led to it. */
import type { AuditRecord } from '../../model/audit-record.ts'
import { columnsOf, DIMENSIONS } from '../log/columns.ts'
import { spellingsOf } from '../shorten-record.ts'
import type { TrailFilter } from './audit-trail.ts'

export function matches(record: AuditRecord, filter: TrailFilter): boolean {
  const { sinceMs, untilMs } = filter
  const at = sinceMs === undefined && untilMs === undefined ? 0 : Date.parse(record.at)
  // Written so that a record without a readable time is in no span of time.
  if (sinceMs !== undefined && !(at >= sinceMs)) return false
  if (untilMs !== undefined && !(at < untilMs)) return false
  const asked = DIMENSIONS.filter((dimension) => filter[dimension] !== undefined)
  if (asked.length === 0) return true
  const columns = columnsOf(record)
  return asked.every((dimension) => {
    const wanted = filter[dimension] ?? []
    const there = columns.get(dimension) ?? []
    return there.some((value) => (typeof wanted === 'string' ? value === wanted : wanted.includes(value)))
  })
}

/** Of those a record that is too long names the digest alone. A user's own column has it where the record names them as `user`. */
const SHORTENED = ['agent', 'user', 'session', 'tool', 'resource', 'service', 'by'] as const

/** What was asked for, by each spelling that a record may have of it. */
export function spelledOut(filter: TrailFilter): TrailFilter {
  const spelled = SHORTENED.flatMap((dimension) => {
    const asked = filter[dimension]
    if (asked === undefined) return []
    const all = (typeof asked === 'string' ? [asked] : asked).flatMap(spellingsOf)
    return [[dimension, all] as const]
  })
  return { ...filter, ...Object.fromEntries(spelled) }
}
