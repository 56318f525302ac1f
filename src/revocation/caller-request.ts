/** A bearer-protected request: its record, who calls, then the endpoint's own work; revokes are never held up by the audit. */
import type { AuditDraft } from '../audit/audit-draft.ts'
import type { AuditOutcome } from '../audit/audit-log.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { AuditEvent } from '../model/audit-record.ts'
import type { Caller } from '../model/caller.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import type { RevocationParts } from './client-call.ts'

export interface CallerRequest {
  readonly caller: () => Promise<Caller>
  readonly facts: RequestFacts
}

export interface CallerWork<T> {
  readonly event: AuditEvent
  /** A revoke is executed first and recorded as soon as it can be; everything else is recorded before it is answered. */
  readonly mayDefer: boolean | (() => boolean)
  work(caller: Caller, draft: AuditDraft): Promise<T>
}

export interface Answered<T> {
  readonly result: T
  readonly audit: AuditOutcome
}

/** @throws RefusedRequest, with its record written */
export async function callAsCaller<T>(
  request: CallerRequest,
  parts: Pick<RevocationParts, 'auditor'>,
  endpoint: CallerWork<T>,
): Promise<Answered<T>> {
  const { auditor } = parts
  const draft = auditor.begin(request.facts)
  try {
    const caller = await request.caller()
    draft.authenticatedAs(caller.principal)
    draft.add({ event: endpoint.event })
    const result = await endpoint.work(caller, draft)
    const record = draft.granted()
    const audit = await auditor.log.appendOrDefer(draft.id, record, draft.contents)
    if (audit === 'recorded' || mayDefer(endpoint)) return { result, audit }
    // It is done, and its record is kept to be written; but nobody is told before it is.
    draft.leaveUnfinished()
    throw new Rejection('audit_unavailable', 'the audit log could not be written: look whether it was done', {
      retryAfterSeconds: 1,
    })
  } catch (error) {
    throw await auditor.refuse(draft, error, request.facts.source)
  }
}

/** Asked when the work is done: what was ordered may have said it. */
function mayDefer({ mayDefer: given }: Pick<CallerWork<unknown>, 'mayDefer'>): boolean {
  return typeof given === 'function' ? given() : given
}
