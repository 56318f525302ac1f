/**
 * Refusals of the policy that are alike, as one matter to look at: the same agent, for the same user, was refused the same
 * tools with the same arguments for the same reason. So whatever is asked for between looking at one and resolving it, the grant
 * is the one that was looked at. A challenge is read from the records, under an id made of what it is about; nothing else keeps it.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { encodeToolConstraints } from '../../authority/constraints.ts'
import { sha256 } from '../../kernel/digest.ts'
import { DECISIONS_LOOKED_AT_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import type { Registry } from '../../model/registry.ts'
import { decide } from '../../policy/decide.ts'
import { QuestionUnreadable } from '../../policy/encode-question.ts'
import { topicOfKept } from '../../policy/recorded-decision.ts'
import { canonicalJson } from '../../registry/canonical-json.ts'
import { answerIn, type DecisionBook, type KeptTexts, questionNow } from './decision-book.ts'

export interface Challenge {
  readonly id: string
  readonly agent: string
  readonly subject: string
  readonly reason: string
  /** What was asked for where it was refused. */
  readonly tools: readonly AskedTool[]
  readonly count: number
  readonly firstSeen: string
  readonly lastSeen: string
  /** Newest first; of each, what was asked. */
  readonly refusals: readonly { readonly id: string; readonly kept: KeptTexts }[]
}

export interface AskedTool {
  readonly resource: string
  readonly tool: string
  /** Absent: any arguments. */
  readonly constraints?: ReturnType<typeof encodeToolConstraints>
}

export interface Challenges {
  readonly challenges: readonly Challenge[]
  readonly lookedAt: number
  /** There are older records that were not looked at. */
  readonly more: boolean
}

/** Of one challenge kept in memory: what a preview decides again. */
const REFUSALS_MAX = 20
const PAGE = 100

/** Newest first. */
export async function readChallenges(book: DecisionBook, sinceMs?: number): Promise<Challenges> {
  const found = new Map<string, Challenge>()
  let lookedAt = 0
  let after: string | undefined
  const filter = { outcome: 'refused', sinceMs }
  do {
    const page = await book.page(filter, PAGE, after)
    lookedAt += page.lookedAt
    for (const record of page.records) {
      const kept = await book.kept(record)
      if (kept !== undefined) add(found, record, kept)
    }
    after = page.after
    await turn()
  } while (after !== undefined && lookedAt < DECISIONS_LOOKED_AT_MAX)
  return { challenges: [...found.values()], lookedAt, more: after !== undefined }
}

/** @throws Rejection `not_found` */
export async function findChallenge(book: DecisionBook, id: string): Promise<Challenge> {
  const { challenges } = await readChallenges(book)
  const found = challenges.find((challenge) => challenge.id === id)
  if (found === undefined) throw new Rejection('not_found', 'no recent refusals are this challenge')
  return found
}

function add(found: Map<string, Challenge>, record: AuditRecord, kept: KeptTexts): void {
  const made = challengeOf(record, kept)
  if (made === undefined) return
  const known = found.get(made.id)
  if (known === undefined) found.set(made.id, made)
  else {
    const refusals = [...known.refusals, ...made.refusals].slice(0, REFUSALS_MAX)
    found.set(made.id, { ...known, count: known.count + 1, firstSeen: made.firstSeen, refusals })
  }
}

/** `undefined`: it was not the policy that refused it, or its question is no longer kept. */
function challengeOf({ id, at }: AuditRecord, kept: KeptTexts): Challenge | undefined {
  try {
    const answer = answerIn(kept)
    if (answer.outcome === 'allow') return undefined
    const { agent, subject, target, asked } = topicOfKept(kept.text, { part: (digest) => kept.parts.get(digest) })
    const concerned = [...asked.resources].filter(([url]) => target === undefined || url === target)
    const tools = concerned
      .flatMap(([resource, { tools }]) =>
        [...tools].map(
          ([tool, constraints]): AskedTool => ({
            resource,
            tool,
            ...(constraints.size === 0 ? {} : { constraints: encodeToolConstraints(constraints) }),
          }),
        ),
      )
      .sort((a, b) => (`${a.resource} ${a.tool}` < `${b.resource} ${b.tool}` ? -1 : 1))
    const { reason } = answer
    const name = sha256(canonicalJson([agent, subject, reason, tools])).slice(0, 22)
    const refusals = [{ id, kept }]
    return { id: `chl_${name}`, agent, subject, reason, tools, count: 1, firstSeen: at, lastSeen: at, refusals }
  } catch (error) {
    if (error instanceof QuestionUnreadable) return undefined
    throw error
  }
}

/** Whether the newest of its refusals would be one again. `undefined`: it cannot be asked again. */
export function isStillRefused({ refusals: [newest] }: Challenge, current: Registry, now: number): boolean | undefined {
  if (newest === undefined) return undefined
  try {
    return decide(current, questionNow(newest.kept, newest.id, current, now)).outcome === 'deny'
  } catch (error) {
    if (error instanceof QuestionUnreadable) return undefined
    throw error
  }
}
