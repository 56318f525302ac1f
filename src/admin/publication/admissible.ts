/** What no new version of the policy may do, however well-formed it is: take steps that no life takes, or make an agent stronger than its owner. */
import { each, mapped, type Sliced } from '../../kernel/slices.ts'
import type { Agent, AgentVersion, Client } from '../../model/client.ts'
import { type LifecycleState, legalTransition } from '../../model/lifecycle.ts'
import type { Registry } from '../../model/registry.ts'
import { findingBeyondOwners } from '../../policy/beyond-owner.ts'
import { widenedTools } from './manifest-change.ts'
import { someOf } from './widened.ts'

/** One line for each; of what is in both versions, for an object that was taken out and comes back later begins anew. */
export function* inadmissible(before: Registry, after: Registry): Sliced<readonly string[]> {
  const problems: string[] = []
  yield* each([...before.agents, ...before.services], (client) => {
    problems.push(...ofClient(client, after.client(client.clientId), after))
  })
  const states = new Map<string, LifecycleState>()
  yield* each(after.resources, ({ id, state }) => states.set(id, state))
  yield* each(before.resources, ({ id, state }) => {
    problems.push(...ofState(`resource ${id}`, state, states.get(id)))
  })
  return [...problems, ...(yield* beyondTheirOwners(before, after))]
}

function ofState(name: string, from: LifecycleState, to: LifecycleState | undefined): readonly string[] {
  return to === undefined || legalTransition(from, to) ? [] : [`${name}: it may not go from ${from} to ${to}`]
}

function ofClient(before: Client, after: Client | undefined, registry: Registry): readonly string[] {
  if (after === undefined || after === before) return []
  const name = `${before.kind} ${before.clientId}`
  const own = ofState(name, before.state, after.state)
  if (before.kind === 'service' || after.kind === 'service') return own
  const versions = [...before.versions.values()].flatMap((version) => {
    const now = after.versions.get(version.version)
    return now === undefined ? [] : ofVersion(`${name}, version ${version.version}`, version, now)
  })
  return [...own, ...versions, ...promotedWithMore(before, after, registry)]
}

/** What goes into service is what was tested: more than that is published while it is in testing, and looked at there (R192). */
function promotedWithMore(before: Agent, after: Agent, registry: Registry): readonly string[] {
  const promoted = [...after.versions.values()].filter(({ version, state }) => {
    return state === 'active' && before.versions.get(version)?.state === 'testing'
  })
  const isPromoted = promoted.length > 0 || (after.state === 'active' && before.state === 'testing')
  const more = isPromoted ? widenedTools(before.manifest, after.manifest, registry) : []
  return more.length === 0
    ? []
    : [`agent ${after.clientId}: it may not go into service with more than was tested: ${someOf(more)}`]
}

/** What was looked at under a version's name is that version: another model or image is another one (R212). */
function ofVersion(name: string, before: AgentVersion, after: AgentVersion): readonly string[] {
  const isOther = (member: 'model' | 'imageDigest') => before[member] !== undefined && before[member] !== after[member]
  return [
    ...ofState(name, before.state, after.state),
    ...(isOther('model') || isOther('imageDigest') ? [`${name}: another model or image is a new version`] : []),
  ]
}

/** Only where this change makes it so: what takes rights from an owner must never be refused for what they own. */
function* beyondTheirOwners(before: Registry, after: Registry): Sliced<readonly string[]> {
  const widened: Agent[] = []
  yield* each(after.agents, (agent) => {
    const was = before.client(agent.clientId)
    const isAsBefore =
      was === agent ||
      (was?.kind === 'agent' &&
        was.owner === agent.owner &&
        JSON.stringify(was.manifest) === JSON.stringify(agent.manifest))
    if (!isAsBefore) widened.push(agent)
  })
  const { beyond } = yield* findingBeyondOwners(after, widened)
  return yield* mapped(
    beyond,
    ({ agent: { clientId, owner }, tools }) =>
      `agent ${clientId}: its owner ${owner} could not be granted ${tools.slice(0, 3).join(', ')}`,
  )
}
