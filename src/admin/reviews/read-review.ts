/** The review as operators read it: from the registry of this moment, and recorded like every look of theirs. */
import { Rejection } from '../../kernel/rejection.ts'
import { REVIEW_DAYS_DEFAULT, REVIEW_DAYS_MAX } from '../../kernel/store-limits.ts'
import type { RegistrySource } from '../../model/published-registry.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import { type ListingParts, type ReadRequest, readAs } from '../session-listing.ts'
import { type Review, review } from './review.ts'
import { readUsages } from './usage-documents.ts'

export interface ReviewParts extends ListingParts {
  readonly registries: RegistrySource
  readonly settings: BrokerSettings
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
    return review({ registry, usages, now, days: wanted, settings: parts.settings })
  })
}
