/** What a record says of the work that somebody ends or lets go on: for whom it was, by whom, what for, and what set it off. */
import { authorityScopes } from '../authority/narrowing.ts'
import type { AuditRecord } from '../model/audit-record.ts'
import { formatScope } from '../protocol/scope.ts'
import type { SessionView } from './session-record.ts'

export function describeWork({ facts, nodes }: SessionView): Partial<AuditRecord> {
  const root = nodes[0]?.facts
  return {
    txn: facts.txn,
    on_behalf_of: facts.subject.principal,
    ...(facts.subject.user === undefined ? { owner: facts.accountableOwner } : {}),
    session: facts.id,
    agent: { id: facts.rootAgent, ...(root === undefined ? {} : { version: root.agentVersion }) },
    scope: formatScope(authorityScopes(facts.ceiling)),
    ...(root === undefined ? {} : { intent: root.intentHash, origin: root.origin.type }),
  }
}
