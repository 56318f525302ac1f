import { describe, expect, test } from 'vitest'
import { frameContinue } from '../../../../src/flows/frame/continue.ts'
import type { ExchangeRequest } from '../../../../src/flows/token-request.ts'
import { TOKEN_TYPE } from '../../../../src/protocol/oauth.ts'
import { issueLeaf } from '../../../../src/sessions/session-commits.ts'
import { WIKI } from '../../../support/world.ts'
import { ALICE, actor, CHILD, child, END, NOW, ROOT, reasonOf, SLACK, WAREHOUSE } from '../../sessions/fixtures.ts'
import { SETTINGS } from '../../tokens/fixtures.ts'
import {
  agentOf,
  DELEGATED,
  details,
  exchange,
  fullAuthority,
  handleEvidence,
  input,
  issueFor,
  liveRoot,
  party,
  permitFor,
  registryWith,
  toolsIn,
} from '../fixtures.ts'

const narrowed = details(DELEGATED.slice(1))

function frame(request: Partial<ExchangeRequest> = {}, live = liveRoot(), over: object = {}) {
  return frameContinue(
    input({ request: exchange({ resources: [WAREHOUSE], ...request }), evidence: handleEvidence(), live, ...over }),
  )
}

describe('the question', () => {
  test('is bounded by the node it continues and the ceiling of the session', () => {
    const live = liveRoot()
    const { event, question } = frame({}, live)
    expect(event).toBe('token.continue')
    expect(question).toMatchObject({
      subject: ALICE,
      user: { sub: 'alice' },
      target: WAREHOUSE,
      askedExplicitly: false,
    })
    expect(question.agent).toBe(agentOf('orchestrator'))
    expect(question.chain).toEqual([])
    expect(question.parent).toBe(live.node.authority)
    expect(question.ceiling).toBe(live.facts.ceiling)
    expect(toolsIn(question.asked)).toEqual({ [WAREHOUSE]: ['query', 'list_tables'] })
  })

  test('is as narrow as the details say', () => {
    const { question } = frame({ details: narrowed })
    expect(question.askedExplicitly).toBe(true)
    expect(toolsIn(question.asked)).toEqual({ [WAREHOUSE]: ['query'] })
  })

  test('ends with the access token, the node or the session, whichever is first', () => {
    const end = (node: number, session: number) =>
      frame({}, liveRoot({ node: { notAfter: node }, facts: { notAfter: session } })).question.asked.notAfter
    expect(end(END, END)).toBe(NOW + SETTINGS.accessTokenSeconds)
    expect(end(NOW + 60, END)).toBe(NOW + 60)
    expect(end(END, NOW + 50)).toBe(NOW + 50)
  })
})

describe('refused before anything is decided', () => {
  test.each([
    ['no server named', { resources: [] }, 'target_missing'],
    ['two servers', { resources: [WAREHOUSE, SLACK] }, 'target_ambiguous'],
    ['a server outside the session', { resources: [WIKI] }, 'resource_not_in_session'],
    ['an intent of its own', { details: details(DELEGATED) }, 'intent_unexpected'],
    [
      'details for another server than the target',
      { resources: [SLACK], details: narrowed },
      'resource_not_in_session',
    ],
    ['a scope that opens nothing there', { scope: ['mcp:tools:write'] }, 'nothing_granted'],
  ] as const)('%s', async (_what, request, reason) => {
    expect(await reasonOf(() => frame(request))).toBe(reason)
  })

  test('more than the node holds', async () => {
    const live = liveRoot({ held: child().authority })
    const wide = details([{ type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: {} } }])
    expect(await reasonOf(() => frame({ details: wide }, live))).toBe('details_widening')
  })
})

describe('what is issued', () => {
  test('an access token of the same node, same actor, same chain, one leaf more', () => {
    const live = liveRoot()
    const { mint, order, change, indexes } = issueFor(frame({ instance: 'pod-7' }, live))
    expect(mint).toMatchObject({ kind: 'access', resource: { url: WAREHOUSE } })
    expect(order.holder).toEqual({ session: live.facts, node: live.node, above: [], path: [ROOT] })
    expect(order.holder.node.act).toEqual(actor('orchestrator'))
    expect(order).toMatchObject({
      audience: WAREHOUSE,
      rv: 41,
      parentHash: 'hash-of-parent',
      instance: 'pod-7',
      now: NOW,
      expiresAt: NOW + 300,
    })
    expect(JSON.stringify(change)).toBe(JSON.stringify(issueLeaf(live, [ROOT], NOW)))
    expect(indexes).toEqual([])
  })

  test('counts at the node of the handle, below the root as well', () => {
    const live = liveRoot({ node: child(), held: child().authority })
    const evidence = handleEvidence({ path: [ROOT, CHILD] })
    const held = { ...live, node: child({ authority: fullAuthority() }) }
    const { change } = issueFor(frame({}, held, { evidence, party: party('orchestrator') }))
    expect(change.operations).toEqual([{ operation: 'increment', field: `l:${CHILD}`, by: 1 }])
  })

  test('carries its own server’s authority only, whatever else was permitted', () => {
    const framed = frame()
    const permit = { ...permitFor(framed), effective: fullAuthority() }
    expect(toolsIn(framed.issue(permit).order.authority)).toEqual({ [WAREHOUSE]: ['query', 'list_tables'] })
  })

  test('ends no later than what was permitted', () => {
    const framed = frame()
    const permit = permitFor(framed)
    const early = { ...permit, effective: { ...permit.effective, notAfter: NOW + 10 } }
    expect(framed.issue(early).order.expiresAt).toBe(NOW + 10)
    const late = { ...permit, effective: { ...permit.effective, notAfter: END } }
    expect(framed.issue(late).order.expiresAt).toBe(NOW + 300)
  })
})

test('an ID-JAG is about a user: a session of none makes none', async () => {
  const from = registryWith((document) => {
    document.authorization_servers = [{ issuer: 'https://as.example', slug: 'as', clients: { orchestrator: 'o' } }]
    document.resources.push({ id: 'theirs', url: 'https://theirs.example/mcp', owner: 'x', authorization_server: 'as' })
  })
  const asked = {
    requested: TOKEN_TYPE.idJag,
    audiences: ['https://as.example'],
    resources: ['https://theirs.example/mcp'],
  }
  const facts = { subject: { principal: 'agent:orchestrator', profile: 'ai_agent', user: undefined } }
  expect(await reasonOf(() => frame(asked, liveRoot({ facts }), { registry: from }))).toBe(
    'requested_token_type_unsupported',
  )
  expect(await reasonOf(() => frame(asked, liveRoot(), { registry: from }))).toBe('resource_not_in_session')
})
