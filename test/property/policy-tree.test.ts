/** Laws of the tree and of its layers (R083, R084, R097): authority flows down, and less in any layer is never more of the whole. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { widening } from '../../src/authority/narrowing.ts'
import type { Question } from '../../src/model/decision.ts'
import { decide } from '../../src/policy/decide.ts'
import { ask, granted, NOTES, type Raw, WAREHOUSE, world } from '../unit/policy/world.ts'
import { questionOf, registryOf } from './asked-questions.ts'
import { type Asking, asking, constraints, document, forest } from './policy-arbitraries.ts'

const IDS = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7']
type Node = { readonly id: string; readonly parent?: string }
const tree = fc.record({ nodes: forest(IDS), at: fc.constantFrom(...IDS) })

/** Whether `top` is `id`, or above it. */
function isUnder(id: string, top: string, nodes: readonly Node[]): boolean {
  const parent = nodes.find((node) => node.id === id)?.parent
  return id === top || (parent !== undefined && isUnder(parent, top, nodes))
}

const rule = (effect: string, selector: Raw, principal: Raw = { role: 'analyst' }) => ({
  id: `${effect}-${JSON.stringify(selector)}`.replace(/[^a-z0-9-]/g, ''),
  effect,
  principals: [principal],
  resources: [selector],
})
const QUERY = { [WAREHOUSE]: { query: {} } }

test('a role on a container holds within it and below it, a deny takes back exactly that; beside and above nothing changes', () => {
  fc.assert(
    fc.property(tree, ({ nodes, at }) => {
      const selector = { server: 'warehouse', container: at }
      const withGrants = (...grants: Raw[]) =>
        world((d) => {
          d.resources[0].containers = nodes.map((node) => ({ ...node, type: 'folder' }))
          d.grants = grants
        })
      const allowed = withGrants(rule('allow', selector))
      const denied = withGrants(rule('allow', { server: '*' }), rule('deny', selector))
      for (const { id } of nodes) {
        const within = isUnder(id, at, nodes)
        expect(ask(allowed, QUERY, { container: id }).outcome).toBe(within ? 'allow' : 'deny')
        expect(ask(denied, QUERY, { container: id }).outcome).toBe(within ? 'deny' : 'allow')
      }
      expect(ask(allowed, QUERY).outcome).toBe('deny')
      expect(ask(denied, QUERY).outcome).toBe('deny')
    }),
    { numRuns: 100 },
  )
})

test('a role on a project reaches the servers of the projects at and below it, and no others', () => {
  fc.assert(
    fc.property(tree, fc.constantFrom(...IDS), fc.constantFrom(...IDS), ({ nodes, at }, first, second) => {
      const reached = (effect: 'allow' | 'deny') =>
        Object.keys(
          granted(
            ask(
              world((d) => {
                d.projects = nodes.map((node) => ({ ...node, owner: 'o' }))
                d.resources[0].project = first
                d.resources[3].project = second
                const all = effect === 'deny' ? [rule('allow', { server: '*' })] : []
                d.grants = [...all, rule(effect, { project: at })]
              }),
              { ...QUERY, [NOTES]: { note: {} } },
            ),
          ) ?? {},
        )
      const servers: readonly [string, string][] = [
        [WAREHOUSE, first],
        [NOTES, second],
      ]
      const below = servers.filter(([, project]) => isUnder(project, at, nodes)).map(([url]) => url)
      expect(reached('allow')).toEqual(below)
      expect(reached('deny')).toEqual(servers.map(([url]) => url).filter((url) => !below.includes(url)))
    }),
    { numRuns: 100 },
  )
})

