import { describe, expect, test } from 'vitest'
import type { PrincipalId } from '../../../src/kernel/ids.ts'
import { apiClaims, managementClaims, sessionClaims } from '../../../src/tokens/claims.ts'
import {
  actor,
  authority,
  CHILD,
  child,
  END,
  NOW,
  nodeFacts,
  ROOT,
  SESSION,
  SLACK,
  sessionFacts,
  WAREHOUSE,
} from '../sessions/fixtures.ts'
import { apiOrder, FIXED, order } from './fixtures.ts'

describe('the claims of a token of a session', () => {
  test('are these and no others', () => {
    expect(sessionClaims(FIXED, order())).toEqual({
      iss: 'https://errand.example',
      iat: NOW,
      exp: NOW + 300,
      jti: 'jti_minted',
      sub: 'user:corp:alice',
      aud: WAREHOUSE,
      client_id: 'researcher',
      scope: 'mcp:tools:read',
      sub_profile: 'user',
      sid: SESSION,
      txn: 'txn_one',
      rv: 41,
      act: actor('researcher', 'orchestrator'),
      authorization_details: [
        { type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: { table: { const: 'revenue' } } } },
      ],
      not_after: END,
      env: 'development',
      auth_time: NOW - 10,
      agent: { version: '1', instance: 'pod-7' },
      origin: { type: 'user_request', ref: 'msg-7731', asserted_by: 'agent:orchestrator' },
      intent: 'hash-of-intent',
      anc: [ROOT, CHILD],
      par_hash: 'hash-of-parent',
    })
  })

  test('leave out what there is not: an actor, a parent of ours, an instance, a reference, how the user signed in', () => {
    const session = sessionFacts({ evidence: undefined })
    const node = nodeFacts({ act: undefined, origin: { type: 'schedule', assertedBy: 'agent:orchestrator' } })
    const claims = sessionClaims(
      FIXED,
      order({ holder: { session, node, above: [], path: [ROOT] }, parentHash: undefined, instance: undefined }),
    )
    for (const name of ['act', 'par_hash', 'auth_time', 'acr', 'amr']) expect(claims).not.toHaveProperty(name)
    expect(claims['agent']).toEqual({ version: '1' })
    expect(claims['origin']).toEqual({ type: 'schedule', asserted_by: 'agent:orchestrator' })
  })

  test('carry acr and amr where the user’s sign-in had them', () => {
    const evidence = { ...sessionFacts().evidence, acr: 'urn:mfa', amr: ['pwd', 'otp'] } as never
    const holder = { session: sessionFacts({ evidence }), node: child(), above: [], path: [ROOT, CHILD] }
    expect(sessionClaims(FIXED, order({ holder }))).toMatchObject({ acr: 'urn:mfa', amr: ['pwd', 'otp'] })
  })

  test('say the earlier end of the authority and the node', () => {
    const claims = (authorityEnd: number, nodeEnd: number) =>
      sessionClaims(
        FIXED,
        order({
          holder: { session: sessionFacts(), node: child({ notAfter: nodeEnd }), above: [], path: [ROOT, CHILD] },
          authority: authority({}, { notAfter: authorityEnd }),
        }),
      )['not_after']
    expect(claims(END - 5, END)).toBe(END - 5)
    expect(claims(END, END - 5)).toBe(END - 5)
  })

  test('carry no prose: the purpose stays in the session', () => {
    expect(JSON.stringify(sessionClaims(FIXED, order()))).not.toContain('Find the figures')
  })

  test('take the actor from the node, never from the client id', () => {
    const holder = { session: sessionFacts(), node: child({ act: actor('somebody') }), above: [], path: [ROOT, CHILD] }
    const claims = sessionClaims(FIXED, order({ holder }))
    expect(claims['act']).toEqual(actor('somebody'))
    expect(claims['client_id']).toBe('researcher')
  })
})

test('details are one object per resource (RFC 9396 section 7)', () => {
  const two = authority({ limit: { maximum: 5 } })
  const resources = new Map(two.resources)
  resources.set(SLACK, { scopes: ['mcp:tools:write'], tools: new Map([['post', new Map()]]), limits: { maxCalls: 2 } })
  expect(sessionClaims(FIXED, order({ authority: { ...two, resources } })).authorization_details).toEqual([
    { type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: { limit: { maximum: 5 } } } },
    { type: 'mcp_tools', locations: [SLACK], tools: { post: {} }, limits: { maxCalls: 2 } },
  ])
})

test('the claims of an API token are these and no others: no session, no act, no details', () => {
  expect(apiClaims(FIXED, apiOrder())).toEqual({
    iss: 'https://errand.example',
    iat: NOW,
    exp: NOW + 300,
    jti: 'jti_minted',
    sub: 'agent:orchestrator',
    aud: 'https://errand.example/api',
    client_id: 'orchestrator',
    scope: 'revocations sessions',
    sub_profile: 'ai_agent',
    agent: { version: '1' },
    rv: 41,
    env: 'development',
  })
})

test('builds that a token hangs from are named beside its own, each once', () => {
  const [root, between] = [nodeFacts({ agentVersion: '7' }), child({ agentVersion: '3' })]
  const leaf = child({ agentVersion: '3' })
  const holder = { session: sessionFacts(), node: leaf, above: [root, between], path: [ROOT, CHILD] }
  expect(sessionClaims(FIXED, order({ holder }))['agent']).toEqual({
    version: '1',
    instance: 'pod-7',
    // The holder's own node was made by another version than asks now.
    via: ['orchestrator|7', 'researcher|3'],
  })
  expect(apiClaims(FIXED, apiOrder({ agentVersion: undefined }))).not.toHaveProperty('agent')
})

test('the claims of a management token are these and no others: no client, no scope', () => {
  expect(
    managementClaims(FIXED, {
      operator: 'operator:root' as PrincipalId,
      roles: ['viewer'],
      now: NOW,
      expiresAt: NOW + 600,
    }),
  ).toEqual({
    env: 'development',
    iss: 'https://errand.example',
    iat: NOW,
    exp: NOW + 600,
    jti: 'jti_minted',
    sub: 'operator:root',
    aud: 'https://errand.example/admin',
    roles: ['viewer'],
  })
})
