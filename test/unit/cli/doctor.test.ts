/** `errand doctor` and the broker give the same verdict, for the same reason: they run the same verification. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawDiagnosis } from '../../../src/cli/doctor/drawing.ts'
import { plainStyles } from '../../../src/cli/terminal.ts'
import { newApiKey } from '../../../src/credentials/client/api-key.ts'
import { newClientSecret } from '../../../src/credentials/client/client-secret.ts'
import { openPractice, type Practice } from '../../support/doctor.ts'
import { publicJwk, sign, testKey, unsigned } from '../../support/keys.ts'
import { type Answer, registryDocument, TYPE, WIKI, type World } from '../../support/world.ts'

type Entry = Record<string, unknown>

let practice: Practice
let world: World
const apiKey = newApiKey()
const secret = newClientSecret()

beforeAll(async () => {
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString()
  const times = { issued_at: at(-60), expires_at: at(3600), version: '1' }
  const own: Readonly<Record<string, Entry>> = {
    orchestrator: {
      api_keys: [
        { ...times, id: 'k-1', sha256: apiKey.fingerprint(), resources: ['wiki'], scopes: ['mcp:tools:read'] },
      ],
      client_secrets: [{ ...times, id: 's-1', sha256: secret.fingerprint() }],
    },
  }
  practice = await openPractice(
    (idp) => ({
      agents: (registryDocument(idp)['agents'] as Entry[]).map((agent) => ({
        ...agent,
        ...own[String(agent['client_id'])],
      })),
    }),
    { apiKeys: true, clientSecretBasic: true },
  )
  world = practice.world
})
afterAll(() => practice.close())

const examined: Practice['examined'] = (...of) => practice.examined(...of)
const verdict: Practice['verdict'] = (answer) => practice.verdict(answer)

const asUser = (token: string) => world.open({ subject_token: token })
const asAccess = (token: string) => world.open({ subject_token: token, subject_token_type: TYPE.access })
const asClient = (token: string) =>
  world.post('/token', {
    grant_type: 'client_credentials',
    resource: WIKI,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: token,
  })
const asKey = (token: string) =>
  world.post(
    '/token',
    { grant_type: 'client_credentials', client_id: 'orchestrator', resource: WIKI },
    { Authorization: `Bearer ${token}` },
  )

describe('the doctor says what the broker says', () => {
  const stranger = () => testKey('stranger-key')
  const now = () => world.now()
  const cases: readonly (readonly [string, () => string, (token: string) => Promise<Answer>, step: string])[] = [
    ['a good ID token', () => world.idToken(), asUser, ''],
    ['an ID token for somebody else', () => world.idToken({ aud: 'another-app' }), asUser, 'meant for'],
    ['an ID token for two', () => world.idToken({ aud: ['orchestrator-at-idp', 'x'] }), asUser, 'meant for'],
    [
      'an ID token issued to another party',
      () => world.idToken({ aud: 'http://127.0.0.1:4400', azp: 'x' }),
      asUser,
      'meant for',
    ],
    ['an expired ID token', () => world.idToken({ exp: now() - 60, iat: now() - 600 }), asUser, 'times'],
    ['an ID token without an end', () => world.idToken({ exp: undefined }), asUser, 'times'],
    ['an ID token with a sign-in of the future', () => world.idToken({ auth_time: now() + 600 }), asUser, 'claims'],
    ['an ID token of the future', () => world.idToken({ nbf: now() + 600 }), asUser, 'times'],
    ['an ID token without sub', () => world.idToken({ sub: undefined }), asUser, 'claims'],
    ['an ID token bound to what is no key', () => world.idToken({ cnf: { jkt: 'x' } }), asUser, 'its key'],
    ['an ID token of a user nobody listed', () => world.idToken({ sub: 'eve' }), asUser, 'who it is'],
    ['an ID token of an inactive user', () => world.idToken({ sub: 'mallory' }), asUser, 'who it is'],
    ['an ID token of an unknown issuer', () => world.idToken({ iss: `${world.idp.url}/` }), asUser, 'issuer'],
    [
      'an ID token with another key’s signature',
      () => sign({ ...world.idp.draft({ sub: 'alice' }), key: { ...stranger(), kid: world.idp.key.kid } }).reveal(),
      asUser,
      'signature',
    ],
    ['an ID token of a key that is not published', () => world.idToken({}, { kid: 'withdrawn' }), asUser, 'key'],
    [
      'an ID token by an algorithm that is not allowed',
      () => sign({ ...world.idp.draft({ sub: 'alice' }), key: testKey('r', 'RS256') }).reveal(),
      asUser,
      'algorithm',
    ],
    ['an unsigned ID token', () => `${unsigned(world.idp.draft({ sub: 'alice' }), 'none').reveal()}AA`, asUser, 'form'],
    ['a good access token', () => world.idpAccessToken(), asAccess, ''],
    ['an access token without scope', () => world.idpAccessToken({ scope: undefined }), asAccess, 'scope, act'],
    [
      'a delegated access token',
      () => world.idpAccessToken({ act: { sub: 'x', iss: 'https://x.example' } }),
      asAccess,
      'scope, act',
    ],
    ['a good client assertion', () => world.assertion('orchestrator'), asClient, ''],
    [
      'an assertion for the token endpoint',
      () => world.assertion('orchestrator', { aud: 'http://127.0.0.1:4400/token' }),
      asClient,
      'audience',
    ],
    [
      'an assertion that lives too long',
      () => world.assertion('orchestrator', { exp: now() + 3600 }),
      asClient,
      'times',
    ],
    ['an assertion without jti', () => world.assertion('orchestrator', { jti: undefined }), asClient, 'claims'],
    ['an assertion about another', () => world.assertion('orchestrator', { sub: 'researcher' }), asClient, 'claims'],
    ['an assertion of another kind', () => world.assertion('orchestrator', {}, { typ: 'at+jwt' }), asClient, 'typ'],
    [
      'an assertion with a key of another client',
      () => world.assertion('orchestrator', {}, { kid: 'researcher-key' }),
      asClient,
      'key',
    ],
    [
      'an assertion of nobody',
      () => world.assertion('orchestratr', { iss: 'orchestratr', sub: 'orchestratr' }),
      asClient,
      'client',
    ],
    ['a good API key', () => apiKey.reveal(), asKey, ''],
    ['another API key', () => newApiKey().reveal(), asKey, 'key'],
    ['a mistyped API key', () => `${apiKey.reveal().slice(0, -1)}!`, asKey, 'form'],
  ]
  test.each(cases)('of %s', async (_what, make, request, step) => {
    const [mine, theirs] = [make(), make()]
    const diagnosis = await examined(mine, mine.startsWith('errand_ak_') ? { as: 'orchestrator' } : {})
    const said = await verdict(await request(theirs))
    expect([diagnosis.refused?.reason ?? 'accepted', diagnosis.refused?.step ?? '']).toEqual([said, step])
    expect(diagnosis.accepted).toBe(said === 'accepted')
  })

  test('and who it would be', async () => {
    expect(await examined(world.idToken())).toMatchObject({ accepted: true, principal: 'user:corp:alice' })
    expect(await examined(world.assertion('orchestrator'))).toMatchObject({ principal: 'agent:orchestrator' })
    expect(await examined(world.assertion('wiki-server'))).toMatchObject({ principal: 'service:wiki-server' })
    expect(await examined(apiKey.reveal())).toMatchObject({ principal: 'agent:orchestrator', kind: 'API key' })
    expect(await examined(secret.reveal())).toMatchObject({ principal: 'agent:orchestrator', kind: 'client secret' })
    const bearer = await examined(world.userToken())
    expect(bearer).toMatchObject({
      accepted: true,
      principal: 'user:corp:alice',
      role: 'as a user at the broker’s own /sessions',
    })
  })
})

describe('tokens of this broker', () => {
  test('are read with its own keys, each as what it is, for the one it was made for', async () => {
    const held = await world.held()
    const api = await world.apiToken()
    expect(await examined(held.session)).toMatchObject({
      accepted: true,
      principal: 'user:corp:alice',
      kind: expect.stringContaining('session token'),
    })
    expect(await examined(held.access)).toMatchObject({ accepted: true, kind: expect.stringContaining('access token') })
    expect(await examined(held.delegation, { as: 'researcher' })).toMatchObject({ accepted: true })
    expect(await examined(api)).toMatchObject({ accepted: true, principal: 'agent:orchestrator' })
    const stolen = await examined(held.session, { as: 'researcher' })
    expect(stolen.refused).toMatchObject({ reason: 'subject_token_presenter', step: 'meant for' })
    const forged = await examined(
      sign({
        key: testKey('x'),
        header: { typ: 'errand-session+jwt' },
        claims: { iss: world.issuer, sub: 'user:corp:alice' },
      }).reveal(),
    )
    expect(forged.refused).toMatchObject({ step: 'key' })
  })
})

describe('advice', () => {
  test('names what the agent expects and where it is set', async () => {
    const { refused } = await examined(world.idToken({ aud: 'another-app' }), { as: 'orchestrator' })
    expect(refused?.advice.join(' ')).toContain('takes tokens for orchestrator-at-idp')
    const none = await examined(world.idToken(), { as: 'scribe' })
    expect(none.refused?.advice.join(' ')).toContain('set upstream: { corp:')
  })

  test('names the nearest issuer, client and agent', async () => {
    const slash = await examined(world.idToken({ iss: `${world.idp.url}/` }))
    expect(slash.refused?.advice.join(' ')).toContain(`Nearest: ${world.idp.url};`)
    const typo = await examined(world.assertion('orchestrator', { iss: 'orchestratr', sub: 'orchestratr' }))
    expect(typo.refused?.advice.join(' ')).toContain('Did you mean orchestrator?')
  })

  test('of what is no token says what it seems to be', async () => {
    const proof = sign({ key: testKey('p'), header: { typ: 'dpop+jwt', jwk: {} }, claims: {} }).reveal()
    const texts: readonly (readonly [string, string])[] = [
      [`Bearer ${world.idToken()}`, 'an Authorization header'],
      [`{"access_token":"x"}`, 'text in quotes or JSON'],
      ['<saml:Assertion/>', 'a SAML assertion'],
      ['-----BEGIN CERTIFICATE-----\nMIIB', 'a certificate or key in PEM'],
      ['aaaa.bbbb.cccc.dddd.eeee', 'an encrypted JWT (JWE)'],
      [proof, 'a DPoP proof'],
      ['aaaa.bbbb.cccc', 'a JWT that this broker does not read'],
      ['2YotnFZFEjr1zCsicMWpAA', 'an opaque token'],
    ]
    for (const [text, kind] of texts) expect(await examined(text)).toMatchObject({ accepted: false, kind })
  })
})

describe('offline', () => {
  test('asks nobody, and says that it did not', async () => {
    const before = world.idp.countRequests()
    const offline = await examined(world.idToken(), { offline: true })
    expect(offline.refused).toMatchObject({ step: 'key', reason: 'subject_issuer_unavailable' })
    expect(offline.refused?.advice.join(' ')).toContain('was not asked: --offline')
    expect(await examined(world.assertion('orchestrator'), { offline: true })).toMatchObject({ accepted: true })
    const given = await examined(world.idToken(), { jwks: JSON.stringify({ keys: [publicJwk(world.idp.key)] }) })
    expect(given).toMatchObject({ accepted: true })
    expect(world.idp.countRequests()).toBe(before)
  })
})

test('no drawing shows a part of the token, nor what it says about a person', async () => {
  const about = { email: 'alice@corp.example', name: 'Alice Liddell', nonce: 'n-0S6_WzA2Mj' }
  for (const token of [
    world.idToken(about),
    world.idToken({ ...about, aud: 'x' }),
    apiKey.reveal(),
    secret.reveal(),
    world.assertion('orchestrator'),
  ]) {
    const diagnosis = await examined(token)
    for (const text of [drawDiagnosis(diagnosis, plainStyles), JSON.stringify(diagnosis)]) {
      for (const part of token.split('.').filter((one) => one.length > 20)) expect(text).not.toContain(part)
      for (const value of Object.values(about)) expect(text).not.toContain(value)
    }
  }
})
