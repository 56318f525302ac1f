/** What would have to change for one tool to pass one layer: the layer's own rules read backwards. `smallest-change.ts` tries it. */

import type { Authority } from '../authority/authority.ts'
import { isUnconstrained } from '../authority/constraints.ts'
import { userName } from '../kernel/user-name.ts'
import { LAYERS, type Layer } from '../model/decision.ts'
import { grantsFor, isInForce, principalsOf } from './grant-index.ts'
import { causeAt, type Judgement, leastLimits } from './judgement.ts'
import { entriesFor, type Known } from './layers.ts'
import { type Case, type Change, type ChangedTool, changedTool, sayChange } from './policy-change.ts'

/** A change, or why none may be made. */
export type Step = Change | string

type Place = Known & { readonly changed: ChangedTool }

/** What is known beside the tool: every tool of the request, this one among them, and the changes that were made already. */
export interface Surroundings {
  readonly all: readonly Judgement[]
  readonly made: readonly Change[]
}

/** For every layer that refuses the tool. A layer that what can be changed for it has not satisfied stands in the way. */
export function stepsFor(at: Case, judgement: Judgement, { all, made }: Surroundings): readonly Step[] {
  const refused = LAYERS.flatMap((layer) => {
    const cause = causeAt(judgement, layer)
    return cause === undefined ? [] : [{ layer, cause }]
  })
  const changed = changedTool(at.question, judgement.asked)
  if (changed === undefined) return refused.slice(0, 1).map(({ cause }) => cause)
  const place: Place = { ...judgement.asked, resource: changed.resource, tool: changed.tool, changed }
  const said = new Set(made.map(sayChange))
  if (refused.length > 0) {
    return refused.flatMap(({ layer, cause }) => {
      const steps = STEPS[layer](at, place).filter((step) => typeof step === 'string' || !said.has(sayChange(step)))
      return steps.length === 0 ? [cause] : steps
    })
  }
  // It passes, and the request was refused for others that were spelled out beside it.
  const unenforceable = all.flatMap((other) => {
    const lost = causeAt(other, 'enforcement') === undefined ? undefined : changedTool(at.question, other.asked)
    return lost === undefined ? [] : [{ ...lost, constraints: new Map(), container: undefined }]
  })
  return unenforceable.length === 0 ? [] : [{ kind: 'ask_without', tools: unenforceable }]
}

/** Whatever could be lacking: what was not is left out where the plan is. None: the layer's own cause stands in the way. */
const STEPS: Readonly<Record<Layer, (at: Case, place: Place) => readonly Step[]>> = {
  resource: (_at, { resource: { id, state } }) =>
    state === 'retired' ? [] : [{ kind: 'activate_resource', resource: id }],
  enforcement: ({ question }, { resource: { url, id, enforces, authorizationServer }, tool, changed }) => {
    if (tool.approval === 'required') {
      return authorizationServer === undefined ? [{ kind: 'raise_enforces', resource: id, to: 'calls' }] : []
    }
    if (leastLimits(question, url).maxCalls !== undefined) {
      // A server that takes the tokens of another never asks here.
      if (authorizationServer !== undefined) return [{ kind: 'ask_without_limits', resource: id }]
      return [{ kind: 'raise_enforces', resource: id, to: 'calls' }]
    }
    const to = enforces === 'scope' && isUnconstrained(changed.constraints) ? 'tools' : 'arguments'
    return [{ kind: 'raise_enforces', resource: id, to }]
  },
  tool: (_at, { resource, tool, changed }) =>
    resource.isClassified && !tool.delegable
      ? ['not delegable to agents, whatever the user may do']
      : [{ kind: 'ask_for_scope', tools: [changed] }],
  agent: stepsForAgents,
  user: stepsForUser,
  agent_grants: () => [],
  parent: ({ question }, place) => widening('widen_parent', question.parent, place),
  intent: ({ question }, place) =>
    question.contracted && place.tool.category !== 'read'
      ? ['the session is contracted: a reviewer may resume it (errand sessions resume)']
      : widening('widen_session', question.ceiling, place),
  external: () => [],
  deny_grants: ({ registry, question }, place) => {
    const denies = grantsFor(registry, place, principalsOf(question).all).filter(
      ({ effect, when }) => effect === 'deny' && isInForce(when, question) !== false,
    )
    return denies.map(({ id }) => ({ kind: 'lift_deny', grant: id }))
  },
}

function stepsForAgents({ question }: Case, place: Place): readonly Step[] {
  const { changed } = place
  const unreached = question.services.filter((service) => entriesFor(service, place).length === 0)
  const forServices = unreached.map(
    ({ clientId }) => `not in the manifest of service ${clientId}, which is its operator's`,
  )
  const forAgents = [question.agent, ...question.chain].flatMap(({ clientId, state, environment }): Step[] => {
    if (environment !== question.environment) {
      return [`agent ${clientId} belongs to environment ${environment}, and environments do not mix`]
    }
    if (state === 'retired') return [`agent ${clientId} is retired, which is final`]
    return [
      { kind: 'activate_agent', agent: clientId },
      { kind: 'add_to_manifest', agent: clientId, tools: [changed] },
    ]
  })
  return [...forServices, ...forAgents]
}

function stepsForUser({ question: { user, subject } }: Case, { changed }: Place): readonly Step[] {
  if (user === undefined) return []
  return [
    { kind: 'activate_user', user: subject },
    { kind: 'grant', user: userName(user), tools: [changed] },
  ]
}

/** Where the tool is there with its scope, it is the arguments that do not meet: those are the caller's to choose. */
function widening(
  kind: 'widen_parent' | 'widen_session',
  bound: Authority | undefined,
  { url, name, tool, changed }: Place,
): readonly Step[] {
  const there = bound?.resources.get(url)
  const isThere = there?.tools.has(name) === true && there.scopes.includes(tool.scope)
  return isThere ? [] : [{ kind, tools: [changed] }]
}
