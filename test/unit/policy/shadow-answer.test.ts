/** A draft beside the policy: what it would have answered otherwise, in its own terms; what it does not know it refuses. */
import { describe, expect, test } from 'vitest'
import type { Question } from '../../../src/model/decision.ts'
import type { Registry } from '../../../src/model/registry.ts'
import { anyAgent } from '../../../src/policy/any-agent.ts'
import { decide } from '../../../src/policy/decide.ts'
import { shadowAnswer } from '../../../src/policy/shadow-answer.ts'
import { agent, autonomous, forUser, question, type Raw, WAREHOUSE, world } from './world.ts'

type Rest = Partial<Question> | ((registry: Registry) => Partial<Question>)

/** What the draft would have answered, beside its version. */
function answerOf(draft: (made: Raw) => void, rest: Rest = {}) {
  const registry = world()
  const wanted = { [WAREHOUSE]: { query: { table: { const: 'revenue' } }, insert: {} } }
  const asked = question(registry, wanted, typeof rest === 'function' ? rest(registry) : rest)
  const drafted = world(draft)
  const answer = shadowAnswer(drafted, asked, decide(registry, asked))
  if (answer === undefined) return undefined
  expect(answer.policy).toBe(drafted.version)
  const { policy: _policy, ...said } = answer
  return said
}

const bob = (registry: Registry) => forUser(registry, 'bob')
const forBob = { id: 'bob', effect: 'allow', principals: [{ user: 'corp:bob' }], resources: [{ server: '*' }] }

describe('a draft', () => {
  test('that answers the same has no answer of its own, allowed or refused, for whatever reason', () => {
    expect(answerOf(() => undefined)).toBeUndefined()
    expect(answerOf((made) => made.grants.push(forBob))).toBeUndefined()
    expect(answerOf(() => undefined, bob)).toBeUndefined()
    expect(answerOf((made) => Object.assign(made.users[1], { active: false }), bob)).toBeUndefined()
    expect(answerOf(() => undefined, autonomous)).toBeUndefined()
  })

  test('grants what was refused', () => {
    expect(answerOf((made) => made.grants.push(forBob), bob)).toStrictEqual({ outcome: 'allow', turn: 'granted' })
  })

  test('refuses what was granted, with its reason', () => {
    const refusal = { outcome: 'deny', turn: 'refused', reason: 'nothing_granted' }
    expect(answerOf((made) => Object.assign(made, { grants: [] }))).toEqual(refusal)
  })

  test('narrows what was granted by a tool, or by arguments', () => {
    const narrowed = { outcome: 'allow', turn: 'narrowed' }
    expect(answerOf((made) => Object.assign(made.agents[0], { manifest: [{ tool: 'query' }] }))).toEqual(narrowed)
    const constraints = { table: { enum: ['revenue', 'costs'] }, rows: { maximum: 10 } }
    expect(answerOf((made) => Object.assign(made.grants[0], { constraints }))).toEqual(narrowed)
  })

  test('widens what was granted', () => {
    const registry = world((made) => Object.assign(made.agents[0], { manifest: [{ tool: 'query' }] }))
    const asked = question(registry, { [WAREHOUSE]: { query: {}, insert: {} } })
    const draft = world()
    expect(shadowAnswer(draft, asked, decide(registry, asked))).toEqual({
      policy: draft.version,
      outcome: 'allow',
      turn: 'widened',
    })
  })
})

describe('who is named in a question is who the draft has', () => {
  const unknown = { outcome: 'deny', turn: 'refused', reason: 'client_unknown' }
  const planned = (registry: Registry) => ({ chain: [agent(registry, 'planner')] })

  test('an agent, whatever it is now', () => {
    const suspended = { outcome: 'deny', turn: 'refused', reason: 'agent_inactive' }
    expect(answerOf((made) => Object.assign(made.agents[0], { state: 'suspended' }))).toEqual(suspended)
    const listed = { outcome: 'deny', turn: 'refused', reason: 'nothing_granted' }
    expect(answerOf((made) => Object.assign(made.agents[1], { manifest: [{ tool: 'note' }] }), planned)).toEqual(listed)
  })

  test('an agent that it does not have, or as another kind of client, is refused', () => {
    const without = (name: string) => (made: Raw) => {
      made.agents = made.agents.filter((one: Raw) => one.client_id !== name)
    }
    expect(answerOf(without('orchestrator'))).toEqual(unknown)
    expect(answerOf(without('planner'))).toBeUndefined()
    expect(answerOf(without('planner'), planned)).toEqual(unknown)
    const service = (made: Raw) => {
      without('orchestrator')(made)
      made.services = [{ client_id: 'orchestrator' }]
    }
    expect(answerOf(service)).toEqual(unknown)
  })

  test('no agent in particular is still nobody in particular', () => {
    expect(answerOf(() => undefined, { agent: anyAgent('production') })).toBeUndefined()
  })

  test('a user, as the draft has them; one whom it does not list is nobody', () => {
    const inactive = { outcome: 'deny', turn: 'refused', reason: 'user_inactive' }
    expect(answerOf((made) => Object.assign(made.users[0], { groups: [] }))).toMatchObject({
      reason: 'nothing_granted',
    })
    expect(answerOf((made) => made.users.shift())).toEqual(inactive)
  })
})
