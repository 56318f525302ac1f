/** The external PDP's answer as part of the question, and who may be asked for meanwhile. */
import type { Question } from '../model/decision.ts'
import { answerFrom, type ExternalPolicy } from '../net/external-policy.ts'
import { apartFromBudget } from '../store/time-budget.ts'
import { assertNobodyBlocked, type Standing } from './standing.ts'

/**
 * The question, answered outside where there is somebody to ask. Whoever was blocked while that took its time is refused; what
 * was cut off meanwhile has a higher number than the `rv` read before.
 * @throws Rejection `principal_blocked`, `cutoffs_stale`
 */
export async function askedOutside(
  question: Question,
  external: Pick<ExternalPolicy, 'ask'> | undefined,
  signedInAt: number | undefined,
  standing: Standing,
): Promise<Question> {
  assertNobodyBlocked(question, signedInAt, standing)
  if (external === undefined) return question
  const answer = await apartFromBudget(() => answerFrom(external, question))
  standing.cutoffs.assertFresh()
  assertNobodyBlocked(question, signedInAt, standing)
  return { ...question, external: answer }
}
