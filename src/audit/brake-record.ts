/** The record of a session that was contracted or halted for what its agents asked: by whose ask, and which led to it. */
import { authorityScopes } from '../authority/narrowing.ts'
import { agentPrincipal, type ClientId } from '../kernel/ids.ts'
import type { Braked } from '../model/drift.ts'
import { formatScope } from '../protocol/scope.ts'
import type { Auditor } from './auditor.ts'

export function brakeRecord(
  { brake, session, agent, node, count, asks }: Braked,
  auditor: Pick<Auditor, 'begin'>,
): string {
  const draft = auditor.begin()
  draft.authenticatedAs(agentPrincipal(agent as ClientId))
  draft.add({
    event: brake === 'halted' ? 'session.halted' : 'session.contracted',
    agent: { id: agent, ...(agent === node.holder ? { version: node.agentVersion } : {}) },
    scope: formatScope(authorityScopes(node.authority)),
    ...(session.subject.user === undefined ? { owner: session.accountableOwner } : {}),
    on_behalf_of: session.subject.principal,
    session: session.id,
    txn: session.txn,
    node: node.id,
    intent: node.intentHash,
    origin: node.origin.type,
    asks,
    detail: `${brake} after ${count} asks outside the intent in this session, or as many as the limit in others`,
  })
  return draft.granted()
}
