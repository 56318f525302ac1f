/** Laws of the decision (DESIGN §6), over random policies and questions. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { argumentsRefusal } from '../../src/authority/constraints.ts'
import { isEmpty, widening } from '../../src/authority/narrowing.ts'
import type { ResourceUrl } from '../../src/kernel/ids.ts'
import type { Decision, Question } from '../../src/model/decision.ts'
import { decide } from '../../src/policy/decide.ts'
import { NOW, type Raw } from '../unit/policy/world.ts'
import { questionOf, registryOf } from './asked-questions.ts'
import { type Asking, asking, CALLS, denyGrant, document } from './policy-arbitraries.ts'
import { specAnswer } from './policy-spec.ts'

const RUNS = { numRuns: 1_200 }

function answer(made: Raw, asked: Asking, rest: Partial<Question> = {}): Decision {
  const registry = registryOf(made)
  return decide(registry, questionOf(registry, asked, rest))
}

/** Calls granted, by URL and tool, as indices into `CALLS`. */
function callsGranted(decision: Decision) {
  if (decision.outcome === 'deny') return undefined
  const calls: Record<string, Record<string, number[]>> = {}
  for (const [url, { tools }] of decision.effective.resources) {
    for (const [name, constraints] of tools) {
      const admitted = CALLS.flatMap((call, index) =>
        argumentsRefusal(constraints, call) === undefined ? [index] : [],
      )
      calls[url] = { ...calls[url], [name]: admitted }
    }
  }
  return calls
}

test('it decides what the page says, call by call', () => {
  let allowed = 0
  let withinContainers = 0
  fc.assert(
    fc.property(document, asking, (made, asked) => {
      const decision = answer(made, asked)
      const spec = specAnswer(made, asked)
      expect(decision.outcome).toBe(spec.allowed ? 'allow' : 'deny')
      if (decision.outcome === 'deny') return
      allowed++
      if (asked.container !== undefined) withinContainers++
      expect(callsGranted(decision)).toEqual(spec.calls)
      expect(decision.effective.notAfter).toBe(spec.notAfter)
    }),
    { numRuns: 4000 },
  )
  // A world that always denies would prove nothing.
  expect(allowed).toBeGreaterThan(200)
  expect(withinContainers).toBeGreaterThan(0)
})

test('what is granted is never more than asked, than the parent, or than the ceiling, and never empty', () => {
  fc.assert(
    fc.property(document, asking, (made, asked) => {
      const registry = registryOf(made)
      const asks = questionOf(registry, asked)
      const decision = decide(registry, asks)
      if (decision.outcome === 'deny') return
      expect(isEmpty(decision.effective)).toBe(false)
      for (const bound of [asks.asked, asks.parent, asks.ceiling]) {
        if (bound !== undefined) expect(widening(decision.effective, bound)).toBeUndefined()
      }
      for (const [url, { scopes, tools }] of decision.effective.resources) {
        const opening = [...tools.keys()].map((name) => registry.resource(url)?.tools.get(name)?.scope)
        expect(new Set(scopes)).toEqual(new Set(opening))
      }
    }),
    RUNS,
  )
})

/** Of what was wanted, the tools that were granted. */
function leftOf(wanted: Asking['wanted'], { effective }: Extract<Decision, { outcome: 'allow' }>): Asking['wanted'] {
  const resources = Object.entries(wanted).map(([url, tools]) => {
    const granted = effective.resources.get(url as ResourceUrl)?.tools
    return [url, Object.fromEntries(Object.entries(tools).filter(([name]) => granted?.has(name)))] as const
  })
  return Object.fromEntries(resources.filter(([, tools]) => Object.keys(tools).length > 0))
}

test('adding a deny never adds', () => {
  fc.assert(
    fc.property(document, asking, denyGrant, (made, asked, deny) => {
      const before = answer(made, asked, { askedExplicitly: false })
      const after = answer({ ...made, grants: [...made.grants, deny] }, asked, {
        askedExplicitly: false,
      })
      if (after.outcome === 'deny') return
      if (before.outcome === 'deny') throw new Error('a deny turned a denial into a permit')
      const { notAfter } = before.effective
      expect(widening({ ...after.effective, notAfter }, before.effective)).toBeUndefined()
      // One token ends with the first of its tools: what is left without that one was to be had before, by itself.
      const alone = answer(made, { ...asked, wanted: leftOf(asked.wanted, after) }, { askedExplicitly: false })
      if (alone.outcome === 'deny') throw new Error('what is left was not to be had by itself')
      expect(widening(after.effective, alone.effective)).toBeUndefined()
    }),
    RUNS,
  )
})

