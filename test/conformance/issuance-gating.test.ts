/** Checklist 64: what may be derived is counted atomically, and a refusal uses nothing up (Mission, "Issuance Gating"). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NODES_PER_SESSION_MAX } from '../../src/kernel/store-limits.ts'
import { granted } from '../support/hops.ts'
import { INTENT, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const widening = JSON.stringify([
  { type: 'agent_intent', purpose: 'More than there is' },
  { type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: {} } },
])

describe('64: derivations are counted', () => {
  test('Mission §Issuance Gating: of more delegations at once than a session may have, exactly as many as it may are made', async () => {
    const { token } = await granted(world.open())
    for (let at = 0; at < 5; at += 1) {
      expect((await world.delegate(token, { authorization_details: widening })).body.error_reason).toBe(
        'details_widening',
      )
    }
    const left = NODES_PER_SESSION_MAX - 1 // the root is the first
    const answers = await Promise.all(Array.from({ length: left + 12 }, () => world.delegate(token)))
    const refusals = answers.filter(({ status }) => status !== 200)
    expect(answers.length - refusals.length).toBe(left)
    expect(new Set(refusals.map(({ body }) => body.error_reason))).toEqual(new Set(['nodes_per_session_exceeded']))
  })

  test('Mission §Issuance Gating: a delegation yields one session, however many ask at once, and a refusal before it costs nothing', async () => {
    const { token } = await granted(world.open())
    const offered = await granted(world.delegate(token))
    const beyond = { requested_token_type: TYPE.access, resource: 'https://slack.example/mcp' }
    expect((await world.accept(offered.token, beyond)).body.error_reason).toBe('resource_not_in_session')
    const answers = await Promise.all(Array.from({ length: 8 }, () => world.accept(offered.token)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('an intent cannot carry a number that this broker would not count', async () => {
    const counted = [{ ...INTENT[0], max_derivations: 3 }, INTENT[1]]
    const { body } = await world.open({ authorization_details: JSON.stringify(counted) })
    expect(body.error).toBe('invalid_authorization_details')
  })
})
