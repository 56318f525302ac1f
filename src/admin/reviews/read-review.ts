/** Reviews and reports as operators read them: from the state of this moment, and recorded like every look of theirs. */
import { Rejection } from '../../kernel/rejection.ts'
import { REVIEW_DAYS_DEFAULT, REVIEW_DAYS_MAX } from '../../kernel/store-limits.ts'
import type { Orphans } from '../../model/owner.ts'
import type { RegistrySource } from '../../model/published-registry.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import { type ListingParts, type ReadRequest, readAs } from '../session-listing.ts'
import { type Architecture, architecture } from './architecture.ts'
import { type Review, review } from './review.ts'
import { readUsages } from './usage-documents.ts'

export interface ReviewParts extends ListingParts {
  readonly registries: RegistrySource
  readonly settings: BrokerSettings
  readonly orphans: Orphans
}

/** @param days as the query has it: what was not used for so long counts as unused. @throws RefusedRequest */
export function readReview(request: ReadRequest, days: string | undefined, parts: ReviewParts): Promise<Review> {
  return readAs(request, parts, 'admin.read', async () => {
    const wanted = days === undefined ? REVIEW_DAYS_DEFAULT : Number(days)
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > REVIEW_DAYS_MAX) {
      throw new Rejection('parameter_malformed', `days must be a whole number from 1 to ${REVIEW_DAYS_MAX}`)
    }
    const registry = parts.registries.current
    const usages = await readUsages(parts.store.documents, registry.agents)
    const now = Math.floor(parts.clock.nowMs() / 1000)
    return review({ registry, usages, now, days: wanted, settings: parts.settings, orphans: parts.orphans })
  })
}

/** Whether the audit can say who authorised a call, and from when on: behind its bound the oldest records are forgotten. */
export interface RecordReach {
  readonly kept: number
  /** Of the oldest record there is. */
  readonly oldest?: string
  /** From when on none is missing; absent: there is none yet. */
  readonly complete_since?: string
  /** How many one outbox keeps, and how many outboxes there are. */
  readonly outbox_limit: number
  readonly outboxes: number
}

/** @throws RefusedRequest */
export function readArchitecture(
  request: ReadRequest,
  parts: ReviewParts,
): Promise<Architecture & { readonly record: RecordReach }> {
  return readAs(request, parts, 'admin.read', async () => {
    const now = Math.floor(parts.clock.nowMs() / 1000)
    const record = await recordReach(parts)
    return { ...(await architecture({ registry: parts.registries.current, settings: parts.settings, now })), record }
  })
}

async function recordReach({ store }: ReviewParts): Promise<RecordReach> {
  const [extents, { limit }] = await Promise.all([store.audit.extents(), store.audit.usage()])
  const times = extents.flatMap(({ oldest, isFull }) => {
    const at = oldest === undefined ? undefined : timeOf(oldest)
    return at === undefined ? [] : [{ at, isFull }]
  })
  const all = times.map(({ at }) => at).sort()
  // Each outbox forgets by itself: what is complete begins where the last of those that have forgotten begins.
  const forgetting = times.flatMap(({ at, isFull }) => (isFull ? [at] : [])).sort()
  const since = forgetting.at(-1) ?? all[0]
  return {
    kept: extents.reduce((sum, { records }) => sum + records, 0),
    ...(all[0] === undefined ? {} : { oldest: all[0] }),
    ...(since === undefined ? {} : { complete_since: since }),
    outbox_limit: limit,
    outboxes: extents.length,
  }
}

function timeOf(record: string): string | undefined {
  const { at } = JSON.parse(record) as { readonly at?: string }
  return at
}
