/**
 * Step 8: one commit writes what the session gains and the record of it; lists follow behind. The token it was minted for
 * leaves the process only after this has resolved.
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import type { AuditEvent } from '../model/audit-record.ts'
import type { MintedToken } from '../model/minted.ts'
import { inStep } from '../model/trace.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import type { Doomed, UnknownCommits } from '../sessions/unknown-commits.ts'
import { OutboxFull, type Store, StoreUnavailable } from '../store/ports.ts'
import { outsideBudget } from '../store/time-budget.ts'
import { describeIssue, grantedAuthority } from './attribution.ts'
import type { Framed, Issue } from './flow.ts'

export interface CommitParts {
  readonly store: Store
  readonly sessions: SessionRepository
  readonly unknown: UnknownCommits
}

/** @throws Rejection of the check that failed; StoreUnavailable where nobody knows whether it happened: it will be undone */
export async function commitIssue(
  { event }: Framed,
  issue: Issue,
  minted: MintedToken,
  { draft, parts }: { readonly draft: AuditDraft; readonly parts: CommitParts },
): Promise<void> {
  const authority = grantedAuthority(minted)
  draft.add(describeIssue(issue, minted, authority.digest))
  const record = draft.granted(event)
  const change = { ...issue.change, contents: [authority, ...draft.contents] }
  const unsure = () => {
    draft.add({ event })
    draft.leaveUnfinished()
  }
  try {
    await inStep('commit', () => parts.sessions.commitSurely(change, minted.jti, record, unsure))
  } catch (error) {
    if (error instanceof StoreUnavailable && !(error instanceof OutboxFull)) {
      const settled = (happened: boolean) => draft.settled(happened)
      parts.unknown.add({ change, id: minted.jti, doomed: doomedBy(event, issue, minted), record: settled })
    }
    throw error
  }
  outsideBudget(() => list(issue, parts.store))
}

/** What a token that nobody was given must not leave behind: all that is there for its sake alone. */
function doomedBy(event: AuditEvent, issue: Issue, { jti, expiresAt }: MintedToken): Doomed {
  switch (event) {
    case 'token.continue':
    case 'token.downstream':
      return { dimension: 'token', id: jti, expiresAt }
    case 'delegation.issue':
      return { dimension: 'node', id: jti }
    case 'delegation.accept':
      return { dimension: 'node', id: issue.order.holder.node.id }
    default:
      return { dimension: 'session' }
  }
}

/** Lists are for people: a session missing from one is still found, and killed, by its id. */
function list({ indexes, change }: Issue, store: Store): void {
  for (const index of indexes) store.indexes.add(index, change.session, change.notAfter * 1000).catch(() => undefined)
}
