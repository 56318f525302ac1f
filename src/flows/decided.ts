/** What was decided, on the record of whoever asked: the question as it is kept, and what it was about as it was called then. */
import type { AuditDraft } from '../audit/audit-draft.ts'
import type { Decision, Question } from '../model/decision.ts'
import type { Registry } from '../model/registry.ts'
import type { Shadow } from '../model/shadow.ts'
import { serverSnapshot } from '../model/snapshot.ts'
import { keepDecision } from '../policy/recorded-decision.ts'

export function recordDecided(
  draft: AuditDraft,
  asked: Question,
  decision: Decision,
  { registry, shadow }: { readonly registry: Registry; readonly shadow: Shadow },
): void {
  const server = asked.target === undefined ? undefined : registry.resource(asked.target)
  if (server !== undefined) draft.add(serverSnapshot(server))
  draft.addDecision(decision, keepDecision(asked, decision), shadow.answer(asked, decision))
}
