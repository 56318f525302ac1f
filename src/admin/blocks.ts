/** What stands blocked, for operators: what a revoke has left behind for somebody to lift. */
import type { Block, BlockKind } from '../authority/cutoffs.ts'
import { LIST_ENTRIES_MAX } from '../kernel/store-limits.ts'
import { type ListingParts, type ReadRequest, readAs } from './session-listing.ts'

export interface BlockSummary {
  readonly kind: Exclude<BlockKind, 'evidence'>
  /** Client id, user principal, resource URL; or subject and client id, client id and version with a bar between. */
  readonly id: string
  /** RFC 3339. */
  readonly since: string
  /** A pair that passes again after a sign-in later than this, RFC 3339. */
  readonly until_sign_in_after?: string
}

/** Blocked evidence is left out: it is named by digest, and ends by itself. @throws RefusedRequest */
export function listBlocks(request: ReadRequest, parts: ListingParts): Promise<readonly BlockSummary[]> {
  return readAs(request, parts, 'admin.read', async () => {
    const { entries } = await parts.store.control.snapshot()
    const blocks = entries.flatMap((entry): BlockSummary[] => {
      if (entry.entry !== 'block' || entry.kind === 'evidence' || isEvidence(entry)) return []
      const newer = entry.newerThanS === undefined ? {} : { until_sign_in_after: rfc3339(entry.newerThanS * 1000) }
      return [{ kind: entry.kind, id: entry.id, since: rfc3339(entry.atMs), ...newer }]
    })
    return blocks.slice(0, LIST_ENTRIES_MAX)
  })
}

/** Of a halt: what is named there by digest. */
function isEvidence({ kind, id }: Block): boolean {
  return kind === 'halt' && !id.includes('|')
}

function rfc3339(epochMs: number): string {
  return new Date(epochMs).toISOString()
}
