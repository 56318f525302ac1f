/**
 * JWT-SVIDs as subject and as actor (SPIFFE JWT-SVID; RFC 8693 §2.1), and what stands in for single use where a workload presents
 * one SVID until it is renewed (checklist #47).
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { holderKey, jktOf, proving } from '../support/dpop.ts'
import { granted, kill } from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { sign, testKey, withTwinSignature } from '../support/keys.ts'
import { expectRefused, invalidClient, invalidRequest, toStranger } from '../support/refusal.ts'
import { startTrustDomain, type TestTrustDomain } from '../support/trust-domain.ts'
import {
  type Answer,
  INTENT,
  type Params,
  registryDocument,
  Secret,
  startWorld,
  TYPE,
  WAREHOUSE,
  WIKI,
  type World,
} from '../support/world.ts'

type Members = Record<string, unknown>

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'
let domain: TestTrustDomain
let other: TestTrustDomain
let world: World

const started = async (more: Members = {}): Promise<void> => {
  const idp = await startIssuer({ slug: 'corp' })
  const ids: Readonly<Record<string, readonly string[]>> = {
    orchestrator: ['spiffe://example.org/agent', 'spiffe://example.org/standby'],
    researcher: ['spiffe://example.org/researcher'],
  }
  const agents = (registryDocument(idp)['agents'] as Members[]).map((agent) => {
    const spiffe_ids = ids[agent['client_id'] as string]?.map((id, index) => ({ id, version: `${index + 1}` }))
    return spiffe_ids === undefined ? agent : { ...agent, spiffe_ids }
  })
  const trust_domains = [{ ...domain.entry, ...more }, other.entry]
  world = await startWorld({ issuer: idp, registry: { agents, trust_domains } })
}

beforeEach(async () => {
  const now = () => world.now()
  domain = await startTrustDomain('example.org', { now })
  other = await startTrustDomain('other.example', { now })
  await started()
})
afterEach(async () => {
  await Promise.all([world.close(), domain.close(), other.close()])
  await world.idp.close()
})

let made = 0
/** Each another one. */
const svid = (path = '/agent', claims: Members = {}, header: Members = {}): string => {
  made += 1
  return domain.svid(path, world.issuer, { jti: `svid-${made}`, ...claims }, header)
}
const asClient = (assertion: string): Params => ({ client_assertion_type: ASSERTION, client_assertion: assertion })
const [, ...TOOLS] = INTENT
const DETAILS = JSON.stringify([{ type: 'agent_intent', purpose: 'Close the quarter', expires_in: 900 }, ...TOOLS])
const open = (subject: string, more: Params = {}, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  world.post(
    '/token',
    {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: subject,
      subject_token_type: TYPE.jwt,
      requested_token_type: TYPE.session,
      authorization_details: DETAILS,
      ...(more['client_assertion'] === undefined ? world.authentication('orchestrator') : {}),
      ...more,
    },
    headers,
  )
const ask = (assertion: string, headers: Readonly<Record<string, string>> = {}, more: Params = {}): Promise<Answer> =>
  world.post('/token', { grant_type: 'client_credentials', resource: WIKI, ...asClient(assertion), ...more }, headers)

describe('as subject: the agent works for itself', () => {
  test('a session is opened, which ends with the SVID, and is continued by other SVIDs', async () => {
    const { token, claims } = await granted(open(svid()))
    expect(claims).toMatchObject({ sub: 'agent:orchestrator', client_id: 'orchestrator', exp: world.now() + 300 })
    expect(claims).not.toHaveProperty('act')
    const next = await granted(world.continue(token, { ...asClient(svid()), resource: WAREHOUSE }))
    expect(next.claims).toMatchObject({ sub: 'agent:orchestrator', sid: claims['sid'], aud: WAREHOUSE })
    const [record] = (await world.audit()).filter(({ event }) => event === 'session.open')
    expect(record).toMatchObject({
      workload: { issuer: 'spiffe://example.org', sub: 'spiffe://example.org/agent' },
      client_auth: { method: 'private_key_jwt' },
    })
  })

  test('where its trust domain may be outlived, the session lives as long as was asked', async () => {
    await world.close()
    await world.idp.close()
    await started({ session_may_outlive_subject: true })
    const { claims } = await granted(open(svid()))
    expect(claims['exp']).toBe(world.now() + 900)
  })

  test('an access token, for one server', async () => {
    const { claims } = await granted(open(svid(), { requested_token_type: TYPE.access, resource: WAREHOUSE }))
    expect(claims).toMatchObject({ aud: WAREHOUSE, sub: 'agent:orchestrator' })
  })

  const refused: readonly (readonly [string, () => string, RejectionReason])[] = [
    ['of another client’s workload', () => svid('/researcher'), 'subject_token_presenter'],
    ['of nobody’s workload', () => svid('/nobody'), 'workload_unmatched'],
    ['of the trust domain itself', () => svid(''), 'workload_unmatched'],
    [
      '#40 of a domain nobody configured',
      () => svid('/agent', { sub: 'spiffe://x.example/agent' }),
      'workload_unmatched',
    ],
    [
      '#41 of one domain, signed by another',
      () => other.svid('/agent', world.issuer, { sub: domain.id('/agent') }),
      'subject_token_signature',
    ],
    [
      'by a stranger',
      () =>
        sign({
          key: testKey('stranger'),
          header: { kid: 'authority' },
          claims: { sub: domain.id('/agent'), aud: world.issuer, exp: world.now() + 60 },
        }).reveal(),
      'subject_token_signature',
    ],
    [
      '#40 by EdDSA',
      () =>
        sign({
          key: testKey('ed', 'Ed25519'),
          header: { kid: 'authority' },
          claims: { sub: domain.id('/agent'), aud: world.issuer, exp: world.now() + 60 },
        }).reveal(),
      'subject_token_signature',
    ],
    ['#40 of another typ', () => svid('/agent', {}, { typ: 'at+jwt' }), 'subject_token_wrong_type'],
    ['#42 a WIT-SVID', () => svid('/agent', { aud: undefined }, { typ: 'wit+jwt' }), 'subject_token_wrong_type'],
    ['#40 without aud', () => svid('/agent', { aud: undefined }), 'subject_token_audience'],
    [
      '#19 for somebody else, too',
      () => svid('/agent', { aud: [world.issuer, 'https://x.example'] }),
      'subject_token_audience',
    ],
    ['#40 without exp', () => svid('/agent', { exp: undefined }), 'subject_token_claims'],
    ['expired', () => svid('/agent', { iat: world.now() - 400, exp: world.now() - 31 }), 'subject_token_expired'],
    ['of tomorrow', () => svid('/agent', { nbf: world.now() + 3600 }), 'subject_token_not_yet_valid'],
    ['that lives for a day', () => svid('/agent', { exp: world.now() + 86_400 }), 'subject_token_claims'],
    ['with act (#48)', () => svid('/agent', { act: { sub: 'x' } }), 'subject_token_claims'],
    ['bound to a key that nobody proves (#52)', () => svid('/agent', { cnf: { jkt: 'x' } }), 'subject_token_claims'],
    ['that is none', () => svid('/agent', { sub: 'spiffe://Example.org/agent' }), 'subject_token_claims'],
  ]
  test.each(refused)('refused: one %s', async (_, token, reason) => {
    await expectRefused(world, () => open(token()), invalidRequest(reason))
  })

  test('its bundle cannot be read: later', async () => {
    domain.misbehave((_request, response) => response.writeHead(500).end())
    const later = { status: 503, error: 'temporarily_unavailable', reason: 'subject_issuer_unavailable' } as const
    await expectRefused(world, () => open(svid()), later)
  })

  test('#86 one JWT fills one slot, whichever of its signatures it has', async () => {
    const token = svid()
    const twin = withTwinSignature(new Secret(token)).reveal()
    for (const same of [token, twin]) {
      await expectRefused(world, () => open(same, asClient(token)), invalidRequest('subject_token_presenter'))
      const actor = { actor_token: same, actor_token_type: TYPE.jwt }
      await expectRefused(world, () => open(token, actor), invalidRequest('actor_token_unacceptable'))
      const both = { ...actor, ...asClient(token) }
      await expectRefused(world, () => open(svid(), both), invalidRequest('actor_token_unacceptable'))
    }
    await granted(open(svid(), asClient(token)))
  })
})

describe('as actor', () => {
  const acting = (actor_token: string, more: Params = {}) =>
    world.open({ actor_token, actor_token_type: TYPE.jwt, ...more })

  test('it says once more who the client is, as often as it likes', async () => {
    const actor = svid()
    for (const _ of [1, 2]) {
      const { claims } = await granted(acting(actor))
      expect(claims).toMatchObject({ sub: 'user:corp:alice', act: { sub: 'agent:orchestrator' } })
    }
    await granted(acting(actor, asClient(svid('/standby'))))
  })

  test.each<[string, () => string, RejectionReason]>([
    ['another client', () => svid('/researcher'), 'actor_mismatch'],
    ['nobody', () => svid('/nobody'), 'actor_mismatch'],
    [
      'somebody by another domain',
      () => other.svid('/agent', world.issuer, { sub: domain.id('/agent') }),
      'actor_token_unacceptable',
    ],
    ['the client, acting for another (#48)', () => svid('/agent', { act: { sub: 'x' } }), 'actor_token_unacceptable'],
    ['the client, elsewhere', () => svid('/agent', { aud: 'https://x.example' }), 'actor_token_unacceptable'],
    ['the client as a WIT-SVID', () => svid('/agent', {}, { typ: 'wit+jwt' }), 'actor_token_unacceptable'],
  ])('refused: %s', async (_, actor, reason) => {
    await expectRefused(world, () => acting(actor()), invalidRequest(reason))
  })
})

describe('one SVID again and again (#47)', () => {
  const key = holderKey()
  const thief = holderKey('thief')
  const bound = invalidClient('client_assertion_bound')

  test('stays with the key that it was first shown with, whatever it is shown as', async () => {
    const token = svid()
    const { claims } = await granted(ask(token, proving(world, key)))
    expect(claims['cnf']).toEqual({ jkt: jktOf(key) })
    await granted(ask(token, proving(world, key)))
    await expectRefused(world, () => ask(token, proving(world, thief)), bound)
    await expectRefused(world, () => ask(token), bound)
    const subject = () => open(token, {}, proving(world, thief))
    await expectRefused(world, subject, invalidRequest('subject_token_bound'))
    const twin = withTwinSignature(new Secret(token)).reveal()
    await expectRefused(world, () => ask(twin, proving(world, thief)), bound)
    await granted(open(token, {}, proving(world, key)))
  })

  test('shown without a key, it takes none later', async () => {
    const token = svid()
    await granted(ask(token))
    await expectRefused(world, () => ask(token, proving(world, thief)), bound)
    await granted(ask(token))
  })
})

describe('revoked', () => {
  test('with its agent, an SVID issued before opens nothing; one of a minute later does', async () => {
    const old = svid()
    const undated = svid('/agent', { iat: undefined })
    await world.advance(1)
    await kill(world, { dimension: 'agent', agent: 'orchestrator' })
    const refusal = invalidRequest('principal_blocked')
    for (const token of [old, undated]) {
      await expectRefused(world, () => ask(token), refusal)
      await expectRefused(world, () => open(token), refusal)
      await expectRefused(world, () => ask(token, {}, { resource: `${world.issuer}/api` }), refusal)
    }
    await world.advance(62)
    await granted(ask(svid()))
    await expectRefused(world, () => ask(undated), refusal)
  })

  test('a stranger’s SVID is counted, not recorded, and is no client’s failure', async () => {
    const forged = sign({
      key: testKey('stranger'),
      header: { kid: 'authority' },
      claims: { sub: domain.id('/agent'), aud: world.issuer, exp: world.now() + 60 },
    }).reveal()
    await expectRefused(world, () => ask(forged), invalidClient('client_assertion_signature'))
    const grant = () =>
      world.post('/token', { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: svid() })
    const missing = { status: 401, error: 'invalid_client', reason: 'client_authentication_missing' } as const
    await expectRefused(world, grant, toStranger(missing))
  })
})
