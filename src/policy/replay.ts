/**
 * A recorded decision made again: the stored question put to a stored policy. The same policy must give the same answer; a
 * difference is a fault of the broker, or of its books, and is named.
 */
import type { Authority } from '../authority/authority.ts'
import { encodeAuthority } from '../authority/encode-authority.ts'
import { isPlainObject } from '../authority/strict-object.ts'
import { sha256 } from '../kernel/digest.ts'
import type { AuditRecord } from '../model/audit-record.ts'
import type { Decision } from '../model/decision.ts'
import type { KeptAnswer } from './recorded-decision.ts'

/** What was answered then: of the record, and of what is kept beside it. */
export interface AnsweredThen {
  readonly record: Pick<AuditRecord, 'policy' | 'layers' | 'grants' | 'grants_evaluated' | 'missing' | 'shortened'>
  readonly answer: KeptAnswer
}

export interface Difference {
  readonly of: 'policy' | 'outcome' | 'reason' | 'layers' | 'grants' | 'grants_evaluated' | 'effective'
  readonly recorded: string
  readonly replayed: string
}

/** Where the answer given again is another; empty: nowhere. What a shortened record has shed is not compared. */
export function differences({ record, answer }: AnsweredThen, again: Decision): readonly Difference[] {
  const layers = Object.fromEntries(again.layers.map(({ layer, verdict }) => [layer, verdict]))
  const compared: readonly (readonly [Difference['of'], unknown, unknown])[] = [
    ['policy', record.policy, again.policyVersion],
    ['outcome', answer.outcome, again.outcome],
    ['reason', reasonOf(answer), reasonOf(again)],
    ['layers', record.layers ?? kept(record, layers), layers],
    ['grants', record.grants ?? kept(record, again.grantsMatched), again.grantsMatched],
    ['grants_evaluated', record.grants_evaluated ?? kept(record, again.grantsEvaluated), again.grantsEvaluated],
    ['effective', effectiveDigest(answer), effectiveDigest(again)],
  ]
  return compared.flatMap(([of, recorded, replayed]) => {
    const [before, after] = [textOf(recorded), textOf(replayed)]
    return before === after ? [] : [{ of, recorded: before, replayed: after }]
  })
}

/** A record that was cut to its size says nothing of what it shed; a whole one has left out only what was empty. */
function kept<T>({ shortened }: AnsweredThen['record'], again: T): T | readonly [] {
  return shortened === true ? again : []
}

function reasonOf(answer: KeptAnswer | Decision): string {
  return answer.outcome === 'deny' ? answer.reason : ''
}

export function effectiveDigest(answer: KeptAnswer | Decision): string {
  return answer.outcome === 'allow' ? authorityDigest(answer.effective) : ''
}

/** Equal for authorities that allow the same, in whatever order they came to say so. */
function authorityDigest(authority: Authority): string {
  return sha256(textOf(encodeAuthority(authority)))
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(ordered(value))
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered).sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1))
  if (!isPlainObject(value)) return value
  const members = Object.entries(value).map(([name, member]): [string, unknown] => [name, ordered(member)])
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)))
}
