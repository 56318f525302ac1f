/** Two versions are compared in slices: no step looks at more than a few of a large policy's entries. */
import { expect, test } from 'vitest'
import { inadmissible } from '../../../../src/admin/publication/admissible.ts'
import { differenceOf } from '../../../../src/admin/publication/difference.ts'
import type { Sliced } from '../../../../src/kernel/slices.ts'
import type { Registry } from '../../../../src/model/registry.ts'
import { type Raw, world } from '../../policy/world.ts'

const MANY = 400
/** One of each version, and its neighbour. */
const AT_ONCE_MAX = 4

function largeWorld(change: (agent: Raw, n: number) => void = () => undefined): Registry {
  return world((d) => {
    d.agents.push(
      ...Array.from({ length: MANY }, (_, n) => {
        const agent = { ...d.agents[1], client_id: `agent-${n}`, owner: 'user:corp:alice', delegates: [], upstream: {} }
        change(agent, n)
        return agent
      }),
    )
    d.users.push(...Array.from({ length: MANY }, (_, n) => ({ issuer: 'corp', sub: `user-${n}`, groups: [`g-${n}`] })))
    d.grants.push(
      ...Array.from({ length: MANY }, (_, n) => ({
        id: `more-${n}`,
        effect: n % 2 === 0 ? 'deny' : 'allow',
        principals: [{ group: `g-${n}` }],
        resources: [{ server: 'warehouse', tool: 'query' }],
      })),
    )
  })
}

/** The registry, with a note of every grant, agent and user of which a member is read. */
function watched(registry: Registry, seen: Set<unknown>): Registry {
  const watch = <T extends object>(entry: T): T =>
    new Proxy(entry, {
      get: (target, member) => {
        seen.add(target)
        return Reflect.get(target, member)
      },
    })
  const agents = registry.agents.map(watch)
  const byId = new Map(agents.map((agent) => [agent.clientId as string, agent]))
  return {
    ...registry,
    agents,
    grants: registry.grants.map(watch),
    users: registry.users.map(watch),
    client: (id) => byId.get(id) ?? registry.client(id),
  }
}

function mostAtOnce<T>(work: Sliced<T>, seen: Set<unknown>): number {
  let most = 0
  for (;;) {
    seen.clear()
    const step = work.next()
    most = Math.max(most, seen.size)
    if (step.done === true) return most
  }
}

const removed = (agent: Raw, n: number) => {
  if (n % 2 === 0) Object.assign(agent, { owner: 'user:corp:bob', state: 'suspended' })
}

test.each([
  ['that say the same', largeWorld()],
  ['of which one takes a lot away', largeWorld(removed)],
  ['of which one is small', world()],
])('no step of a comparison goes through all that is in two versions %s', (_what, after) => {
  const seen = new Set<unknown>()
  const versions = { before: watched(largeWorld(), seen), after: watched(after, seen), environment: 'development' }
  expect(mostAtOnce(inadmissible(versions.before, versions.after), seen)).toBeLessThanOrEqual(AT_ONCE_MAX)
  expect(mostAtOnce(differenceOf(versions), seen)).toBeLessThanOrEqual(AT_ONCE_MAX)
  const turned = { ...versions, before: versions.after, after: versions.before }
  expect(mostAtOnce(inadmissible(turned.before, turned.after), seen)).toBeLessThanOrEqual(AT_ONCE_MAX)
  expect(mostAtOnce(differenceOf(turned), seen)).toBeLessThanOrEqual(AT_ONCE_MAX)
})
