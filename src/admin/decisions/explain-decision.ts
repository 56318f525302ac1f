/** One recorded decision, explained and made again. */
import { Rejection } from '../../kernel/rejection.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import { LAYERS, type Question } from '../../model/decision.ts'
import type { Registry } from '../../model/registry.ts'
import type { ShadowAnswer } from '../../model/shadow.ts'
import { decide, deliberate } from '../../policy/decide.ts'
import { QuestionUnreadable } from '../../policy/encode-question.ts'
import { type ExplainedLayer, explain } from '../../policy/explain.ts'
import { describeChange } from '../../policy/policy-change.ts'
import { type Difference, differences, effectiveDigest } from '../../policy/replay.ts'
import { smallestChange } from '../../policy/smallest-change.ts'
import { whoAuthorised } from '../audit/who-authorised.ts'
import {
  answerIn,
  type KeptTexts,
  type PolicyVersions,
  questionIn,
  questionNow,
  type StoredDecision,
} from './decision-book.ts'

export interface DecisionExplanation {
  readonly decision: string
  readonly at: string
  readonly outcome: AuditRecord['outcome']
  readonly reason?: string
  readonly sentence: string
  /** Who authorised it: the person, the agent, the session and the rule. */
  readonly authorised: string
  /** `kept: false`: that version is no longer there, and the layers are the record's, without their causes. */
  readonly policy?: { readonly version: string; readonly kept: boolean }
  readonly layers: readonly ExplainedLayer[]
  readonly grants: { readonly evaluated: number; readonly matched: readonly string[] }
  /** The user as the directory had them at that moment; `null`: nobody's work but the agent's. */
  readonly user?: unknown
  /** Of the policy as it is now; absent where the decision allowed. */
  readonly change?: ExplainedChange
  /** What set it off, and the intent, as a salted hash: of a session's requests. */
  readonly origin?: string
  readonly intent?: string
  /** How its session stood: absent where nothing had been asked outside its intent. */
  readonly conformance?: AuditRecord['conformance']
  /** What the draft in shadow would have answered instead; absent: the same, or there was none. */
  readonly shadow?: ShadowAnswer
  /** Of a call that needs a person's yes: which one, and who has said yes or no. */
  readonly approval?: { readonly id: string; readonly by?: string }
  /** Of a call that a server announced: how it ended, in the order that it was told. */
  readonly call?: { readonly attempt: string; readonly ends: readonly ExplainedEnd[] }
}

interface ExplainedEnd {
  readonly ended: 'success' | 'failure' | 'unknown'
  readonly at: string
  readonly by: string
}

export interface ExplainedChange {
  /** The policy of now would allow it already. */
  readonly allowed_now: boolean
  readonly ways: readonly (readonly Readonly<Record<string, unknown>>[])[]
  readonly never: readonly string[]
}

function endsIn(later: readonly AuditRecord[]): readonly ExplainedEnd[] {
  return later.flatMap(({ call, at, by }) => (call?.ended === undefined ? [] : [{ ended: call.ended, at, by }]))
}

/** @param now epoch seconds: what would change it, is asked as of then */
export async function explainDecision(
  { record, later, kept }: StoredDecision,
  versions: PolicyVersions,
  current: Registry,
  now: number,
): Promise<DecisionExplanation> {
  const common = {
    decision: record.id,
    at: record.at,
    outcome: record.outcome,
    authorised: whoAuthorised(record),
    ...(record.reason === undefined ? {} : { reason: record.reason }),
    grants: { evaluated: record.grants_evaluated ?? 0, matched: record.grants ?? [] },
    ...(record.shadow === undefined ? {} : { shadow: record.shadow }),
    ...(record.approval === undefined ? {} : { approval: record.approval }),
    ...(record.call === undefined ? {} : { call: { attempt: record.call.attempt, ends: endsIn(later) } }),
    ...attributionOf(record),
  }
  const told = sayApproval(record)
  if (told !== undefined) return { ...common, layers: [], sentence: told }
  if (record.policy === undefined) return { ...common, layers: [], sentence: beforePolicy(record) }
  const then = await versions.versionOf(record.policy)
  const question = then === undefined ? undefined : kept && readable(() => questionIn(kept, record.id, then, 'then'))
  const policy = { version: record.policy, kept: then !== undefined }
  const isDenied = kept !== undefined && deniedIn(kept)
  const change = isDenied ? changeNow(kept, record.id, current, now) : undefined
  const more = change === undefined ? {} : { change }
  if (then === undefined || question === undefined) {
    return { ...common, ...more, policy, layers: layersOfRecord(record), sentence: ofRecord(record) }
  }
  const { sentence, layers } = explain(question, deliberate(then, question))
  const afterwards =
    !isDenied && record.outcome === 'refused' ? ` The request was refused afterwards: ${record.reason}.` : ''
  return { ...common, ...more, policy, layers, sentence: `${sentence}${afterwards}`, user: question.user ?? null }
}

