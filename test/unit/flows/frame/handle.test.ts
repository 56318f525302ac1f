import { describe, expect, test } from 'vitest'
import { chainAgents, liveOf, onlyNarrows, userOf } from '../../../../src/flows/frame/handle.ts'
import { actor, reasonOf, sessionFacts } from '../../sessions/fixtures.ts'
import { SETTINGS } from '../../tokens/fixtures.ts'
import {
  agentOf,
  DELEGATED,
  details,
  exchange,
  handleEvidence,
  input,
  liveRoot,
  type Raw,
  registry,
  registryWith,
} from '../fixtures.ts'

test('a handle is framed with its live session, or it is a fault', () => {
  const live = liveRoot()
  expect(liveOf(input({ request: exchange(), evidence: handleEvidence(), live }))).toBe(live)
  expect(() => liveOf(input({ request: exchange(), evidence: handleEvidence() }))).toThrow('live session')
})

test('an intent is not declared again by whoever can only narrow', async () => {
  expect(() => onlyNarrows(undefined)).not.toThrow()
  expect(() => onlyNarrows(details(DELEGATED.slice(1)))).not.toThrow()
  expect(await reasonOf(() => onlyNarrows(details(DELEGATED)))).toBe('intent_unexpected')
})

describe('the user behind a session', () => {
  const autonomous = sessionFacts({ subject: { ...sessionFacts().subject, user: undefined } })

  test('is read from the registry as it is now', () => {
    expect(userOf(sessionFacts(), registry)).toMatchObject({ sub: 'alice', groups: ['finance'] })
    expect(userOf(autonomous, registry)).toBeUndefined()
  })

  test('who was made inactive since, or is no longer listed, stops the session', async () => {
    const inactive = registryWith((document: Raw) => {
      document.users[0].active = false
    })
    expect(await reasonOf(() => userOf(sessionFacts(), inactive))).toBe('user_inactive')
    const unlisted = registryWith((document: Raw) => {
      document.users.shift()
    })
    expect(await reasonOf(() => userOf(sessionFacts(), unlisted))).toBe('user_not_listed')
  })

  test('whose issuer is no longer configured stops the session', async () => {
    const subject = { ...sessionFacts().subject, user: { issuerSlug: 'gone', sub: 'alice' } }
    expect(await reasonOf(() => userOf(sessionFacts({ subject }), registry))).toBe('user_not_listed')
  })
})

describe('the agents a question is also about', () => {
  const chainOf = (node: object, holder: string, from = registry, facts: object = {}) =>
    chainAgents(liveRoot({ node, facts }), agentOf(holder, from), { settings: SETTINGS, registry: from }).map(
      ({ clientId }) => clientId,
    )
  const scribes = { holder: 'scribe', act: actor('scribe', 'researcher', 'orchestrator') }

  test('are every actor of the chain but the one who will hold the authority', () => {
    expect(chainOf({}, 'orchestrator')).toEqual([])
    expect(chainOf(scribes, 'scribe')).toEqual(['researcher', 'orchestrator'])
    expect(chainOf({}, 'researcher')).toEqual(['orchestrator'])
  })

  test('are the subject too, where it is one', () => {
    const subject = { principal: 'agent:orchestrator', profile: 'ai_agent', user: undefined }
    const node = { holder: 'researcher', act: actor('researcher') }
    expect(chainOf(node, 'researcher', registry, { subject })).toEqual(['orchestrator'])
  })

  test('are only ours: a foreign actor of the same name is nobody here', () => {
    const act = { ...actor('orchestrator'), act: { iss: 'https://other.example', sub: 'agent:nobody' } }
    expect(chainOf({ act }, 'orchestrator')).toEqual([])
  })

  test('must all still be registered', async () => {
    const without = registryWith((document: Raw) => {
      document.agents = document.agents.filter((agent: Raw) => agent.client_id !== 'researcher')
      for (const agent of document.agents) agent.delegates = []
    })
    expect(await reasonOf(() => chainOf(scribes, 'scribe', without))).toBe('agent_inactive')
  })
})
