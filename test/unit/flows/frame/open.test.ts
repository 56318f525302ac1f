import { describe, expect, test } from 'vitest'
import { frameOpen } from '../../../../src/flows/frame/open.ts'
import { accessTokenEnd } from '../../../../src/flows/frame/opening.ts'
import type { ExchangeRequest } from '../../../../src/flows/token-request.ts'
import { intentHash } from '../../../../src/model/intent.ts'
import { TOKEN_TYPE } from '../../../../src/protocol/oauth.ts'
import { openSession } from '../../../../src/sessions/session-commits.ts'
import { WIKI } from '../../../support/world.ts'
import { ALICE, actor, ISSUER, NOW, reasonOf, SLACK, WAREHOUSE } from '../../sessions/fixtures.ts'
import { SETTINGS } from '../../tokens/fixtures.ts'
import { details, exchange, INTENT, input, issueFor, permitFor, registry, toolsIn, userEvidence } from '../fixtures.ts'

const FOR_SESSION = { requested: TOKEN_TYPE.session, details: details(INTENT), instance: 'pod-7' } as const

function open(request: Partial<ExchangeRequest> = {}, evidence: object = {}, over: object = {}) {
  return frameOpen(
    input({ request: exchange({ ...FOR_SESSION, ...request }), evidence: userEvidence({ ...evidence }), ...over }),
  )
}

const withIntent = (more: object) => ({ details: details([{ ...INTENT[0], ...more }, ...INTENT.slice(1)]) })

describe('the question', () => {
  test('is who asks, for whom, and what the intent needs', () => {
    const { event, question } = open()
    expect(event).toBe('session.open')
    expect(question).toMatchObject({
      id: 'dec_one',
      now: NOW,
      environment: 'development',
      agent: { clientId: 'orchestrator' },
      chain: [],
      subject: ALICE,
      user: { sub: 'alice' },
      askedExplicitly: true,
      parent: undefined,
      ceiling: undefined,
      target: undefined,
    })
    expect(toolsIn(question.asked)).toEqual({ [WAREHOUSE]: ['query', 'list_tables'], [SLACK]: ['post_message'] })
  })

  test('asks for the standing intent where the request has none', () => {
    const { question } = open({ details: undefined })
    expect(question.askedExplicitly).toBe(false)
    expect(toolsIn(question.asked)).toEqual({ [WIKI]: ['search', 'read_page'] })
  })

  test('is cut to the resources and scopes the request names', () => {
    expect(toolsIn(open({ resources: [SLACK] }).question.asked)).toEqual({ [SLACK]: ['post_message'] })
    expect(toolsIn(open({ audiences: ['slack'] }).question.asked)).toEqual({ [SLACK]: ['post_message'] })
    expect(toolsIn(open({ scope: ['mcp:tools:write'] }).question.asked)).toEqual({ [SLACK]: ['post_message'] })
  })

  test('is cut to the ceiling of the user’s token: scopes it lacks are not granted, none is nothing', async () => {
    const ceiling = (scopes: readonly string[]) => ({ ceiling: { kind: 'scopes', scopes } })
    expect(toolsIn(open({}, ceiling(['openid', 'mcp:tools:write'])).question.asked)).toEqual({
      [SLACK]: ['post_message'],
    })
    expect(await reasonOf(() => open({}, ceiling([])))).toBe('nothing_granted')
    expect(await reasonOf(() => open({}, ceiling(['openid'])))).toBe('nothing_granted')
  })

  test('hops: one unless the intent asks otherwise, never more than a chain may have below the root', () => {
    expect(open().question.asked.maxDepth).toBe(1)
    expect(open(withIntent({ max_depth: 0 })).question.asked.maxDepth).toBe(0)
    expect(open(withIntent({ max_depth: 3 })).question.asked.maxDepth).toBe(3)
    const settings = { ...SETTINGS, maxChainDepth: 3 }
    expect(open(withIntent({ max_depth: 5 }), {}, { settings }).question.asked.maxDepth).toBe(2)
  })
})

