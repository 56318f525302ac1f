/** No agent in particular: the user's half of an answer, and nobody to whom anything could be issued. */
import { expect, test } from 'vitest'
import { ANY_AGENT_ID, anyAgent } from '../../../src/policy/any-agent.ts'
import { ask, FILES, granted, NOTES, reason, SLACK, WAREHOUSE, world } from './world.ts'

const wanted = {
  [WAREHOUSE]: { query: {}, insert: {} },
  [SLACK]: { post: {}, list: {} },
  [FILES]: { get: {} },
  [NOTES]: { note: {} },
}

test('for no agent in particular the answer is whatever the user may do, in the environment asked about and no other', () => {
  const registry = world((made) => {
    made.grants.push({
      id: 'no',
      effect: 'deny',
      principals: [{ user: 'corp:alice' }],
      resources: [{ tool: 'insert' }],
    })
  })
  const decision = ask(registry, wanted, { agent: anyAgent('production') })
  expect(granted(decision)).toEqual({ ...wanted, [WAREHOUSE]: { query: {} } })
  expect(reason(ask(registry, wanted, { agent: anyAgent('staging') }))).toBe('nothing_granted')
})

test('it is nobody: nothing it could sign in with, nothing it could ask for, nobody who answers for it', () => {
  const {
    kind,
    clientId,
    owner,
    state: _state,
    environment: _environment,
    manifest: _manifest,
    ...rest
  } = anyAgent('production')
  expect({ kind, clientId, owner }).toEqual({ kind: 'agent', clientId: ANY_AGENT_ID, owner: '' })
  const isNothing = (value: unknown) =>
    value === undefined ||
    value === false ||
    (Array.isArray(value) && value.length === 0) ||
    (value instanceof Map && value.size === 0)
  expect(Object.entries(rest).filter(([, value]) => !isNothing(value))).toEqual([])
})

test.each([
  ['an agent', (made) => Object.assign(made.agents[1], { client_id: ANY_AGENT_ID })],
  ['the agent of a grant', (made) => Object.assign(made.grants[0], { principals: [{ agent: ANY_AGENT_ID }] })],
] satisfies readonly [string, Parameters<typeof world>[0]][])('%s cannot be of its name', (_what, change) => {
  expect(() => world(change)).toThrow('letters, digits')
})
