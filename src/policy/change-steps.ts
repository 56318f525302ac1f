/** What would have to change for one tool to pass one layer: the layer's own rules read backwards. `smallest-change.ts` tries it. */

import type { Authority } from '../authority/authority.ts'
import { isUnconstrained } from '../authority/constraints.ts'
import { userPrincipal } from '../kernel/ids.ts'
import { userName } from '../kernel/user-name.ts'
import { LAYERS, type Layer } from '../model/decision.ts'
import { mayIssue } from '../model/lifecycle.ts'
import { grantsFor, isInForce, principalsOf } from './grant-index.ts'
import type { Judgement } from './judgement.ts'
import type { Known } from './layers.ts'
import type { Case, Change, ChangedTool } from './policy-change.ts'
import { holdsIn, selects } from './selector.ts'

/** A change, or why none may be made. */
export type Step = Change | string

type Place = Known & { readonly changed: ChangedTool }

/** For every layer that refuses the tool. @param all every tool of the request, this one among them */
export function stepsFor(at: Case, judgement: Judgement, all: readonly Judgement[]): readonly Step[] {
  const { asked, verdicts } = judgement
  const refused = LAYERS.flatMap((layer) => {
    const verdict = verdicts[layer]
    return verdict !== undefined && 'cause' in verdict ? [{ layer, cause: verdict.cause }] : []
  })
  const { resource, tool } = asked
  if (resource === undefined || tool === undefined) return refused.slice(0, 1).map(({ cause }) => cause)
  const wanted = at.question.asked.resources.get(asked.url)?.tools.get(asked.name) ?? new Map()
  const place: Place = {
    ...asked,
    resource,
    tool,
    changed: { resource, tool, constraints: wanted, container: asked.place?.id },
  }
  if (refused.length > 0) return refused.flatMap(({ layer, cause }) => STEPS[layer](at, place, cause))
  // It passes, and the request was refused for others that were spelled out beside it.
  const unenforceable = all.flatMap(({ asked: other, verdicts: said, constraints }) => {
    const isLost = constraints === undefined && said.enforcement !== undefined && 'cause' in said.enforcement
    if (!isLost || other.resource === undefined || other.tool === undefined) return []
    return [{ resource: other.resource, tool: other.tool, constraints: new Map(), container: undefined }]
  })
  return unenforceable.length === 0 ? [] : [{ kind: 'ask_without', tools: unenforceable }]
}

const STEPS: Readonly<Record<Layer, (at: Case, place: Place, cause: string) => readonly Step[]>> = {
  resource: (_at, { resource }, cause) =>
    resource.state === 'active' ? [cause] : [{ kind: 'activate_resource', resource: resource.id }],
  enforcement: ({ question }, { resource, changed }) => {
    const { url, id, enforces } = resource
    const limits = [question.asked, question.parent, question.ceiling].map((one) => one?.resources.get(url)?.limits)
    if (limits.some((one) => one?.maxCalls !== undefined)) return [{ kind: 'ask_without_limits', resource: id }]
    const to = enforces === 'scope' && isUnconstrained(changed.constraints) ? 'tools' : 'arguments'
    return [{ kind: 'raise_enforces', resource: id, to }]
  },
  tool: ({ question }, { tool, changed, place }, cause) => {
    if (question.container !== place?.id) return [cause]
    return tool.delegable
      ? [{ kind: 'ask_for_scope', tools: [changed] }]
      : ['not delegable to agents, whatever the user may do']
  },
  agent: stepsForAgents,
  user: stepsForUser,
  agent_grants: (_at, _place, cause) => [cause],
  parent: ({ question }, place, cause) => widening('widen_parent', question.parent, place, cause),
  intent: ({ question }, place, cause) => widening('widen_session', question.ceiling, place, cause),
  external: (_at, _place, cause) => [cause],
  deny_grants: ({ registry, question }, place) => {
    const denies = grantsFor(registry, place, principalsOf(question).all).filter(
      ({ effect, when }) => effect === 'deny' && isInForce(when, question) !== false,
    )
    return denies.map(({ id }) => ({ kind: 'lift_deny', grant: id }))
  },
}

function stepsForAgents({ question }: Case, { resource, tool, place, changed }: Place, cause: string): readonly Step[] {
  const steps = [question.agent, ...question.chain].flatMap(({ clientId, state, environment, manifest }): Step[] => {
    if (environment !== question.environment) {
      return [`agent ${clientId} belongs to environment ${environment}, and environments do not mix`]
    }
    const isListed = manifest.some(
      ({ selector }) => selects(selector, resource, tool) && holdsIn(selector, place) === true,
    )
    return [
      ...(mayIssue(state, question.environment) ? [] : [{ kind: 'activate_agent', agent: clientId } as const]),
      ...(isListed ? [] : [{ kind: 'add_to_manifest', agent: clientId, tools: [changed] } as const]),
    ]
  })
  return steps.length === 0 ? [cause] : steps
}

function stepsForUser({ registry, question }: Case, place: Place, cause: string): readonly Step[] {
  const { user, subject } = question
  if (user === undefined || subject !== userPrincipal(user.issuerSlug, user.sub)) return [cause]
  const isAllowed = grantsFor(registry, place, principalsOf(question).user).some(
    ({ effect, when }) => effect === 'allow' && isInForce(when, question) === true,
  )
  const steps: Change[] = []
  if (!user.active) steps.push({ kind: 'activate_user', user: subject })
  if (!isAllowed) steps.push({ kind: 'grant', user: userName(user), tools: [place.changed] })
  return steps.length === 0 ? [cause] : steps
}

/** Where the tool is there with its scope, it is the arguments that do not meet: those are the caller's to choose. */
function widening(
  kind: 'widen_parent' | 'widen_session',
  bound: Authority | undefined,
  { url, name, tool, changed }: Place,
  cause: string,
): readonly Step[] {
  const there = bound?.resources.get(url)
  const isThere = there?.tools.has(name) === true && there.scopes.includes(tool.scope)
  return isThere ? [cause] : [{ kind, tools: [changed] }]
}
