/**
 * Tokens that are bound to a key, presented (RFC 9449 §7, checklist #52 and #91): an issuer's as subject at `/token`, ours and
 * a user's at the sessions API.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { athOf, holderKey, jktOf, type ProofChange, proof, proving } from '../support/dpop.ts'
import { granted } from '../support/hops.ts'
import type { TestKey } from '../support/keys.ts'
import { expectRefused, invalidRequest, type Refusal } from '../support/refusal.ts'
import { type Answer, startWorld, WAREHOUSE, type World } from '../support/world.ts'
import { failing } from '../unit/sessions/faults.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const key = holderKey()
const other = holderKey('other')

describe('#52 an issuer’s token that is bound to a key', () => {
  const bound = (claims: object = {}) => ({ subject_token: world.idToken({ cnf: { jkt: jktOf(key) }, ...claims }) })

  test('is taken with the proof of that key, and what it opens is bound to it', async () => {
    const { token, claims } = await granted(world.open(bound(), proving(world, key)))
    expect(claims.cnf).toEqual({ jkt: jktOf(key) })
    await expectRefused(world, () => world.continue(token), invalidRequest('subject_token_unproven'))
  })

  test('without it, or with the proof of another: refused', async () => {
    const unproven = invalidRequest('subject_token_unproven')
    const { answer } = await expectRefused(world, () => world.open(bound()), unproven)
    expect(answer.body.missing.join()).toContain('DPoP proof')
    await expectRefused(world, () => world.open(bound(), proving(world, other)), unproven)
  })

  test('bound to a certificate: a DPoP proof does not do', async () => {
    const cnf = { 'x5t#S256': jktOf(key) }
    const attempt = () => world.open(bound({ cnf }), proving(world, key))
    await expectRefused(world, attempt, invalidRequest('subject_token_unproven'))
  })

  test.each([
    ['an empty cnf', {}],
    ['no object', 'key'],
    ['null', null],
    ['a key in place of its thumbprint', { jwk: {} }],
    ['a kid', { kid: 'key-1' }],
    ['two keys', { jkt: 'A'.repeat(43), 'x5t#S256': 'A'.repeat(43) }],
    ['a short thumbprint', { jkt: 'QUJD' }],
    ['a thumbprint in another spelling', { jkt: `${'A'.repeat(42)}B` }],
  ])('%s: refused, with or without a proof', async (_what, cnf) => {
    for (const headers of [{}, proving(world, key)]) {
      await expectRefused(world, () => world.open(bound({ cnf }), headers), invalidRequest('subject_token_claims'))
    }
  })
})

describe('#91 a bound token at an endpoint of the broker', () => {
  let sid: string
  let token: string
  beforeAll(async () => {
    sid = (await world.opened()).sid
    const params = { resource: `${world.issuer}/api`, scope: 'sessions' }
    token = (await granted(world.clientCredentials('orchestrator', params, proving(world, key)))).token
  })

  const send = (authorization: string, dpop?: string, path = '/sessions', method = 'GET'): Promise<Answer> =>
    world.request(path, {
      method,
      headers: { Authorization: authorization, ...(dpop === undefined ? {} : { DPoP: dpop }) },
    })
  const proofFor = (text: string, change: ProofChange = {}, by: TestKey = key): string => {
    const claims = { htm: 'GET', htu: `${world.issuer}/sessions`, ath: athOf(text), ...change.claims }
    return proof(world, by, { ...change, claims })
  }
  const refusal = (reason: RejectionReason, error: Refusal['error'] = 'invalid_dpop_proof'): Refusal => ({
    status: 401,
    error,
    reason,
    stranger: true,
  })

  test('is taken with the scheme DPoP and a proof that names it', async () => {
    for (const scheme of ['DPoP', 'dpop']) {
      const { status, body } = await send(`${scheme} ${token}`, proofFor(token))
      expect([status, body.sessions.length > 0], JSON.stringify(body)).toEqual([200, true])
    }
    const claims = { htm: 'DELETE', htu: `${world.issuer}/sessions/${sid}` }
    const ended = await send(`DPoP ${token}`, proofFor(token, { claims }), `/sessions/${sid}`, 'DELETE')
    expect(ended.status, JSON.stringify(ended.body)).toBe(200)
  })

  test('a store that takes no claims keeps nobody from ending what they hold, nor shows them anything', async () => {
    const { sid } = await world.opened()
    const fault = failing(world.broker.store.claims, 'claim')
    try {
      const claims = { htm: 'DELETE', htu: `${world.issuer}/sessions/${sid}` }
      expect((await send(`DPoP ${token}`, proofFor(token))).status).toBe(503)
      expect((await send(`DPoP ${token}`, undefined, `/sessions/${sid}`, 'DELETE')).status).toBe(401)
      const ended = await send(`DPoP ${token}`, proofFor(token, { claims }), `/sessions/${sid}`, 'DELETE')
      expect([ended.status, ended.body.revoked.hops.length]).toEqual([200, 1])
    } finally {
      fault.heal()
    }
  })

  test('RFC 9449 §7.2 as a bearer token it is refused, even with a good proof, and told how it is sent', async () => {
    for (const dpop of [undefined, proofFor(token)]) {
      const attempt = () => send(`Bearer ${token}`, dpop)
      const { answer } = await expectRefused(world, attempt, refusal('bearer_bound', 'invalid_token'))
      expect(answer.headers.get('www-authenticate')).toMatch(/^DPoP .*algs="ES256 .*error="invalid_token"/)
    }
  })

  test('without a proof, or with the proof of another key: refused', async () => {
    await expectRefused(world, () => send(`DPoP ${token}`), refusal('bearer_bound', 'invalid_token'))
    const stolen = proofFor(token, {}, other)
    await expectRefused(world, () => send(`DPoP ${token}`, stolen), refusal('bearer_bound', 'invalid_token'))
  })

  test.each([
    ['no ath', { ath: undefined }],
    ['the ath of another token', { ath: athOf('another') }],
    ['another method', { htm: 'DELETE' }],
    ['another endpoint', { htu: 'http://127.0.0.1:4400/token' }],
    ['a session’s own path', { htu: 'http://127.0.0.1:4400/sessions/ses_x' }],
  ])('a proof with %s: 401 invalid_dpop_proof', async (_what, claims) => {
    const attempt = () => send(`DPoP ${token}`, proofFor(token, { claims }))
    const { answer } = await expectRefused(world, attempt, refusal('dpop_proof_invalid'))
    expect(answer.headers.get('www-authenticate')).toMatch(/^DPoP .*error="invalid_dpop_proof"/)
  })

  test('a proof is good once', async () => {
    const dpop = proofFor(token)
    expect((await send(`DPoP ${token}`, dpop)).status).toBe(200)
    await expectRefused(world, () => send(`DPoP ${token}`, dpop), refusal('dpop_proof_replayed'))
  })

  test('RFC 9449 §7.1 an unbound token is a bearer token, and nothing else', async () => {
    const unbound = await world.apiToken()
    const attempt = () => send(`DPoP ${unbound}`, proofFor(unbound))
    await expectRefused(world, attempt, refusal('bearer_invalid', 'invalid_token'))
    expect((await send(`Bearer ${unbound}`, proofFor(unbound))).status).toBe(200)
  })

  test('a user’s own token that is bound is asked for its proof as well', async () => {
    const users = world.userToken('alice', { cnf: { jkt: jktOf(key) } })
    await expectRefused(world, () => send(`Bearer ${users}`), refusal('bearer_bound', 'invalid_token'))
    expect((await send(`DPoP ${users}`, proofFor(users))).status).toBe(200)
  })

  test('the admin API takes bearer tokens only, and no bound token is one', async () => {
    const htu = `${world.issuer}/admin/v1/sessions`
    const attempt = () => send(`DPoP ${token}`, proofFor(token, { claims: { htu } }), '/admin/v1/sessions')
    await expectRefused(world, attempt, refusal('bearer_invalid', 'invalid_token'))
  })

  test('revoking asks for no proof: ending is the safe direction, and it is the client that is asked who it is', async () => {
    const session = await granted(world.open({}, proving(world, key)))
    const access = await granted(
      world.continue(session.token, { resource: WAREHOUSE }, 'orchestrator', proving(world, key)),
    )
    expect((await world.revoke(session.token)).status).toBe(200)
    expect((await world.introspect(access.token)).body).toEqual({ active: false })
  })
})
