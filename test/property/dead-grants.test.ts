/** What is reported of a policy is true of its decisions, over random policies and questions. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ResourceUrl } from '../../src/kernel/ids.ts'
import { agentPrincipal } from '../../src/kernel/ids.ts'
import type { Decision, Question } from '../../src/model/decision.ts'
import type { Registry } from '../../src/model/registry.ts'
import { policyFindings } from '../../src/policy/dead-grants.ts'
import { decide } from '../../src/policy/decide.ts'
import type { Finding } from '../../src/policy/finding.ts'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import { agent, authorityOf, autonomous, forUser, NOW, question, type Raw } from '../unit/policy/world.ts'
import { type Asking, asking, crowdedGrants, document } from './policy-arbitraries.ts'

const crowded = fc.tuple(document, crowdedGrants).map(([made, grants]): Raw => ({ ...made, grants }))

interface Where {
  readonly now: number
  readonly environment: string
  /** Whether the planner takes part: as the agent below, or only as whose own work it is. */
  readonly planner: 'no' | 'chain' | 'subject'
}
const where: fc.Arbitrary<Where> = fc.record({
  now: fc.constantFrom(NOW, NOW, NOW + 1, NOW + 50, NOW + 150),
  environment: fc.constantFrom('production', 'production', 'staging'),
  planner: fc.constantFrom('no', 'no', 'chain', 'subject'),
})

function registryOf(made: Raw): Registry {
  return decodeRegistry(made, 'world.yaml', { issuer: 'https://errand.example' })
}

function questionOf(registry: Registry, asked: Asking, { now, environment, planner }: Where): Question {
  const who = asked.user === undefined ? autonomous(registry) : forUser(registry, asked.user)
  const other = agent(registry, 'planner')
  return question(registry, asked.wanted, {
    ...who,
    ...(asked.user === undefined && planner === 'subject' ? { subject: agentPrincipal(other.clientId) } : {}),
    chain: planner === 'chain' ? [other] : [],
    now,
    environment,
    asked: authorityOf(registry, asked.wanted, { notAfter: asked.notAfter + 100 }),
    askedExplicitly: asked.askedExplicitly,
    parent: asked.parent === undefined ? undefined : authorityOf(registry, asked.parent),
    ceiling: asked.ceiling === undefined ? undefined : authorityOf(registry, asked.ceiling),
    target: asked.target as ResourceUrl | undefined,
    container: asked.container,
    risk: asked.risk,
  })
}

function answer(registry: Registry, asked: Asking, at: Where): unknown {
  const decision: Decision = decide(registry, questionOf(registry, asked, at))
  return decision.outcome === 'allow' ? decision.effective : decision.reason
}

function findingsIn(registry: Registry): readonly Finding[] {
  return policyFindings(registry, { environment: 'production', now: NOW }).findings
}

/** Without the grants and the parts of grants that are reported as of no effect. */
function without(made: Raw, findings: readonly Finding[]): Registry {
  const removed = findings.filter(({ kind }) => kind !== 'constraints_contradict')
  const isGone = (id: string, member?: string, index?: number) =>
    removed.some(({ grant, part }) => grant.id === id && part?.member === member && part?.index === index)
  const left = made.grants
    .filter((grant: Raw) => !isGone(grant.id))
    .map((grant: Raw) => ({
      ...grant,
      principals: grant.principals.filter((_: Raw, index: number) => !isGone(grant.id, 'principals', index)),
      resources: grant.resources.filter((_: Raw, index: number) => !isGone(grant.id, 'resources', index)),
    }))
  const grants = left.filter((grant: Raw) => grant.principals.length > 0 && grant.resources.length > 0)
  return registryOf({ ...made, grants })
}

test('to remove everything that is reported to have no effect changes no decision', () => {
  const seen = new Map<string, number>()
  let allowed = 0
  fc.assert(
    fc.property(crowded, fc.array(fc.tuple(asking, where), { minLength: 4, maxLength: 4 }), (made, questions) => {
      const registry = registryOf(made)
      const findings = findingsIn(registry)
      for (const { kind, grant } of findings) {
        const key = `${kind} ${grant.effect}`
        seen.set(key, (seen.get(key) ?? 0) + 1)
      }
      const cleaned = without(made, findings)
      for (const [asked, at] of questions) {
        const before = answer(registry, asked, at)
        if (typeof before !== 'string') allowed += 1
        expect(answer(cleaned, asked, at)).toEqual(before)
      }
    }),
    { numRuns: 1_000 },
  )
  // Worlds without findings, or that only deny, would prove nothing.
  const kinds = ['contradiction allow', 'shadowed allow', 'shadowed deny', 'never_matches allow', 'never_matches deny']
  for (const kind of kinds) expect([kind, (seen.get(kind) ?? 0) > 20]).toEqual([kind, true])
  expect(allowed).toBeGreaterThan(60)
})

test('a grant that is reported to be removed alone changes no decision either', () => {
  fc.assert(
    fc.property(crowded, asking, where, fc.nat(), (made, asked, at, pick) => {
      const registry = registryOf(made)
      const findings = findingsIn(registry).filter(({ kind }) => kind !== 'constraints_contradict')
      const one = findings[pick % Math.max(findings.length, 1)]
      if (one === undefined) return
      expect(answer(without(made, [one]), asked, at)).toEqual(answer(registry, asked, at))
    }),
    { numRuns: 600 },
  )
})

test('what matches an allow that is reported to grant nothing is granted nothing', () => {
  let reported = 0
  fc.assert(
    fc.property(crowded, asking, where, (made, asked, at) => {
      const registry = registryOf(made)
      const idle = findingsIn(registry).filter(
        ({ severity, grant }) => severity === 'error' && grant.effect === 'allow',
      )
      reported += idle.filter(({ kind }) => kind === 'constraints_contradict').length
      const asks = questionOf(registry, { ...asked, target: undefined }, at)
      for (const [url, there] of asks.asked.resources) {
        for (const [name, constraints] of there.tools) {
          // One tool at a time: the record says which grants matched, not at which tool.
          const resources = new Map([[url, { ...there, tools: new Map([[name, constraints]]) }]])
          const decision = decide(registry, { ...asks, asked: { ...asks.asked, resources } })
          if (decision.outcome === 'deny') continue
          for (const { grant } of idle) expect(decision.grantsMatched).not.toContain(grant.id)
        }
      }
    }),
    { numRuns: 1000 },
  )
  expect(reported).toBeGreaterThan(20)
})
