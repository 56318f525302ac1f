/** Rewriting who acted for whom: dropping, adding, reordering and replacing links of the chain (H53). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { brokenLink, type Claims, granted, openDeep, refused, type Walk, walk } from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { sign, swapPayload, testKey } from '../support/keys.ts'
import { invalidRequest } from '../support/refusal.ts'
import { headerOf, registryDocument, startWorld, type World } from '../support/world.ts'

let world: World
let hops: Walk
beforeAll(async () => {
  world = await startWorld()
  hops = await walk(world)
})
afterAll(() => world.close())

describe('the chain of a token cannot be edited', () => {
  const edits: readonly (readonly [string, (claims: Claims) => Claims])[] = [
    ['dropping the middle actor', (claims) => ({ ...claims, act: { ...claims.act, act: claims.act.act.act } })],
    ['dropping all earlier actors', (claims) => ({ ...claims, act: { ...claims.act, act: undefined } })],
    ['dropping act', ({ act: _dropped, ...claims }) => claims],
    [
      'swapping the outer two',
      (claims) => ({ ...claims, act: { ...claims.act.act, act: { ...claims.act, act: claims.act.act.act } } }),
    ],
    ['naming another actor', (claims) => ({ ...claims, act: { ...claims.act, sub: 'agent:orchestrator' } })],
    ['naming another user', (claims) => ({ ...claims, sub: 'user:corp:bob' })],
    ['taking a shorter path', (claims) => ({ ...claims, anc: claims.anc.slice(0, 1) })],
    ['moving to another session', (claims) => ({ ...claims, sid: 'ses_AAAAAAAAAAAAAAAAAAAAAA' })],
  ]

  test.each(edits)('%s: the signature no longer holds', async (_what, edit) => {
    const forged = swapPayload(new Secret(hops.scribe.token), edit(hops.scribe.claims)).reveal()
    const request = () => world.continue(forged, {}, 'scribe')
    await refused(world, request, invalidRequest('subject_token_signature'))
    const access = swapPayload(new Secret(hops.access.token), edit(hops.access.claims)).reveal()
    expect((await world.introspect(access)).body).toEqual({ active: false })
  })

  test.each(edits)('%s and signing again with a key of one’s own: not a key of the broker’s', async (_what, edit) => {
    const resign = ({ token, claims }: { token: string; claims: Claims }) =>
      sign({ key: testKey('splicer'), header: headerOf(token), claims: edit(claims) }).reveal()
    const request = () => world.continue(resign(hops.scribe), {}, 'scribe')
    await refused(world, request, invalidRequest('subject_token_signature'))
    expect((await world.introspect(resign(hops.access))).body).toEqual({ active: false })
  })

  test('genuine links of two sessions do not make one chain, and the check names the link', async () => {
    const other = await walk(world)
    const mine = [hops.root, hops.toResearcher, hops.researcher, hops.toScribe, hops.scribe, hops.access]
    const theirs = [other.root, other.toResearcher, other.researcher, other.toScribe, other.scribe, other.access]
    // As they were made they hold: else every link would look like a splice.
    for (const chain of [mine, theirs]) expect(brokenLink(chain.map(({ token }) => token))).toBeUndefined()
    for (let link = 1; link < mine.length; link += 1) {
      const spliced = [...mine.slice(0, link), ...theirs.slice(link)].map(({ token }) => token)
      expect(brokenLink(spliced)).toBe(`par_hash of link ${link}`)
    }
  })
})

describe('no request can say who acted before', () => {
  test('parameters and details that name actors change nothing or are refused', async () => {
    const { claims } = await granted(
      world.open({ act: JSON.stringify({ sub: 'agent:researcher' }), actor: 'agent:researcher', may_act: '{}' }),
    )
    expect(claims.act).toEqual({ iss: world.issuer, sub: 'agent:orchestrator', sub_profile: 'ai_agent' })
  })

  test('agent_instance describes itself and authorizes nothing', async () => {
    const { claims } = await granted(world.open({ agent_instance: 'agent:researcher' }))
    expect(claims.agent).toEqual({ version: '1', instance: 'agent:researcher' })
    expect(claims.client_id).toBe('orchestrator')
  })
})

describe('an identity provider cannot write this broker’s agents into a chain', () => {
  test('not even one that is trusted with act: names of this broker are the broker’s to give', async () => {
    const idp = await startIssuer({ slug: 'corp' })
    const issuers = (registryDocument(idp)['issuers'] as object[]).map((one) => ({
      ...one,
      accepts_foreign_actors: true,
    }))
    const trusting = await startWorld({ issuer: idp, registry: { issuers } })
    try {
      for (const agent of ['orchestrator', 'researcher', 'nobody']) {
        const act = { iss: trusting.issuer, sub: `agent:${agent}` }
        const { status, body } = await trusting.open({ subject_token: trusting.idToken({ act }) })
        expect([status, body.error, body.access_token], agent).toEqual([400, 'invalid_request', undefined])
      }
      const { claims } = await granted(
        trusting.open({ subject_token: trusting.idToken({ act: { iss: idp.url, sub: 'agent:orchestrator' } }) }),
      )
      expect(claims.act.act).toEqual({ iss: idp.url, sub: 'agent:orchestrator' })
    } finally {
      await trusting.close()
      await idp.close()
    }
  })
})

test('a delegation that passes through a dead link is dead: splicing it out was the only hope', async () => {
  const own = await openDeep(world)
  const { token } = await granted(world.delegate(own.token))
  const accepted = await granted(world.accept(token))
  await world.revoke(token)
  await refused(world, () => world.continue(accepted.token, {}, 'researcher'), invalidRequest('node_revoked'))
})
