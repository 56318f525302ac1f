/** The one authorization decision (DESIGN §6): pure; the same question to the same registry always has the same answer. */
import type { Decision, Question } from '../model/decision.ts'
import type { Registry } from '../model/registry.ts'

export function decide(registry: Registry, question: Question): Decision {
  throw new Error(`not yet: ${registry.version} ${question.id}`)
}