test('spelling the request out never adds', () => {
  fc.assert(
    fc.property(document, asking, (made, asked) => {
      const explicit = answer(made, asked, { askedExplicitly: true })
      if (explicit.outcome === 'allow') expect(explicit).toEqual(answer(made, asked, { askedExplicitly: false }))
    }),
    RUNS,
  )
})

test('the order of grants, principals, selectors, manifest entries and resources never matters', () => {
  const shuffled = (made: Raw): Raw => ({
    ...made,
    projects: [...made.projects].reverse(),
    resources: made.resources
      .map((resource: Raw) => ({ ...resource, containers: [...(resource.containers ?? [])].reverse() }))
      .reverse(),
    agents: made.agents.map((agent: Raw) => ({
      ...agent,
      manifest: [...agent.manifest].reverse(),
    })),
    grants: made.grants
      .map((grant: Raw) => ({
        ...grant,
        principals: [...grant.principals].reverse(),
        resources: [...grant.resources].reverse(),
      }))
      .reverse(),
  })
  fc.assert(
    fc.property(document, asking, (made, asked) => {
      const { policyVersion: _, ...before } = answer(made, asked)
      expect(answer(shuffled(made), asked)).toMatchObject(before)
    }),
    RUNS,
  )
})

test('a resource or tool that was not asked for changes nothing', () => {
  const grown = (made: Raw): Raw => {
    const bigger = structuredClone(made)
    const tools = { query: { category: 'read' }, extra: { category: 'read' } }
    bigger.resources.push({
      id: 'extra',
      url: 'https://extra.example/mcp',
      owner: 'x',
      enforces: 'scope',
      tools,
    })
    // A tool with a scope of its own: one behind an existing scope would rightly close it at a server that checks scopes.
    for (const resource of bigger.resources.slice(0, 4)) resource.tools.extra = { category: 'read', scope: 'extra' }
    return bigger
  }
  fc.assert(
    fc.property(document, asking, (made, asked) => {
      const { policyVersion: _, ...before } = answer(made, asked)
      expect(answer(grown(made), asked)).toMatchObject(before)
    }),
    RUNS,
  )
})

test('without the yes of any one layer there is nothing', () => {
  const setAll = (objects: Raw, members: Raw) => {
    for (const object of Object.values<Raw>(objects)) Object.assign(object, members)
  }
  const denyAll = {
    id: 'no',
    effect: 'deny',
    principals: [{ agent: 'orchestrator' }],
    resources: [{ server: '*' }],
    when: {},
  }
  const nothing = { resources: new Map(), notAfter: NOW + 9, maxDepth: 1 }
  const withdrawals: readonly [string, (made: Raw) => void, Partial<Question>][] = [
    ['resource', (d) => setAll(d.resources, { state: 'suspended' }), {}],
    ['tool', (d) => d.resources.map((resource: Raw) => setAll(resource.tools, { delegable: false })), {}],
    ['agent state', (d) => setAll(d.agents, { state: 'suspended' }), {}],
    ['agent environment', () => undefined, { environment: 'elsewhere' }],
    ['manifest', (d) => setAll(d.agents, { manifest: [] }), {}],
    ['parent', () => undefined, { parent: nothing }],
    ['intent', () => undefined, { ceiling: nothing }],
    ['time', () => undefined, { now: Number.POSITIVE_INFINITY }],
    ['no deny', (d) => d.grants.push(denyAll), {}],
  ]
  const ofUsers: typeof withdrawals = [
    ['grants', (d) => setAll(d.grants, { principals: [{ group: 'nobody' }] }), {}],
    ['active user', (d) => setAll(d.users, { active: false }), {}],
  ]
  let permits = 0
  fc.assert(
    fc.property(document, asking, (made, asked) => {
      if (answer(made, asked).outcome === 'deny') return
      permits++
      for (const [layer, withdraw, rest] of asked.user === undefined ? withdrawals : [...withdrawals, ...ofUsers]) {
        const without = structuredClone(made)
        withdraw(without)
        expect([layer, answer(without, asked, rest).outcome]).toEqual([layer, 'deny'])
      }
    }),
    RUNS,
  )
  expect(permits).toBeGreaterThan(50)
})
