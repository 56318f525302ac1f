/** What a record says of the work that somebody ends or lets go on: for whom it was, by whom, what for, and what set it off. */
import type { AuditRecord } from '../model/audit-record.ts'
import type { SessionView } from '../sessions/session-record.ts'

export function describeWork({ facts, nodes }: SessionView): Partial<AuditRecord> {
  const root = nodes[0]?.facts
  return {
    on_behalf_of: facts.subject.principal,
    agent: { id: facts.rootAgent },
    ...(root === undefined ? {} : { intent: root.intentHash, origin: root.origin.type }),
  }
}
