/**
 * What an admin changes, under whoever asked: begun as a record before anything is looked at, ended on the same record. The work
 * puts it on record as intended before it changes anything, so that what cannot be recorded is not done.
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import type { Auditor } from '../audit/auditor.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { AuditEvent } from '../model/audit-record.ts'
import type { OperatorCaller } from '../model/caller.ts'
import type { RequestFacts } from '../model/request-facts.ts'

export interface ChangeRequest {
  readonly caller: () => Promise<OperatorCaller>
  readonly facts: RequestFacts
}

/** @throws RefusedRequest */
export async function onRecord<T>(
  { caller: identify, facts }: ChangeRequest,
  event: AuditEvent,
  auditor: Auditor,
  work: (caller: OperatorCaller, draft: AuditDraft) => Promise<T>,
): Promise<T> {
  const draft = auditor.begin(facts)
  try {
    const caller = await identify()
    draft.authenticatedAs(caller.principal)
    draft.add({ event })
    const done = await work(caller, draft)
    const audit = await auditor.log.appendOrDefer(draft.id, draft.granted(), draft.contents)
    if (audit === 'recorded') return done
    // It is done, and the record that says so is kept to be written; but nobody is told before it is.
    draft.leaveUnfinished()
    throw new Rejection('audit_unavailable', 'the audit log could not be written: look whether it was done', {
      retryAfterSeconds: 1,
    })
  } catch (error) {
    throw await auditor.refuse(draft, error, facts.source)
  }
}