test('a role with two grants opens both while it is assigned, and neither when it is not', () => {
  const tools = ['query', 'insert']
  const grants = tools.map((tool) => rule('allow', { server: 'warehouse', tool }, { role: 'editor' }))
  const open = (roles: readonly string[]) =>
    granted(
      ask(
        world((d) => {
          d.grants = grants
          d.users[0].roles = roles
        }),
        { [WAREHOUSE]: { query: {}, insert: {} } },
      ),
    )
  expect(Object.keys(open(['editor'])?.[WAREHOUSE] ?? {})).toEqual(tools)
  expect(open([])).toBeUndefined()
  expect(open(['analyst'])).toBeUndefined()
})

/** One layer with less in it than before; the rest is as it was. */
type Narrowing = (made: Raw, asked: Asking, pick: number, limits: Raw) => { made?: Raw; asked?: Partial<Asking> }

const picked = <T>(items: readonly T[], pick: number): T | undefined => items[pick % Math.max(items.length, 1)]

/** A rule that did not constrain, with constraints. */
function constrained(rules: readonly Raw[], pick: number, limits: Raw): void {
  const free = rules.filter((one) => Object.keys(one.constraints ?? {}).length === 0)
  const one = picked(free, pick)
  if (one !== undefined) one.constraints = limits
}

function withoutOne(wanted: Asking['wanted'] | undefined, pick: number) {
  if (wanted === undefined) return undefined
  const url = picked(Object.keys(wanted), pick)
  return Object.fromEntries(Object.entries(wanted).filter(([name]) => name !== url))
}

const NARROWINGS: Readonly<Record<string, Narrowing>> = {
  resource: (made, _asked, pick) => {
    Object.assign(picked<Raw>(made.resources, pick), { state: 'suspended' })
    return { made }
  },
  tool: (made, _asked, pick) => {
    for (const tool of Object.values<Raw>(picked<Raw>(made.resources, pick).tools)) tool.delegable = false
    return { made }
  },
  mode: (made, _asked, pick) => {
    Object.assign(picked<Raw>(made.resources, pick), { mode: 'personal' })
    return { made }
  },
  manifest: (made, _asked, pick, limits) => {
    constrained(made.agents[0].manifest, pick, limits)
    return { made }
  },
  grants: (made, _asked, pick, limits) => {
    const allows = made.grants.filter(({ effect }: Raw) => effect === 'allow')
    constrained(allows, pick, limits)
    return { made }
  },
  chain: (_made, _asked) => ({ asked: { planner: true } }),
  parent: (_made, asked, pick) => ({ asked: { parent: withoutOne(asked.parent ?? asked.wanted, pick) } }),
  intent: (_made, asked, pick) => ({ asked: { ceiling: withoutOne(asked.ceiling ?? asked.wanted, pick) } }),
  asked: (_made, asked, pick) => ({ asked: { wanted: withoutOne(asked.wanted, pick) ?? {} } }),
  external: (_made, { external }, pick) => ({
    asked: {
      external: Array.isArray(external) ? external.filter((_, index) => index !== pick % external.length) : 'failed',
    },
  }),
  time: (_made, asked) => ({ asked: { notAfter: asked.notAfter - 10 } }),
}

test.each(Object.keys(NARROWINGS))('less in one layer is never more of the whole: %s', (layer) => {
  const narrow = NARROWINGS[layer]
  if (narrow === undefined) throw new Error(layer)
  const rest: Partial<Question> = { askedExplicitly: false }
  fc.assert(
    fc.property(document, asking, fc.nat(20), constraints, (made, asked, pick, limits) => {
      const registry = registryOf(made)
      const before = decide(registry, questionOf(registry, asked, rest))
      const narrower = narrow(structuredClone(made), asked, pick, limits)
      const changed = narrower.made === undefined ? registry : registryOf(narrower.made)
      const after = decide(changed, questionOf(changed, { ...asked, ...narrower.asked }, rest))
      if (after.outcome === 'deny') return
      if (before.outcome === 'deny') throw new Error('a narrowing turned a denial into a permit')
      expect(widening(after.effective, before.effective)).toBeUndefined()
    }),
    { numRuns: 100 },
  )
})
