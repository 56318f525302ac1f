/** Checklist E 53–56, 67, 68: how the chain of actors grows, and when it may not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  brokenLink,
  type Claims,
  details,
  granted,
  intent,
  openDeep,
  refused,
  signingInputHash,
  tools,
  type Walk,
  walk,
} from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { invalidRequest } from '../support/refusal.ts'
import { INTENT, registryDocument, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let hops: Walk
beforeAll(async () => {
  world = await startWorld()
  hops = await walk(world)
})
afterAll(() => world.close())

const everyToken = () => Object.entries(hops).map(([name, { claims }]) => [name, claims] as const)
const actor = (world: World, agent: string, act?: Claims): Claims => ({
  iss: world.issuer,
  sub: `agent:${agent}`,
  sub_profile: 'ai_agent',
  ...(act === undefined ? {} : { act }),
})

describe('RFC 8693 §4.1 the act claim', () => {
  test('RFC 8693 §1.1 the subject is the same in every token of the chain, and only act grows', () => {
    // 53
    expect(everyToken().map(([, claims]) => claims.sub)).toEqual(Array(6).fill('user:corp:alice'))
    expect(everyToken().map(([, claims]) => claims.iss)).toEqual(Array(6).fill(world.issuer))
    expect(everyToken().map(([, claims]) => depthOf(claims.act))).toEqual([1, 1, 2, 2, 3, 3])
  })

  test('RFC 8693 §4.1 the newest actor is outermost and the earlier chain is nested inside it unchanged', () => {
    // 54
    const first = actor(world, 'orchestrator')
    const second = actor(world, 'researcher', first)
    const third = actor(world, 'scribe', second)
    expect(hops.root.claims.act).toEqual(first)
    expect(hops.researcher.claims.act).toEqual(second)
    expect(hops.scribe.claims.act).toEqual(third)
    expect(JSON.stringify(hops.researcher.claims.act.act)).toBe(JSON.stringify(hops.root.claims.act))
    expect(JSON.stringify(hops.scribe.claims.act.act)).toBe(JSON.stringify(hops.researcher.claims.act))
    expect(JSON.stringify(hops.access.claims.act)).toBe(JSON.stringify(hops.scribe.claims.act))
  })

  test('RFC 8693 §4.1 an act carries names only: no exp, nbf, iat, aud, scope or cnf at any depth', () => {
    // 55
    for (const [name, claims] of everyToken()) {
      for (let act = claims.act; act !== undefined; act = act.act) {
        expect(
          Object.keys(act).filter((member) => member !== 'act'),
          name,
        ).toEqual(['iss', 'sub', 'sub_profile'])
      }
    }
  })

  test('RFC 8693 §4.3 client_id names the current actor of the token, raw', () => {
    const holders = everyToken().map(([, claims]) => claims.client_id)
    expect(holders).toEqual(['orchestrator', 'orchestrator', 'researcher', 'researcher', 'scribe', 'scribe'])
  })

  test('par_hash and anc let the whole chain be checked hop by hop, and show which link was swapped', async () => {
    const { root, toResearcher, researcher, toScribe, scribe, access } = hops
    const chain = [root, toResearcher, researcher, toScribe, scribe, access].map(({ token }) => token)
    expect(brokenLink(chain)).toBeUndefined()
    expect(scribe.claims.anc).toEqual([root.claims.anc[0], toResearcher.claims.jti, toScribe.claims.jti])
    expect(access.claims.par_hash).toBe(signingInputHash(scribe.token))
    const other = await walk(world)
    expect(brokenLink([root.token, toResearcher.token, other.researcher.token])).toBe('par_hash of link 2')
    expect(brokenLink([...chain.slice(0, 3), other.toScribe.token, ...chain.slice(4)])).toBe('par_hash of link 3')
    expect(brokenLink([...chain.slice(0, 1), ...chain.slice(2)])).toBe('par_hash of link 1')
  })

  test('RFC 8693 §4.1 an act from an issuer trusted with it goes under the agent, and the depth is bounded', async () => {
    // 56: the result may be as deep as the maximum of five and no deeper.
    const idp = await startIssuer({ slug: 'corp' })
    const issuers = (registryDocument(idp)['issuers'] as object[]).map((one) => ({
      ...one,
      accepts_foreign_actors: true,
    }))
    const trusting = await startWorld({ issuer: idp, registry: { issuers } })
    try {
      const chain = (depth: number): Claims =>
        depth === 0 ? undefined : { iss: idp.url, sub: `app-${depth}`, ...(depth > 1 ? { act: chain(depth - 1) } : {}) }
      const deep = await granted(trusting.open({ subject_token: trusting.idToken({ act: chain(4) }) }))
      expect(JSON.stringify(deep.claims.act.act)).toBe(JSON.stringify(chain(4)))
      expect(depthOf(deep.claims.act)).toBe(5)
      const refusal = invalidRequest('actor_chain_too_deep')
      await refused(trusting, () => trusting.open({ subject_token: trusting.idToken({ act: chain(5) }) }), refusal)
      await refused(trusting, () => trusting.delegate(deep.token), refusal)
    } finally {
      await trusting.close()
      await idp.close()
    }
  })
})

describe('how deep a delegation may go is lowered by every hop and raised by none', () => {
  const depth = invalidRequest('delegation_depth_exceeded')

  test('RFC 8693 §4.1 a root that asked for nothing may be delegated once and no further', async () => {
    // 56
    const { session } = await world.opened()
    const researcher = await granted(world.accept((await granted(world.delegate(session))).token))
    const onward = { audience: 'scribe', authorization_details: details(intent(), tools(WAREHOUSE, { query: SMALL })) }
    await refused(world, () => world.delegate(researcher.token, onward, 'researcher'), depth)
  })

  test('a delegation cannot grant more hops than its delegator has left', async () => {
    const { token } = await openDeep(world, 2)
    const asking = (more: number) =>
      world.delegate(token, {
        authorization_details: details(intent({ max_depth: more }), tools(WAREHOUSE, { query: SMALL })),
      })
    await refused(world, () => asking(2), depth)
    await granted(asking(1))
  })

  test('max_depth 0 means that nothing at all may be delegated', async () => {
    const { token } = await openDeep(world, 0)
    await refused(world, () => world.delegate(token), depth)
  })

  test('settings.maxChainDepth bounds what an intent may ask for: the request cannot raise it', async () => {
    const shallow = await startWorld({ settings: { maxChainDepth: 2 } })
    try {
      const { token } = await openDeep(shallow, 4)
      const passOn = { authorization_details: details(intent({ max_depth: 1 }), tools(WAREHOUSE, { query: SMALL })) }
      await refused(shallow, () => shallow.delegate(token, passOn), depth)
      const researcher = await granted(shallow.accept((await granted(shallow.delegate(token))).token))
      const onward = {
        audience: 'scribe',
        authorization_details: details(intent(), tools(WAREHOUSE, { query: SMALL })),
      }
      await refused(shallow, () => shallow.delegate(researcher.token, onward, 'researcher'), depth)
    } finally {
      await shallow.close()
    }
  })

  test('an agent that is already in the chain cannot be delegated to: orchestrator, researcher, orchestrator', async () => {
    const back = {
      audience: 'orchestrator',
      authorization_details: details(intent(), tools(WAREHOUSE, { query: SMALL })),
    }
    await refused(
      world,
      () => world.delegate(hops.researcher.token, back, 'researcher'),
      invalidRequest('actor_chain_cycle'),
    )
  })

  const SMALL = { table: { const: 'revenue' }, limit: { maximum: 5 } }
})

describe('RFC 8693 §1.1 delegation is never inferred and never lost', () => {
  test('an agent working for itself is the subject: client_id and sub differ in form, and there is no act', async () => {
    // 67
    const { claims } = await granted(
      world.clientCredentials('orchestrator', { resource: WAREHOUSE, authorization_details: details(...SCHEDULED) }),
    )
    expect(claims).toMatchObject({ sub: 'agent:orchestrator', client_id: 'orchestrator', sub_profile: 'ai_agent' })
    expect(claims).not.toHaveProperty('act')
  })

  test('RFC 8693 §2.1 without actor_token the authenticated client is the actor, so that no user is impersonated', async () => {
    // 35 and 67 as DESIGN §3 decides them
    const { claims } = await granted(world.open())
    expect(claims.act).toEqual(actor(world, 'orchestrator'))
  })

  test('continuing again and again adds no hop, copies the chain unchanged and outlives nothing', async () => {
    // 68
    const { token, claims: root } = await openDeep(world)
    for (let turn = 0; turn < 3; turn += 1) {
      const { claims } = await granted(world.continue(token))
      expect(JSON.stringify(claims.act)).toBe(JSON.stringify(root.act))
      expect(claims.anc).toEqual(root.anc)
      expect(claims.exp).toBeLessThanOrEqual(root.not_after)
    }
  })

  test('a session token cannot be exchanged for another session token, nor an access token for anything', async () => {
    // 68
    const { token } = await openDeep(world)
    await refused(
      world,
      () => world.continue(token, { requested_token_type: TYPE.session, resource: undefined }),
      invalidRequest('requested_token_type_unsupported'),
    )
    const access = await granted(world.continue(token))
    const again = { subject_token: access.token, subject_token_type: TYPE.access, authorization_details: undefined }
    await refused(world, () => world.continue(access.token, again), invalidRequest('subject_token_presenter'))
  })

  const [, warehouse] = INTENT
  const SCHEDULED = [{ type: 'agent_intent', purpose: 'Count tables', origin: { type: 'schedule' } }, warehouse ?? {}]
})

function depthOf(act: Claims): number {
  return act === undefined ? 0 : 1 + depthOf(act.act)
}