describe('the end of a session is the earliest of', () => {
  const end = (more: object, evidence: object = {}, over: object = {}) =>
    open(withIntent(more), evidence, over).question.asked.notAfter
  const undeclared = { details: details([{ type: 'agent_intent', purpose: 'p' }, ...INTENT.slice(1)]) }

  test('what was asked', () => {
    expect(end({ expires_in: 900 })).toBe(NOW + 900)
    expect(end({ expires_in: 1 })).toBe(NOW + 1)
  })

  test('what is configured', () => {
    expect(end({ expires_in: 999_999 })).toBe(NOW + SETTINGS.sessionSeconds)
    expect(open(undeclared).question.asked.notAfter).toBe(NOW + SETTINGS.sessionSeconds)
  })

  test('the evidence, unless its issuer says that sessions may outlive it', () => {
    expect(end({ expires_in: 900 }, { expiresAt: NOW + 60 })).toBe(NOW + 60)
    const issuer = { ...userEvidence().issuer, sessionMayOutliveSubject: true }
    expect(end({ expires_in: 900 }, { expiresAt: NOW + 60, issuer })).toBe(NOW + 900)
  })

  test('what is over by our clock opens nothing, though it verified within the skew', async () => {
    for (const expiresAt of [NOW, NOW - 20]) {
      expect(await reasonOf(() => open({}, { expiresAt }))).toBe('subject_token_expired')
    }
  })

  test('the access token, where one is asked for instead of a session token', () => {
    const access = { requested: TOKEN_TYPE.accessToken, resources: [WAREHOUSE] }
    expect(open(access).question.asked.notAfter).toBe(NOW + SETTINGS.accessTokenSeconds)
    expect(open(access, { expiresAt: NOW + 60 }).question.asked.notAfter).toBe(NOW + 60)
  })
})

test('an access token lives as long as its resource allows, never longer than configured', () => {
  const resource = { ...registry.resource(WAREHOUSE), accessTokenLifetimeSeconds: 60 } as never
  expect(accessTokenEnd(resource, NOW, 300)).toBe(NOW + 60)
  expect(accessTokenEnd(resource, NOW, 30)).toBe(NOW + 30)
})

describe('refused before anything is decided', () => {
  test.each([
    ['an access token for no server', { requested: TOKEN_TYPE.accessToken }, 'target_missing'],
    ['for two', { requested: TOKEN_TYPE.accessToken, resources: [WAREHOUSE, SLACK] }, 'target_ambiguous'],
    ['a server outside the intent', { resources: [WIKI] }, 'resource_not_in_session'],
    ['a server nobody knows', { resources: ['https://evil.example/mcp'] }, 'resource_unknown'],
    ['a scope that opens nothing', { scope: ['mcp:tools:admin'] }, 'nothing_granted'],
    ['an origin only the broker may write', withIntent({ origin: { type: 'upstream_agent' } }), 'details_malformed'],
  ] as const)('%s', async (_what, request, reason) => {
    expect(await reasonOf(() => open(request))).toBe(reason)
  })

  test('an actor who is in the foreign chain already, and a chain that would be too deep', async () => {
    expect(await reasonOf(() => open({}, { foreignActor: actor('scribe', 'orchestrator') }))).toBe('actor_chain_cycle')
    const deep = actor('a', 'b', 'c', 'd', 'e')
    expect(await reasonOf(() => open({}, { foreignActor: deep }))).toBe('actor_chain_too_deep')
  })
})

