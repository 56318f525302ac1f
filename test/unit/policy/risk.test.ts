/** Grants by the risk of the sign-in: what is not known helps nobody. */
import { expect, test } from 'vitest'
import { RISK_LEVELS, type RiskLevel } from '../../../src/model/risk.ts'
import { decodeQuestion, encodeQuestion, Parts } from '../../../src/policy/encode-question.ts'
import { ask, autonomous, granted, question, type Raw, WAREHOUSE, world } from './world.ts'

const wanted = { [WAREHOUSE]: { query: {} } }
const RISKS: readonly (RiskLevel | undefined)[] = [...RISK_LEVELS, undefined]

/** The risks at which the tool is granted. */
function grantedAt(change: (d: Raw) => void): readonly (RiskLevel | 'unknown')[] {
  const registry = world(change)
  return RISKS.filter((risk) => granted(ask(registry, wanted, { risk })) !== undefined).map((risk) => risk ?? 'unknown')
}
const denyFrom = (level: RiskLevel) => (d: Raw) =>
  d.grants.push({ ...d.grants[0], id: 'no', effect: 'deny', when: { risk: { at_least: level } } })

test.each([
  ['low', ['low']],
  ['medium', ['low', 'medium']],
  ['high', ['low', 'medium', 'high']],
])('an allow at most %s', (level, risks) => {
  expect(grantedAt((d) => (d.grants[0].when = { risk: { at_most: level } }))).toEqual(risks)
})

test.each([
  ['low', []],
  ['medium', ['low']],
  ['high', ['low', 'medium']],
] as const)('a deny at least %s', (level, risks) => {
  expect(grantedAt(denyFrom(level))).toEqual(risks)
})

test('where no grant speaks of it, it makes no difference', () => {
  expect(grantedAt(() => undefined)).toEqual([...RISK_LEVELS, 'unknown'])
})

test('a deny that is over, or not here, does not come back because the risk is unknown', () => {
  const over = { not_after: '2020-01-01T00:00:00Z', risk: { at_least: 'low' } }
  const elsewhere = { environment: 'staging', risk: { at_least: 'low' } }
  for (const when of [over, elsewhere]) {
    const push = (d: Raw) => d.grants.push({ ...d.grants[0], id: 'no', effect: 'deny', when })
    expect(grantedAt(push)).toHaveLength(4)
  }
})

test('an agent that works for itself has signed in nowhere: a deny by risk that names it holds', () => {
  const registry = world((d) => {
    d.grants.push({
      ...d.grants[0],
      id: 'no',
      effect: 'deny',
      principals: [{ agent: 'orchestrator' }],
      when: { risk: { at_least: 'high' } },
    })
  })
  expect(granted(ask(world(), wanted, autonomous(world())))).toBeDefined()
  expect(granted(ask(registry, wanted, autonomous(registry)))).toBeUndefined()
})

test('a question that is kept keeps it', () => {
  const registry = world()
  for (const risk of RISKS) {
    const asked = question(registry, wanted, { risk })
    const parts = new Parts()
    const written = JSON.parse(JSON.stringify(encodeQuestion(asked, parts)))
    const texts = new Map(parts.contents.map(({ digest, text }) => [digest, text]))
    const read = decodeQuestion(written, asked.id, {
      agent: () => asked.agent,
      service: () => undefined,
      user: (then) => then,
      part: (digest) => texts.get(digest),
    })
    expect(read.risk).toBe(risk)
  }
})
