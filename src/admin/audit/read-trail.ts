/** The audit trail as operators read it: on record itself. */
import type { AuditTrail, TrailFilter, TrailGap } from '../../audit/trail/audit-trail.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import { type ListingParts, type ReadRequest, readAs } from '../session-listing.ts'

export interface TrailParts extends ListingParts {
  readonly trail: AuditTrail
}

export interface TrailAnswer {
  /** Newest first. */
  readonly records: readonly AuditRecord[]
  readonly looked_at: number
  /** What could have matched, and could not be looked at; absent: there is nothing of the kind. */
  readonly gaps?: readonly TrailGap[]
  /** On the last page: when the oldest record that is kept was made, and how many of the log's first are pruned. */
  readonly reach?: { readonly oldest?: string; readonly pruned: number }
  /** The next page begins there; absent: there is nothing older that could match. */
  readonly after?: string
}

export interface TrailQuestion {
  readonly filter: TrailFilter
  readonly limit: number
  readonly after: string | undefined
}

/** @param ask read once it is known who asks. @throws RefusedRequest */
export function readTrail(request: ReadRequest, ask: () => TrailQuestion, parts: TrailParts): Promise<TrailAnswer> {
  return readAs(request, parts, 'admin.read', async () => {
    const { filter, limit, after } = ask()
    const page = await parts.trail.page(filter, limit, after)
    return {
      records: page.entries.map(({ record }) => record),
      looked_at: page.lookedAt,
      ...(page.gaps.length === 0 ? {} : { gaps: page.gaps }),
      ...(page.after === undefined ? { reach: await reachOf(parts.trail) } : { after: page.after }),
    }
  })
}

async function reachOf(trail: AuditTrail): Promise<NonNullable<TrailAnswer['reach']>> {
  const { oldest, pruned } = await trail.extent()
  return { ...(oldest === undefined ? {} : { oldest: oldest.at }), pruned }
}

/**
 * What an audit record of `session` names by digest, letter by letter, so that the digest can be computed again. For
 * operators. @throws RefusedRequest
 */
export function readContent(
  request: ReadRequest,
  { session, digest }: { readonly session: string; readonly digest: string },
  parts: TrailParts,
): Promise<{ readonly digest: string; readonly text: string }> {
  return readAs(request, parts, 'admin.read', async () => {
    const text = await parts.trail.content(digest, { session })
    if (text === undefined) throw new Rejection('not_found', 'nothing of this session is kept under this digest')
    return { digest, text }
  })
}