describe('what is issued', () => {
  test('a session token for the issuer, and the session with its root node in one change', () => {
    const framed = open()
    const permit = permitFor(framed)
    const { mint, order, change, indexes } = framed.issue(permit)
    const { session, node, path } = order.holder
    expect(mint).toEqual({ kind: 'session' })
    expect(order).toMatchObject({
      audience: ISSUER,
      rv: 41,
      parentHash: undefined,
      instance: 'pod-7',
      now: NOW,
      expiresAt: NOW + 900,
      authority: permit.effective,
    })
    expect(path).toEqual([node.id])
    expect(JSON.stringify(change)).toBe(JSON.stringify(openSession(session, node, false)))
    expect(indexes).toEqual(['sessions:all', `sessions:${ALICE}`, 'sessions:agent:orchestrator'])
  })

  test('the session records who, for whom, on what evidence and under what ceiling', () => {
    const { session, node } = issueFor(open()).order.holder
    expect(session).toMatchObject({
      rootAgent: 'orchestrator',
      rootNode: node.id,
      subject: { principal: ALICE, profile: 'user', user: { issuerSlug: 'corp', sub: 'alice' } },
      accountableOwner: 'alice@corp.example',
      evidence: {
        digest: 'digest-of-evidence',
        issuer: 'https://idp.example',
        signedInAt: NOW - 10,
        expiresAt: NOW + 7200,
        authTime: NOW - 10,
      },
      openedAt: NOW,
      notAfter: NOW + 900,
    })
    expect(session.ceiling).toEqual(node.authority)
    expect(node).toMatchObject({
      parent: undefined,
      holder: 'orchestrator',
      agentVersion: '3',
      act: actor('orchestrator'),
      purpose: 'Summarise Q3 revenue and post it to #finance',
      origin: { type: 'user_request', ref: 'msg-7731', assertedBy: 'agent:orchestrator' },
      intentHash: intentHash(session.intentSalt, 'Summarise Q3 revenue and post it to #finance'),
      notAfter: NOW + 900,
    })
  })

  test('two openings share no id and no salt', () => {
    const one = issueFor(open()).order.holder
    const two = issueFor(open()).order.holder
    expect(one.session.id).not.toBe(two.session.id)
    expect(one.node.id).not.toBe(two.node.id)
    expect(one.session.intentSalt).not.toBe(two.session.intentSalt)
    expect(one.node.intentHash).not.toBe(two.node.intentHash)
  })

  test('an access token for the one server, whose session lives exactly as long', () => {
    const { mint, order, change } = issueFor(open({ requested: TOKEN_TYPE.accessToken, resources: [WAREHOUSE] }))
    expect(mint).toMatchObject({ kind: 'access', resource: { url: WAREHOUSE } })
    expect(order.audience).toBe(WAREHOUSE)
    expect(toolsIn(order.authority)).toEqual({ [WAREHOUSE]: ['query', 'list_tables'] })
    expect([order.expiresAt, order.holder.session.notAfter, change.notAfter]).toEqual(Array(3).fill(NOW + 300))
    expect(change.operations).toContainEqual({ operation: 'increment', field: `l:${order.holder.node.id}`, by: 1 })
  })

  test('a foreign actor that was accepted stays in the chain, under the agent', () => {
    const { order } = issueFor(open({}, { foreignActor: actor('elsewhere') }))
    expect(order.holder.node.act).toEqual(actor('orchestrator', 'elsewhere'))
  })

  test('the origin is a user’s request where the intent does not say', () => {
    const silent = details([{ type: 'agent_intent', purpose: 'p' }, ...INTENT.slice(1)])
    expect(issueFor(open({ details: silent })).order.holder.node.origin).toEqual({
      type: 'user_request',
      assertedBy: 'agent:orchestrator',
    })
    const planned = withIntent({ origin: { type: 'agent_plan', ref: 'step-2' } })
    expect(issueFor(open(planned)).order.holder.node.origin).toEqual({
      type: 'agent_plan',
      ref: 'step-2',
      assertedBy: 'agent:orchestrator',
    })
  })

  test('what policy narrows is narrow in the session, its ceiling and the token alike', () => {
    const permit = permitFor(open({ resources: [SLACK] }))
    const effective = { ...permit.effective, notAfter: NOW + 5 }
    const { order, change } = open().issue({ ...permit, effective })
    for (const authority of [order.authority, order.holder.session.ceiling, order.holder.node.authority]) {
      expect(authority).toBe(effective)
    }
    expect([order.expiresAt, order.holder.session.notAfter, change.notAfter]).toEqual(Array(3).fill(NOW + 5))
  })
})
