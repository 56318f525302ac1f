/** Past decisions put to a draft of the policy: which of them it would answer otherwise. */
import { setImmediate as turn } from 'node:timers/promises'
import { widening } from '../../authority/narrowing.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import type { Decision } from '../../model/decision.ts'
import type { Registry } from '../../model/registry.ts'
import { decide } from '../../policy/decide.ts'
import { QuestionUnreadable } from '../../policy/encode-question.ts'
import { type KeptAnswer, targetOfKept } from '../../policy/recorded-decision.ts'
import { effectiveDigest } from '../../policy/replay.ts'
import { answerIn, type DecisionBook, type DecisionFilter, type KeptTexts, questionIn } from './decision-book.ts'

/** What becomes of requests like those. */
export type Turn = 'refused' | 'granted' | 'narrowed' | 'widened' | 'refused_otherwise'

export interface ChangedDecisions {
  readonly turn: Turn
  readonly agent: string
  readonly subject: string
  readonly resource?: string
  /** Of the answer under the draft, where it refuses. */
  readonly says?: string
  readonly count: number
  /** The newest of them. */
  readonly examples: readonly string[]
}

export interface PolicyDiff {
  readonly draft: string
  /** Records read, decisions compared, and decisions whose question is no longer kept. */
  readonly looked_at: number
  readonly compared: number
  readonly not_comparable: number
  readonly changed: readonly ChangedDecisions[]
  /** There are older decisions that were not looked at. */
  readonly more: boolean
}

const EXAMPLES_MAX = 3
const PAGE = 100

/** @param most decisions compared at most */
export async function policyDiff(
  book: DecisionBook,
  draft: Registry,
  filter: DecisionFilter,
  most: number,
): Promise<PolicyDiff> {
  const groups = new Map<string, ChangedDecisions>()
  const counts = { looked_at: 0, compared: 0, not_comparable: 0 }
  let after: string | undefined
  do {
    const page = await book.page(filter, Math.min(PAGE, most - counts.compared - counts.not_comparable), after)
    counts.looked_at += page.lookedAt
    for (const record of page.records) {
      const kept = await book.kept(record)
      const changed = kept === undefined ? undefined : comparedWith(draft, kept, record)
      if (changed === undefined) counts.not_comparable += 1
      else counts.compared += 1
      if (kept !== undefined && changed !== undefined && changed !== 'same') {
        count(groups, { ...changed, resource: targetOfKept(kept.text) }, record)
      }
    }
    after = page.after
    // Other requests are answered between two pages.
    await turn()
  } while (after !== undefined && counts.compared + counts.not_comparable < most)
  const changed = [...groups.values()].sort((a, b) => b.count - a.count)
  return { draft: draft.version, ...counts, changed, more: after !== undefined }
}

interface Changed {
  readonly turn: Turn
  readonly resource?: string | undefined
  readonly says?: string
}

/** `undefined`: it cannot be told. */
function comparedWith(draft: Registry, kept: KeptTexts, { id }: AuditRecord): Changed | 'same' | undefined {
  try {
    const before = answerIn(kept)
    const question = answerOr(() => questionIn(kept, id, draft, 'registry'))
    if (typeof question === 'string') {
      return before.outcome === 'allow' ? { turn: 'refused', says: question } : 'same'
    }
    return compared(before, decide(draft, question))
  } catch (error) {
    if (error instanceof QuestionUnreadable) return undefined
    throw error
  }
}

/** The draft does not have an agent of the question: it would refuse it, and this says why. */
function answerOr<T>(read: () => T): T | string {
  try {
    return read()
  } catch (error) {
    if (error instanceof QuestionUnreadable && error.lacks === 'agent') return error.message
    throw error
  }
}

function compared(before: KeptAnswer, after: Decision): Changed | 'same' {
  if (before.outcome === 'deny') {
    if (after.outcome === 'allow') return { turn: 'granted' }
    return before.reason === after.reason ? 'same' : { turn: 'refused_otherwise', says: after.reason }
  }
  if (after.outcome === 'deny') return { turn: 'refused', says: after.missing[0] ?? after.description }
  if (effectiveDigest(before) === effectiveDigest(after)) return 'same'
  return { turn: widening(after.effective, before.effective) === undefined ? 'narrowed' : 'widened' }
}

function count(groups: Map<string, ChangedDecisions>, { turn, says, resource }: Changed, record: AuditRecord): void {
  const agent = record.agent?.id ?? record.by
  const subject = record.on_behalf_of ?? record.by
  const key = JSON.stringify([turn, says, agent, subject, resource])
  const known = groups.get(key)
  groups.set(key, {
    turn,
    agent,
    subject,
    ...(resource === undefined ? {} : { resource }),
    ...(says === undefined ? {} : { says }),
    count: (known?.count ?? 0) + 1,
    examples: [...(known?.examples ?? []), record.id].slice(0, EXAMPLES_MAX),
  })
}
