/**
 * A call that nothing but a missing yes stands against: let through in the write that counts it, which uses the yes up, or answered
 * with whom to ask. What would be refused anyway is asked of nobody.
 */
import type { AuditDraft } from '../../audit/audit-draft.ts'
import { APPROVAL_ATTEMPTS_MAX } from '../../kernel/limits.ts'
import { type Attempt, commitCall, type Permit } from '../attempt.ts'
import type { Prepared, Refusal } from '../judge.ts'
import type { ServiceCall } from '../service-call.ts'
import { approvalFor, type Unapproved } from './approval-gate.ts'

interface Asked {
  readonly draft: AuditDraft
  readonly state: Prepared
  /** `undefined`: it is only a question. */
  readonly attempt: Attempt | undefined
}

/** @throws Rejection `keys_not_ready`, `audit_unavailable`; StoreUnavailable */
export async function permitApproved(
  { draft, state, attempt }: Asked,
  call: ServiceCall,
): Promise<Permit | Refusal | Unapproved> {
  for (let attempts = 1; ; attempts += 1) {
    const answer = await approvalFor(state, call, draft, attempt !== undefined)
    if (answer.kind === 'refused') return answer
    if (attempt === undefined) throw new Error('a question uses nothing up')
    const permit = await commitCall(attempt, draft, call, answer)
    // Another attempt has used it up in between: this one is asked for by itself.
    const isLate = 'reason' in permit && permit.reason === 'approval_over'
    if (!isLate || attempts === APPROVAL_ATTEMPTS_MAX) return permit
  }
}
