/** Asks outside what a session is for, at the token endpoint: refused, and counted as drift with the record of the refusal. */
import type { AuditDraft } from '../audit/audit-draft.ts'
import { agentsOf } from '../authority/named.ts'
import { Rejection, type RejectionReason } from '../kernel/rejection.ts'
import type { SubjectEvidence } from '../model/evidence.ts'
import type { LiveSession } from '../sessions/session-repository.ts'
import { describeHop } from './attribution.ts'
import type { PipelineParts } from './pipeline-parts.ts'

/** Not what policy has taken away since, nor a server that is gone: those are nobody's doing who asks. */
const OUTSIDE: readonly RejectionReason[] = ['resource_not_in_session', 'details_widening']

/** What was asked with, as far as it is a handle of a live session. */
export interface AskedWith {
  readonly evidence: Extract<SubjectEvidence, { readonly kind: 'session' | 'delegation' }>
  readonly live: LiveSession
}

/** From here on the record says of its session what is known. */
export function askedWith(
  evidence: SubjectEvidence,
  live: LiveSession | undefined,
  draft: AuditDraft,
): AskedWith | undefined {
  if (live !== undefined) draft.add(describeHop(live))
  if (live === undefined || (evidence.kind !== 'session' && evidence.kind !== 'delegation')) return undefined
  return { evidence, live }
}

/** How the refusal's record is written so that it counts; `undefined`: it does not. */
export function countedOutside(
  error: unknown,
  asked: AskedWith | undefined,
  draft: AuditDraft,
  { drift, settings }: Pick<PipelineParts, 'drift' | 'settings'>,
): ((record: string) => Promise<boolean>) | undefined {
  const isOutside = error instanceof Rejection && OUTSIDE.includes(error.reason)
  if (!isOutside || asked === undefined || !draft.authenticated) return undefined
  const { evidence, live } = asked
  const agents = agentsOf(evidence, settings.issuer)
  const about = { held: live, agents, key: draft.id, decision: draft.id, contents: draft.contents }
  return (record) => drift.refused({ ...about, record })
}
