import { describe, expect, test } from 'vitest'
import { frameAutonomous } from '../../../../src/flows/frame/autonomous.ts'
import type { ClientCredentialsRequest } from '../../../../src/flows/token-request.ts'
import { WIKI } from '../../../support/world.ts'
import { NOW, reasonOf, SLACK, WAREHOUSE } from '../../sessions/fixtures.ts'
import { SETTINGS } from '../../tokens/fixtures.ts'
import { credentials, details, INTENT, input, type permitFor, selfEvidence, toolsIn } from '../fixtures.ts'

const TOOLS = INTENT.slice(1)
const intent = (more: object) => details([{ type: 'agent_intent', purpose: 'Nightly figures', ...more }, ...TOOLS])
const SCHEDULED = intent({ origin: { type: 'schedule', ref: 'cron-1' } })

function frame(request: Partial<ClientCredentialsRequest> = {}) {
  return frameAutonomous(
    input({
      request: credentials({ resources: [WAREHOUSE], details: SCHEDULED, ...request }),
      evidence: selfEvidence(),
    }),
  )
}

test('the agent asks for itself: no user, no parent, one server, nothing to pass on', () => {
  const { event, question } = frame()
  expect(event).toBe('token.autonomous')
  expect(question).toMatchObject({
    agent: { clientId: 'orchestrator' },
    chain: [],
    subject: 'agent:orchestrator',
    user: undefined,
    parent: undefined,
    ceiling: undefined,
    target: WAREHOUSE,
    askedExplicitly: true,
  })
  expect(question.asked.maxDepth).toBe(0)
  expect(toolsIn(question.asked)).toEqual({ [WAREHOUSE]: ['query', 'list_tables'] })
})

test('an intent that asks for further hops gets none', () => {
  expect(frame({ details: intent({ max_depth: 3 }) }).question.asked.maxDepth).toBe(0)
})

test('without details it falls under the standing intent', () => {
  const { question } = frame({ details: undefined, resources: [WIKI] })
  expect(question.askedExplicitly).toBe(false)
  expect(toolsIn(question.asked)).toEqual({ [WIKI]: ['search', 'read_page'] })
})

test('ends with the access token, or earlier if that was asked', () => {
  expect(frame().question.asked.notAfter).toBe(NOW + SETTINGS.accessTokenSeconds)
  expect(frame({ details: intent({ expires_in: 20 }) }).question.asked.notAfter).toBe(NOW + 20)
})

describe('refused', () => {
  test.each([
    ['no server', { resources: [] }, 'target_missing'],
    ['two servers', { resources: [WAREHOUSE, SLACK] }, 'target_ambiguous'],
    ['a server outside the intent', { resources: [WIKI] }, 'resource_not_in_session'],
    ['a scope that opens nothing there', { scope: ['mcp:tools:write'] }, 'nothing_granted'],
    ['no intent', { details: details(TOOLS) }, 'intent_missing'],
  ] as const)('%s', async (_what, request, reason) => {
    expect(await reasonOf(() => frame(request))).toBe(reason)
  })

  test.each(['user_request', 'upstream_agent'])('an origin %s that nothing in the request proves', async (type) => {
    expect(await reasonOf(() => frame({ details: intent({ origin: { type } }) }))).toBe('details_malformed')
  })
})

describe('what is issued', () => {
  // The decision belongs to the policy: here it is enough that something was permitted.
  const issued = (request: Partial<ClientCredentialsRequest> = {}) => {
    const framed = frame(request)
    const effective = framed.question.asked
    return framed.issue({ outcome: 'allow', effective } as ReturnType<typeof permitFor>)
  }

  test('an access token about the agent itself, without act, for which its owner answers', () => {
    const { mint, order, change } = issued()
    const { session, node } = order.holder
    expect(mint).toMatchObject({ kind: 'access', resource: { url: WAREHOUSE } })
    expect(node.act).toBeUndefined()
    expect(session).toMatchObject({
      subject: { principal: 'agent:orchestrator', profile: 'ai_agent', user: undefined },
      accountableOwner: 'alice@corp.example',
      evidence: undefined,
    })
    expect(order).toMatchObject({ audience: WAREHOUSE, rv: 41, parentHash: undefined, expiresAt: NOW + 300 })
    expect(change.notAfter).toBe(NOW + 300)
    expect(change.operations).toContainEqual({ operation: 'increment', field: `l:${node.id}`, by: 1 })
  })

  test('the origin is a schedule where the intent does not say, and is asserted by the agent', () => {
    expect(issued().order.holder.node.origin).toEqual({
      type: 'schedule',
      ref: 'cron-1',
      assertedBy: 'agent:orchestrator',
    })
    expect(issued({ details: intent({}) }).order.holder.node.origin).toEqual({
      type: 'schedule',
      assertedBy: 'agent:orchestrator',
    })
    expect(issued({ details: intent({ origin: { type: 'agent_plan' } }) }).order.holder.node.origin.type).toBe(
      'agent_plan',
    )
  })
})
