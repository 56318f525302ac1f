/** All that the trail has of something, as far as it is not too much, and what it could not read of it. */
import type { AuditTrail, TrailEntry, TrailFilter, TrailGap } from '../../audit/trail/audit-trail.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { STORY_RECORDS_MAX } from '../../kernel/store-limits.ts'

export interface WholeReading {
  /** Oldest first. */
  readonly entries: readonly TrailEntry[]
  readonly gaps: readonly TrailGap[]
  /** There are older ones. */
  readonly isCut: boolean
}

const PAGE = 200

export async function readWhole(
  trail: AuditTrail,
  filter: TrailFilter,
  most: number = STORY_RECORDS_MAX,
): Promise<WholeReading> {
  const entries: TrailEntry[] = []
  const gaps: TrailGap[] = []
  let after: string | undefined
  do {
    const page = await trail.page(filter, Math.min(PAGE, most - entries.length), after)
    entries.push(...page.entries)
    gaps.push(...page.gaps)
    after = page.after
  } while (after !== undefined && entries.length < most)
  return { entries: entries.reverse(), gaps, isCut: after !== undefined }
}

/** What could not be read may have been what is asked for: that is not the same as never having been. */
export function notFound(what: string, gaps: readonly TrailGap[]): Rejection {
  if (gaps.length === 0) return new Rejection('not_found', what)
  const lost = gaps.map(({ why, records }) => `${records ?? 'some'} ${why.replace('_', ' ')}`).join(', ')
  return new Rejection(
    'not_found',
    `${what}; records that may have been of it cannot be read any more, or not yet: ${lost}`,
  )
}

/** Each once, of several readings. */
export function allGaps(...of: readonly (readonly TrailGap[])[]): readonly TrailGap[] {
  return [...new Map(of.flat().map((gap) => [JSON.stringify(gap), gap])).values()]
}
