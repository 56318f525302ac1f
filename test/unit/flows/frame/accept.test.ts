import { describe, expect, test } from 'vitest'
import { frameAccept } from '../../../../src/flows/frame/accept.ts'
import { toolsByResource } from '../../../../src/flows/frame/asked-authority.ts'
import type { ExchangeRequest } from '../../../../src/flows/token-request.ts'
import { askedAuthority } from '../../../../src/policy/asked.ts'
import { TOKEN_TYPE } from '../../../../src/protocol/oauth.ts'
import { acceptDelegation } from '../../../../src/sessions/session-commits.ts'
import {
  ALICE,
  actor,
  CHILD,
  child,
  END,
  ISSUER,
  NOW,
  type nodeFacts,
  ROOT,
  reasonOf,
  SLACK,
  sessionFacts,
  WAREHOUSE,
} from '../../sessions/fixtures.ts'
import { SETTINGS } from '../../tokens/fixtures.ts'
import {
  agentOf,
  DELEGATED,
  details,
  exchange,
  fullAuthority,
  handleEvidence,
  here,
  input,
  issueFor,
  party,
  permitFor,
  registry,
  toolsIn,
} from '../fixtures.ts'

const OFFERED = { ...askedAuthority(here(registry), toolsByResource(details(DELEGATED), registry), END, 0) }
const facts = sessionFacts({ ceiling: fullAuthority() })

function live(over: Partial<ReturnType<typeof nodeFacts>> = {}) {
  return {
    facts,
    state: 'active' as const,
    node: child({ authority: OFFERED, agentVersion: '', createdAt: NOW - 60, ...over }),
    above: [],
    drift: 0,
  }
}

function frame(request: Partial<ExchangeRequest> = {}, at = live(), over: object = {}) {
  return frameAccept(
    input({
      request: exchange({ requested: TOKEN_TYPE.session, ...request }),
      evidence: handleEvidence({ kind: 'delegation', jti: CHILD as never, path: [ROOT] }),
      live: at,
      party: party('researcher'),
      ...over,
    }),
  )
}
const access = { requested: TOKEN_TYPE.accessToken, resources: [WAREHOUSE] } as const

describe('the question', () => {
  test('is about the one who accepts, bounded by what was offered and by the session', () => {
    const { event, question } = frame()
    expect(event).toBe('delegation.accept')
    expect(question).toMatchObject({
      subject: ALICE,
      user: { sub: 'alice' },
      target: undefined,
      askedExplicitly: false,
    })
    expect(question.agent).toBe(agentOf('researcher'))
    expect(question.chain).toEqual([agentOf('orchestrator')])
    expect(question.parent).toBe(OFFERED)
    expect(question.ceiling).toBe(facts.ceiling)
    expect(question.asked).toEqual(OFFERED)
  })

  test('may be narrower than what was offered', () => {
    const narrower = details([
      {
        type: 'mcp_tools',
        locations: [WAREHOUSE],
        tools: { query: { table: { const: 'revenue' }, limit: { maximum: 1 } } },
      },
    ])
    const { question } = frame({ details: narrower })
    expect(question.askedExplicitly).toBe(true)
    expect(question.asked).not.toEqual(OFFERED)
  })

  test('is for one server, and as short as its tokens, where an access token is wanted at once', () => {
    const { question } = frame(access)
    expect(question).toMatchObject({ target: WAREHOUSE, asked: { notAfter: NOW + SETTINGS.accessTokenSeconds } })
    const early = { ...OFFERED, notAfter: NOW + 50 }
    expect(frame(access, live({ authority: early })).question.asked.notAfter).toBe(NOW + 50)
  })

  test('keeps the hops that were granted', () => {
    const offered = { ...OFFERED, maxDepth: 2 }
    expect(frame({}, live({ authority: offered })).question.asked.maxDepth).toBe(2)
  })
})

describe('refused before anything is decided', () => {
  test.each([
    ['an intent of its own', { details: details(DELEGATED) }, 'intent_unexpected'],
    ['an access token for no server', { requested: TOKEN_TYPE.accessToken }, 'target_missing'],
    ['an access token for two', { ...access, resources: [WAREHOUSE, SLACK] }, 'target_ambiguous'],
    ['an access token for another server', { ...access, resources: [SLACK] }, 'resource_not_in_session'],
    ['a session cut to another server', { resources: [SLACK] }, 'resource_not_in_session'],
    ['a scope that opens nothing of it', { scope: ['mcp:tools:write'] }, 'nothing_granted'],
  ] as const)('%s', async (_what, request, reason) => {
    expect(await reasonOf(() => frame(request))).toBe(reason)
  })

  test('more than was offered', async () => {
    const wide = details([{ type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: {} } }])
    expect(await reasonOf(() => frame({ details: wide }))).toBe('details_widening')
  })
})

describe('what is issued', () => {
  test('a session token for the node that the delegation becomes', () => {
    const { mint, order, change, indexes } = issueFor(frame({ instance: 'pod-7' }))
    expect(mint).toEqual({ kind: 'session' })
    expect(order).toMatchObject({
      audience: ISSUER,
      rv: 41,
      parentHash: 'hash-of-parent',
      instance: 'pod-7',
      now: NOW,
      expiresAt: END,
    })
    const { node, path, session } = order.holder
    expect(session).toBe(facts)
    expect(path).toEqual([ROOT, CHILD])
    expect(node).toMatchObject({
      id: CHILD,
      parent: ROOT,
      holder: 'researcher',
      // Which version of the sub-agent it is, only its own authentication can say.
      agentVersion: '3',
      act: actor('researcher', 'orchestrator'),
      createdAt: NOW,
      purpose: 'Find the figures',
    })
    const expected = acceptDelegation({ facts, state: 'active' }, [ROOT], node, { withLeaf: false, now: NOW })
    expect(JSON.stringify(change)).toBe(JSON.stringify(expected))
    expect(indexes).toEqual(['sessions:agent:researcher'])
  })

  test('an access token counts as a leaf of the new node, which ends with it', () => {
    const { mint, order, change } = issueFor(frame(access))
    expect(mint).toMatchObject({ kind: 'access', resource: { url: WAREHOUSE } })
    expect(order).toMatchObject({ audience: WAREHOUSE, expiresAt: NOW + 300 })
    expect(order.holder.node.notAfter).toBe(NOW + 300)
    expect(change.operations).toContainEqual({ operation: 'increment', field: `l:${CHILD}`, by: 1 })
    expect(toolsIn(order.authority)).toEqual({ [WAREHOUSE]: ['query'] })
  })

  test('the node holds what was permitted, not what was offered', () => {
    const framed = frame()
    const effective = { ...OFFERED, notAfter: NOW + 20 }
    const { order } = framed.issue({ ...permitFor(framed), effective })
    expect(order.holder.node.authority).toBe(effective)
    expect([order.holder.node.notAfter, order.expiresAt]).toEqual([NOW + 20, NOW + 20])
  })

  test('the node never ends after the delegation said it would', () => {
    const framed = frame({}, live({ notAfter: NOW + 15 }))
    expect(framed.issue(permitFor(framed)).order.expiresAt).toBe(NOW + 15)
  })
})