function attributionOf({ origin, intent, conformance }: AuditRecord) {
  return {
    ...(origin === undefined ? {} : { origin }),
    ...(intent === undefined ? {} : { intent }),
    ...(conformance === undefined ? {} : { conformance }),
  }
}

function deniedIn(kept: KeptTexts): boolean {
  try {
    return answerIn(kept).outcome === 'deny'
  } catch {
    return false
  }
}

function readable(read: () => Question): Question | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof QuestionUnreadable) return undefined
    throw error
  }
}

function changeNow(kept: KeptTexts, id: string, current: Registry, now: number): ExplainedChange | undefined {
  const question = readable(() => questionNow(kept, id, current, now))
  if (question === undefined) return undefined
  const allowed_now = decide(current, question).outcome === 'allow'
  const { ways, never } = smallestChange({ registry: current, question })
  return { allowed_now, ways: ways.map((way) => way.map(describeChange)), never }
}

/** Of the records of a person's yes or no, which are no decisions of the policy. */
function sayApproval({ event, outcome, by, agent, on_behalf_of, resource, reason }: AuditRecord): string | undefined {
  const call = `a call at ${resource ?? 'a server'} by agent ${agent?.id ?? 'unknown'} for ${on_behalf_of ?? 'nobody'}`
  if (event === 'approval.requested') return `Asked: ${by} waits for a person to approve ${call}.`
  if (event !== 'approval.granted' && event !== 'approval.denied') return undefined
  const [done, tried] = event === 'approval.granted' ? ['Approved', 'approve'] : ['Denied', 'deny']
  return outcome === 'granted' ? `${done}: by ${by}, ${call}.` : `Refused: ${by} may not ${tried} ${call}: ${reason}.`
}

function beforePolicy({ outcome, reason, missing = [] }: AuditRecord): string {
  if (outcome === 'granted') return 'No policy was asked: this was not a request for authority.'
  const more = missing.length === 0 ? '' : ` Missing: ${missing.join('; ')}.`
  return `Refused before any policy was asked: ${reason ?? 'for an unknown reason'}.${more}`
}

function ofRecord(record: AuditRecord): string {
  const who = `${record.by}${record.on_behalf_of === undefined ? '' : `, acting for ${record.on_behalf_of}`}`
  if (record.outcome === 'granted') return `Allowed: ${who}, with scope ${record.scope ?? 'unknown'}.`
  return `Refused: ${who}: ${(record.missing ?? []).join('; ') || record.reason}.`
}

function layersOfRecord({ layers = {} }: AuditRecord): readonly ExplainedLayer[] {
  return LAYERS.map((layer) => ({ layer, verdict: layers[layer] ?? 'not_applicable', says: [] }))
}

export interface DecisionReplay {
  readonly decision: string
  readonly policy: string
  /** Whether the stored question, put to the stored policy, has the stored answer. */
  readonly same: boolean
  readonly outcome: 'allow' | 'deny'
  /** Of the effective authority; absent where nothing was allowed. */
  readonly effective?: string
  readonly differences: readonly Difference[]
}

/** @throws Rejection `not_found` */
export async function replayDecision(
  { record, kept }: StoredDecision,
  versions: PolicyVersions,
): Promise<DecisionReplay> {
  if (record.policy === undefined) throw notReplayable('no policy was asked')
  if (kept === undefined) throw notReplayable('its question is no longer kept')
  const registry = await versions.versionOf(record.policy)
  if (registry === undefined) throw notReplayable(`policy version ${record.policy} is no longer kept`)
  try {
    const again = decide(registry, questionIn(kept, record.id, registry, 'then'))
    const found = differences({ record, answer: answerIn(kept) }, again)
    const effective = effectiveDigest(again)
    return {
      decision: record.id,
      policy: record.policy,
      same: found.length === 0,
      outcome: again.outcome,
      ...(effective === '' ? {} : { effective }),
      differences: found,
    }
  } catch (error) {
    if (error instanceof QuestionUnreadable) throw notReplayable(error.message)
    throw error
  }
}

function notReplayable(why: string): Rejection {
  return new Rejection('not_found', `this decision cannot be made again: ${why}`)
}
