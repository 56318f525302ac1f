/** Challenges as the admin API tells them. */
import type { Registry } from '../../model/registry.ts'
import { QuestionUnreadable } from '../../policy/encode-question.ts'
import { describeChange } from '../../policy/policy-change.ts'
import { alsoAllows, answerTo, turnedBy } from './challenge-grant.ts'
import { type Challenge, isStillRefused } from './challenges.ts'

const EXAMPLES_MAX = 5

export interface ChallengeView {
  readonly challenge: string
  readonly agent: string
  readonly on_behalf_of: string
  readonly reason: string
  readonly tools: Challenge['tools']
  readonly count: number
  readonly first_seen: string
  readonly last_seen: string
  /** Decision ids, newest first. */
  readonly examples: readonly string[]
  /** `unknown`: its agent is no longer registered. */
  readonly state: 'open' | 'allowed_now' | 'unknown'
}

export function showChallenge(challenge: Challenge, current: Registry, now: number): ChallengeView {
  const { id, agent, subject, reason, tools, count, firstSeen, lastSeen, refusals } = challenge
  const refused = isStillRefused(challenge, current, now)
  return {
    challenge: id,
    agent,
    on_behalf_of: subject,
    reason,
    tools,
    count,
    first_seen: firstSeen,
    last_seen: lastSeen,
    examples: refusals.slice(0, EXAMPLES_MAX).map((refusal) => refusal.id),
    state: refused === undefined ? 'unknown' : refused ? 'open' : 'allowed_now',
  }
}

export interface ChallengePreview extends ChallengeView {
  readonly approvable: boolean
  /** What it needs instead, where it is not. */
  readonly why_not: readonly string[]
  /** The grant that resolving it would write. */
  readonly grant?: Readonly<Record<string, unknown>>
  /** Recent refusals that would be allowed, of so many looked at. */
  readonly turns: readonly string[]
  readonly looked_at: number
  /** Other agents that could use the grant for the same user. */
  readonly also_allows: readonly { readonly agent: string; readonly tools: readonly string[] }[]
}

export function previewChallenge(challenge: Challenge, current: Registry, now: number): ChallengePreview {
  const view = { ...showChallenge(challenge, current, now), looked_at: challenge.refusals.length }
  try {
    const { grant, whyNot, environment } = answerTo(challenge, current, now)
    if (grant === undefined) return { ...view, approvable: false, why_not: whyNot, turns: [], also_allows: [] }
    return {
      ...view,
      approvable: true,
      why_not: [],
      grant: describeChange(grant),
      turns: turnedBy(grant, challenge, current, now),
      also_allows: alsoAllows(grant, { agent: challenge.agent, environment }, current),
    }
  } catch (error) {
    if (!(error instanceof QuestionUnreadable)) throw error
    return { ...view, approvable: false, why_not: [error.message], turns: [], also_allows: [] }
  }
}
