/** DPoP at `/token` (RFC 9449 §4, §5; checklist #52, #66, #72, #87 to #89): what is proven, what is bound, what is refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { holderKey, jktOf, type ProofChange, proof, proving } from '../support/dpop.ts'
import { granted, openAccess } from '../support/hops.ts'
import { privateJwk, unsigned } from '../support/keys.ts'
import { expectRefused, invalidRequest, invalidTarget } from '../support/refusal.ts'
import { type Answer, startWorld, TYPE, WAREHOUSE, WIKI, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const key = holderKey()
const other = holderKey('other')
const BAD_PROOF = { status: 400, error: 'invalid_dpop_proof', reason: 'dpop_proof_invalid' } as const

describe('what a proof binds', () => {
  test('#72 RFC 9449 §5, §6.1 an access token has cnf.jkt and token_type DPoP, and says so to its resource', async () => {
    const { token, claims, body } = await granted(
      world.open({ requested_token_type: TYPE.access, resource: WAREHOUSE }, proving(world, key)),
    )
    expect(claims.cnf).toEqual({ jkt: jktOf(key) })
    expect(body.token_type).toBe('DPoP')
    const { body: seen } = await world.introspect(token)
    expect(seen).toMatchObject({ active: true, cnf: { jkt: jktOf(key) }, token_type: 'DPoP' })
    const [record] = await world.audit(2).then((records) => records.filter(({ event }) => event === 'session.open'))
    expect(record.bound_to).toBe(`jkt:${jktOf(key)}`)
  })

  test('#72 without a proof, and without anything that demands one, it is a bearer token as before', async () => {
    const { token, claims, body } = await granted(openAccess(world))
    expect(claims).not.toHaveProperty('cnf')
    expect(body.token_type).toBe('Bearer')
    expect((await world.introspect(token)).body.token_type).toBe('Bearer')
  })

  test('a session token is bound too, and says N_A: it is no access token (RFC 8693 §2.2.1)', async () => {
    const { claims, body } = await granted(world.open({}, proving(world, key)))
    expect(claims.cnf).toEqual({ jkt: jktOf(key) })
    expect(body.token_type).toBe('N_A')
  })

  test('the API token and autonomous work are bound like any other', async () => {
    const api = await granted(
      world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` }, proving(world, key)),
    )
    const own = await granted(world.clientCredentials('orchestrator', { resource: WIKI }, proving(world, key)))
    for (const { claims, body } of [api, own]) {
      expect([claims.cnf, body.token_type]).toEqual([{ jkt: jktOf(key) }, 'DPoP'])
    }
  })

  test('#91 the bound API token is no bearer token', async () => {
    const params = { resource: `${world.issuer}/api`, scope: 'sessions' }
    const { token } = await granted(world.clientCredentials('orchestrator', params, proving(world, key)))
    const refused = { status: 401, error: 'invalid_token', reason: 'bearer_bound', stranger: true } as const
    await expectRefused(world, () => world.bearer('/sessions', token), refused)
  })

  test.each(['ES256', 'RS256', 'Ed25519'] as const)('a key of %s', async (alg) => {
    const holder = holderKey('kinds', alg)
    const { claims } = await granted(world.open({}, proving(world, holder)))
    expect(claims.cnf).toEqual({ jkt: jktOf(holder) })
  })
})

describe('#66 a bound session goes on with its own key only', () => {
  const open = () => granted(world.open({}, proving(world, key)))

  test('continued by the same key: same chain, same key', async () => {
    const session = await open()
    const access = await granted(world.continue(session.token, {}, 'orchestrator', proving(world, key)))
    expect(access.claims.cnf).toEqual({ jkt: jktOf(key) })
    expect(access.claims.act).toEqual(session.claims.act)
  })

  test('no proof, and the proof of another key: refused, for continuing and for delegating', async () => {
    const { token } = await open()
    const tries: readonly (() => Promise<Answer>)[] = [
      () => world.continue(token),
      () => world.continue(token, {}, 'orchestrator', proving(world, other)),
      () => world.delegate(token),
      () => world.delegate(token, {}, 'orchestrator', proving(world, other)),
    ]
    for (const attempt of tries) await expectRefused(world, attempt, invalidRequest('subject_token_unproven'))
  })

  test('its delegation is accepted with a key of the sub-agent, which the new node is then bound to', async () => {
    const { token } = await open()
    const { token: delegation } = await granted(world.delegate(token, {}, 'orchestrator', proving(world, key)))
    await expectRefused(world, () => world.accept(delegation), invalidRequest('subject_token_unproven'))
    const accepted = await granted(world.accept(delegation, {}, 'researcher', proving(world, other)))
    expect(accepted.claims.cnf).toEqual({ jkt: jktOf(other) })
    await expectRefused(
      world,
      () => world.continue(accepted.token, {}, 'researcher', proving(world, key)),
      invalidRequest('subject_token_unproven'),
    )
    const access = await granted(world.continue(accepted.token, {}, 'researcher', proving(world, other)))
    expect(access.claims.cnf).toEqual({ jkt: jktOf(other) })
  })

  test('a bearer session may be upgraded: an access token with a proof, a delegation that is then bound', async () => {
    const { token } = await granted(world.open())
    const access = await granted(world.continue(token, {}, 'orchestrator', proving(world, key)))
    expect(access.claims.cnf).toEqual({ jkt: jktOf(key) })
    const delegation = await granted(world.delegate(token, {}, 'orchestrator', proving(world, key)))
    await expectRefused(world, () => world.accept(delegation.token), invalidRequest('subject_token_unproven'))
    const bearer = await granted(world.delegate(token))
    const upgraded = await granted(world.accept(bearer.token, {}, 'researcher', proving(world, other)))
    expect(upgraded.claims.cnf).toEqual({ jkt: jktOf(other) })
  })
})

describe('#87, #88 RFC 9449 §4.3 what is no proof', () => {
  const bad: readonly (readonly [string, () => string])[] = [
    ['two headers, as HTTP joins them', () => `${proof(world, key)}, ${proof(world, key)}`],
    ['an empty header', () => ''],
    ['no JWT', () => 'proof'],
    ['too long', () => proof(world, key, { claims: { pad: 'x'.repeat(4096) } })],
    ...(
      [
        ['no typ', { header: { typ: undefined } }],
        ['another typ', { header: { typ: 'JWT' } }],
        ['a symmetric alg', { header: { alg: 'HS256' } }],
        ['an alg that is not its key’s', { header: { alg: 'RS256' } }],
        ['an alg outside the list', { header: { alg: 'ES512' } }],
        ['no jwk', { header: { jwk: undefined } }],
        ['a jwk of another key', { header: { jwk: { ...other.publicKey.export({ format: 'jwk' }) } } }],
        ['a private jwk', { header: { jwk: privateJwk(key) } }],
        ['a symmetric jwk', { header: { jwk: { kty: 'oct', k: 'c2VjcmV0' } } }],
        ['a jwk that is no object', { header: { jwk: 'key' } }],
        ['crit', { header: { crit: ['b64'] } }],
        ['no jti', { claims: { jti: undefined } }],
        ['an empty jti', { claims: { jti: '' } }],
        ['a jti that is a number', { claims: { jti: 7 } }],
        ['a long jti', { claims: { jti: 'x'.repeat(257) } }],
        ['no htm', { claims: { htm: undefined } }],
        ['another method', { claims: { htm: 'GET' } }],
        ['htm in lower case', { claims: { htm: 'post' } }],
        ['no htu', { claims: { htu: undefined } }],
        ['no URL in htu', { claims: { htu: '/token' } }],
        ['a list in htu', { claims: { htu: ['http://127.0.0.1:4400/token'] } }],
        ['another endpoint', { claims: { htu: 'http://127.0.0.1:4400/introspect' } }],
        ['another host', { claims: { htu: 'https://attacker.example/token' } }],
        ['a user in htu', { claims: { htu: 'http://mallory@127.0.0.1:4400/token' } }],
        ['no iat', { claims: { iat: undefined } }],
        ['a text in iat', { claims: { iat: '1' } }],
        ['a fraction in iat', { claims: { iat: 1.5 } }],
        ['a nonce that is no text', { claims: { nonce: 7 } }],
      ] as readonly (readonly [string, ProofChange])[]
    ).map(([what, change]) => [what, () => proof(world, key, change)] as const),
    ['too old', () => proof(world, key, { claims: { iat: world.now() - 91 } })],
    ['from the future', () => proof(world, key, { claims: { iat: world.now() + 31 } })],
    ['unsigned', () => unsigned({ key, header: { typ: 'dpop+jwt' }, claims: {} }).reveal()],
    ['a spoilt signature', () => proof(world, key).slice(0, -8).concat('AAAAAAAA')],
  ]

  test.each(bad)('%s', async (_what, made) => {
    await expectRefused(world, () => world.open({}, { DPoP: made() }), BAD_PROOF)
  })

  test('query and fragment of htu do not count, nor how its host and path are spelled', async () => {
    for (const htu of ['?a=b', '#c', '?a=b#c'].map((rest) => `${world.issuer}/token${rest}`)) {
      await granted(world.open({}, proving(world, key, { claims: { htu } })))
    }
    const spelled = `${world.issuer.replace('http://', 'HTTP://')}/x/../token`
    await granted(world.open({}, proving(world, key, { claims: { htu: spelled } })))
  })

  test('its URL is the configured one, whatever Host the request names', async () => {
    const htu = 'https://attacker.example/token'
    const headers = { Host: 'attacker.example', ...proving(world, key, { claims: { htu } }) }
    await expectRefused(world, () => world.open({}, headers), BAD_PROOF)
  })

  test('within the tolerated difference of clocks it is good', async () => {
    for (const iat of [world.now() - 89, world.now() + 29]) {
      await granted(world.open({}, proving(world, key, { claims: { iat } })))
    }
  })
})

describe('#89 RFC 9449 §11.1 one proof, one request', () => {
  test('the same again, and another with the same jti by the same key: refused', async () => {
    const headers = proving(world, key, { claims: { jti: 'once' } })
    await granted(world.open({}, headers))
    const replayed = { ...BAD_PROOF, reason: 'dpop_proof_replayed' } as const
    await expectRefused(world, () => world.open({}, headers), replayed)
    await expectRefused(world, () => world.open({}, proving(world, key, { claims: { jti: 'once' } })), replayed)
  })

  test('nobody uses up the jti of another key', async () => {
    await granted(world.open({}, proving(world, key, { claims: { jti: 'shared' } })))
    await granted(world.open({}, proving(world, other, { claims: { jti: 'shared' } })))
  })

  test('a proof is used up by a refusal too', async () => {
    const headers = proving(world, key)
    const unknown = { requested_token_type: TYPE.access, resource: 'https://unknown.example' }
    await expectRefused(world, () => world.open(unknown, headers), invalidTarget('resource_unknown'))
    await expectRefused(world, () => world.open({}, headers), { ...BAD_PROOF, reason: 'dpop_proof_replayed' })
  })
})

describe('a resource that demands it', () => {
  let strict: World
  beforeAll(async () => {
    const { registryDocument } = await import('../support/world.ts')
    const resources = registryDocument(world.idp)['resources'] as Record<string, unknown>[]
    const bound = resources.map((entry) => ({ ...entry, sender_constraint: 'required' }))
    strict = await startWorld({ issuer: world.idp, registry: { resources: bound } })
  })
  afterAll(() => strict.close())

  test('#87 zero proofs where one is required: refused, with what to do; with one, granted', async () => {
    const { answer } = await expectRefused(
      strict,
      () => openAccess(strict),
      invalidRequest('sender_constraint_required'),
    )
    expect(answer.body.missing.join()).toContain('DPoP')
    const { body } = await granted(
      strict.open({ requested_token_type: TYPE.access, resource: WAREHOUSE }, proving(strict, key)),
    )
    expect(body.token_type).toBe('DPoP')
  })

  test('a bearer session may be opened for it, and continued with a proof only', async () => {
    const { token } = await granted(strict.open())
    await expectRefused(strict, () => strict.continue(token), invalidRequest('sender_constraint_required'))
    await granted(strict.continue(token, {}, 'orchestrator', proving(strict, key)))
  })
})
