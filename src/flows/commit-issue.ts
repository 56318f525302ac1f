/**
 * Step 8: one commit writes what the session gains and the record of it; lists follow behind. The token it was minted for
 * leaves the process only after this has resolved.
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import type { MintedToken } from '../model/minted.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import type { Store } from '../store/ports.ts'
import { outsideBudget } from '../store/time-budget.ts'
import { describeIssue, grantedAuthority } from './attribution.ts'
import type { Framed, Issue } from './flow.ts'

export interface CommitParts {
  readonly store: Store
  readonly sessions: SessionRepository
}

/** @throws Rejection of the check that failed; StoreUnavailable where nobody knows whether it happened */
export async function commitIssue(
  { event }: Framed,
  issue: Issue,
  minted: MintedToken,
  { draft, parts }: { readonly draft: AuditDraft; readonly parts: CommitParts },
): Promise<void> {
  const authority = grantedAuthority(minted)
  draft.add(describeIssue(issue, minted, authority.digest))
  const record = draft.granted(event)
  const change = { ...issue.change, contents: [authority] }
  await parts.sessions.commitSurely(change, minted.jti, record, () => {
    draft.add({ event })
    draft.leaveUnfinished()
  })
  outsideBudget(() => list(issue, parts.store))
}

/** Lists are for people: a session missing from one is still found, and killed, by its id. */
function list({ indexes, change }: Issue, store: Store): void {
  for (const index of indexes) store.indexes.add(index, change.session, change.notAfter * 1000).catch(() => undefined)
}
