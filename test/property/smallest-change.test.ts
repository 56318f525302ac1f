/** What is proposed to whoever was refused: enough, nothing too much, and never what no policy may allow. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decide } from '../../src/policy/decide.ts'
import { type Case, type Change, withChange } from '../../src/policy/policy-change.ts'
import { smallestChange } from '../../src/policy/smallest-change.ts'
import type { Raw } from '../unit/policy/world.ts'
import { questionOf, registryOf } from './asked-questions.ts'
import { type Asking, asking, document } from './policy-arbitraries.ts'

const KINDS = ['grant', 'lift_deny', 'activate_resource', 'add_to_manifest', 'activate_agent', 'activate_user'] as const

const outcome = (start: Case, changes: readonly Change[]) => {
  const { registry, question } = changes.reduce(withChange, start)
  return decide(registry, question).outcome
}

const caseOf = (made: Raw, asked: Asking): Case => {
  const registry = registryOf(made)
  return { registry, question: questionOf(registry, asked) }
}

test('applying what is proposed turns the answer, and no part of it can be left out', () => {
  const kinds = new Set<string>()
  let refused = 0
  const holds = fc.property(document, asking, (made, asked) => {
    const start = caseOf(made, asked)
    const { ways, never } = smallestChange(start)
    if (outcome(start, []) === 'allow') {
      expect({ ways, never }).toEqual({ ways: [], never: [] })
      return
    }
    refused += 1
    for (const way of ways) {
      expect(way.length).toBeGreaterThan(0)
      expect(outcome(start, way)).toBe('allow')
      for (const part of way) {
        kinds.add(part.kind)
        expect([
          part,
          outcome(
            start,
            way.filter((one) => one !== part),
          ),
        ]).toEqual([part, 'deny'])
      }
    }
    expect(new Set(ways.map(({ length }) => length)).size).toBeLessThanOrEqual(1)
  })
  fc.assert(holds, { numRuns: 250 })
  expect(refused).toBeGreaterThan(30)
  // Some are rare: until each has been proposed.
  const missing = () => KINDS.filter((kind) => !kinds.has(kind))
  for (let more = 0; more < 20 && missing().length > 0; more += 1) fc.assert(holds, { numRuns: 250 })
  expect(missing()).toEqual([])
})

test('it never proposes a tool that may not be delegated, nor an agent of another environment', () => {
  fc.assert(
    fc.property(document, asking, (made, asked) => {
      const start = caseOf(made, asked)
      const { ways } = smallestChange(start)
      for (const change of ways.flat()) {
        if (!('tools' in change) || change.kind === 'ask_without') continue
        for (const { tool } of change.tools) expect(tool.delegable).toBe(true)
      }
      if (start.question.agent.environment !== start.question.environment) expect(ways).toEqual([])
    }),
    { numRuns: 150 },
  )
})
