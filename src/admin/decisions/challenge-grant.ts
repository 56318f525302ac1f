/**
 * What an approver may answer a challenge with: a grant for its user, of the tools that were refused, with the arguments that
 * were asked for, until a time. Only where that grant alone is missing: manifests, denies and states are not theirs to change.
 */
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import { mayIssue } from '../../model/lifecycle.ts'
import type { Registry } from '../../model/registry.ts'
import { decide } from '../../policy/decide.ts'
import { QuestionUnreadable } from '../../policy/encode-question.ts'
import { type Case, type Change, sayChange, withChange } from '../../policy/policy-change.ts'
import { selects } from '../../policy/selector.ts'
import { smallestChange } from '../../policy/smallest-change.ts'
import type { Challenge } from './challenges.ts'
import { questionNow } from './decision-book.ts'

export type GrantChange = Extract<Change, { kind: 'grant' }>

export interface ChallengeAnswer {
  /** `undefined`: no grant alone would turn it; `whyNot` says what it needs instead. */
  readonly grant: GrantChange | undefined
  readonly environment: string
  readonly whyNot: readonly string[]
  /** The policy of now allows it already. */
  readonly allowedNow: boolean
}

/** @throws QuestionUnreadable where the agent is no longer registered */
export function answerTo({ refusals }: Challenge, current: Registry, now: number): ChallengeAnswer {
  const [newest] = refusals
  if (newest === undefined) throw new QuestionUnreadable('part', 'nothing of this challenge is kept')
  const question = questionNow(newest.kept, newest.id, current, now)
  const { environment } = question
  if (decide(current, question).outcome === 'allow') {
    return { grant: undefined, environment, whyNot: ['the policy of now allows it: ask again'], allowedNow: true }
  }
  const { ways, never } = smallestChange({ registry: current, question })
  const grant = ways
    .map(([first, ...more]) => (more.length === 0 ? first : undefined))
    .find((one) => one?.kind === 'grant')
  if (grant?.kind === 'grant') return { grant, environment, whyNot: [], allowedNow: false }
  const [needs = []] = ways
  const lines = needs
    .filter(({ kind }) => kind !== 'grant')
    .map((change) => `${sayChange(change)}: ${WHOSE[change.kind]}`)
  return { grant: undefined, environment, whyNot: lines.length > 0 ? lines : never, allowedNow: false }
}

const NOT_APPROVERS = 'approvers cannot change that'
const ASK_OTHERWISE = 'the request has to be another'
/** Whose matter a change is that no approver may make. */
const WHOSE: Readonly<Record<Change['kind'], string>> = {
  activate_agent: NOT_APPROVERS,
  activate_user: NOT_APPROVERS,
  activate_resource: NOT_APPROVERS,
  add_to_manifest: 'approvers cannot change manifests',
  grant: 'a grant alone is not enough',
  lift_deny: 'approvers grant nothing that a deny forbids',
  raise_enforces: NOT_APPROVERS,
  ask_without: ASK_OTHERWISE,
  ask_for_scope: ASK_OTHERWISE,
  ask_without_limits: ASK_OTHERWISE,
  widen_parent: ASK_OTHERWISE,
  widen_session: ASK_OTHERWISE,
}

/** Which of the refusals kept of the challenge the grant would turn: decided again with it. */
export function turnedBy(
  grant: GrantChange,
  { refusals }: Challenge,
  current: Registry,
  now: number,
): readonly string[] {
  return refusals.flatMap(({ id, kept }) => {
    try {
      const given: Case = { registry: current, question: questionNow(kept, id, current, now) }
      const { registry, question } = withChange(given, grant)
      return decide(registry, question).outcome === 'allow' ? [id] : []
    } catch (error) {
      if (error instanceof QuestionUnreadable) return []
      throw error
    }
  })
}

/** Who else could use the grant for its user: a grant names no agent. */
export function alsoAllows(
  { tools }: GrantChange,
  { agent, environment }: { readonly agent: string; readonly environment: string },
  current: Registry,
): readonly { readonly agent: string; readonly tools: readonly string[] }[] {
  const others = current.agents.filter(
    (one) => one.clientId !== agent && one.environment === environment && mayIssue(one.state, environment),
  )
  const found = others.flatMap(({ clientId, manifest }) => {
    const reached = tools.filter(({ resource, tool }) =>
      manifest.some(({ selector }) => selects(selector, resource, tool)),
    )
    if (reached.length === 0) return []
    return [{ agent: clientId, tools: reached.map(({ resource, tool }) => `${tool.name} at ${resource.id}`) }]
  })
  return found.slice(0, LIST_ENTRIES_MAX)
}
