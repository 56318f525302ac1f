/** Reviews and reports as operators read them: from the state of this moment, and recorded like every look of theirs. */
import { Rejection } from '../../kernel/rejection.ts'
import { REVIEW_DAYS_DEFAULT, REVIEW_DAYS_MAX } from '../../kernel/store-limits.ts'
import type { Orphans } from '../../model/owner.ts'
import type { RegistrySource } from '../../model/published-registry.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import type { TrailParts } from '../audit/read-trail.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import { type Architecture, architecture } from './architecture.ts'
import { type Review, review } from './review.ts'
import { readUsages } from './usage-documents.ts'

export interface ReviewParts extends TrailParts {
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
  /** Older records that are no longer kept: their proofs are. */
  readonly pruned: number
  /** How many one outbox takes, and how many outboxes there are. */
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

async function recordReach({ store, trail }: ReviewParts): Promise<RecordReach> {
  const [{ size, pruned, waiting, oldest }, { limit }] = await Promise.all([trail.extent(), store.audit.usage()])
  return {
    kept: size - pruned + waiting,
    ...(oldest === undefined ? {} : { oldest: oldest.at, complete_since: oldest.at }),
    pruned,
    outbox_limit: limit,
    outboxes: store.audit.outboxes.length - 1,
  }
}
