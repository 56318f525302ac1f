/** Opaque access tokens of users, by their provider's word (RFC 7662; standards.md §8, section D 36–39). */
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { decodeJwt } from '../../src/jose/decode-jws.ts'
import { INTROSPECTION_BYTES_MAX } from '../../src/kernel/outbound-limits.ts'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { type Answer, answerJson, startIssuer, type TestIssuer } from '../support/issuer.ts'
import { privateJwk, publicJwk, testKey } from '../support/keys.ts'
import { expectRefused, invalidRequest, toStranger } from '../support/refusal.ts'
import { type Params, registryDocument, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

const OPAQUE = 'opaque~token/of+alice=='
let world: World
let directory: string
let corp: TestIssuer
let partner: TestIssuer
/** What the provider answers about a token, and what it was sent. */
let answer: Answer
let asked: {
  readonly url: string | undefined
  readonly form: URLSearchParams
  readonly authorization: string | undefined
}[]
let partnerAsked = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'errand-opaque-'))
  writeFileSync(join(directory, 'secret'), 's3cret&of:errand\n', { mode: 0o600 })
  writeFileSync(join(directory, 'key'), JSON.stringify({ ...privateJwk(testKey('errand-at-partner')), alg: 'ES256' }), {
    mode: 0o600,
  })
  corp = await startIssuer({ slug: 'corp' })
  partner = await startIssuer({ slug: 'partner' })
  serve()
  world = await startWorld({ issuer: corp, registry: registry() })
})
afterAll(async () => {
  await world.close()
  await Promise.all([corp.close(), partner.close(), rm(directory, { recursive: true })])
})
beforeEach(() => {
  asked = []
  partnerAsked = 0
  says()
})

function serve(): void {
  corp.misbehave((request, response) => {
    if (request.url === '/.well-known/openid-configuration') {
      const introspection_endpoint = `${corp.url}/introspection`
      return answerJson(response, { issuer: corp.url, jwks_uri: `${corp.url}/jwks`, introspection_endpoint })
    }
    if (request.url === '/jwks') return answerJson(response, { keys: [publicJwk(corp.key)] })
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const { authorization } = request.headers
      asked.push({ url: request.url, form: new URLSearchParams(body), authorization })
      answer(request, response)
    })
  })
  partner.misbehave((request, response) => {
    partnerAsked += 1
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      asked.push({ url: request.url, form: new URLSearchParams(body), authorization: request.headers.authorization })
      answerJson(response, { active: false })
    })
  })
}

// biome-ignore lint/suspicious/noExplicitAny: a registry document of many shapes
function registry(): any {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const document = registryDocument(corp) as any
  const introspection = { client_id: 'errand', client_secret_file: join(directory, 'secret') }
  const [{ jwks_uri: _found, algorithms: _as, ...entry }] = document.issuers
  const second = {
    issuer: partner.url,
    slug: 'partner',
    accepts: { access_token: 'identity_only' },
    introspection: {
      client_id: 'errand-there',
      private_key_file: join(directory, 'key'),
      endpoint: `${partner.url}/ask`,
    },
  }
  const agents = document.agents.map((agent: { client_id: string; upstream?: object }) =>
    agent.client_id === 'researcher'
      ? { ...agent, upstream: { ...agent.upstream, partner: 'researcher-at-partner' } }
      : agent,
  )
  return { ...document, agents, issuers: [{ ...entry, introspection }, second] }
}

function about(claims: Record<string, unknown> = {}): Record<string, unknown> {
  const now = world.now()
  return {
    active: true,
    token_type: 'Bearer',
    iss: corp.url,
    sub: 'alice',
    client_id: 'orchestrator-at-idp',
    scope: 'mcp:tools:read',
    iat: now - 5,
    exp: now + 3600,
    auth_time: now - 10,
    ...claims,
  }
}
function says(claims: Record<string, unknown> = {}): void {
  answer = (_request, response) => answerJson(response, about(claims))
}

const present = (more: Params = {}) => world.open({ subject_token: OPAQUE, subject_token_type: TYPE.access, ...more })
const refused = (reason: RejectionReason, more: Params = {}) =>
  expectRefused(world, () => present(more), invalidRequest(reason))

describe('an opaque access token', () => {
  test('opens a session for its user once its provider calls it active, with its scope as a ceiling', async () => {
    const opened = await present({ requested_token_type: undefined, resource: WAREHOUSE })
    expect(opened.status, JSON.stringify(opened.body)).toBe(200)
    expect(opened.body.scope).toBe('mcp:tools:read')
    expect(asked).toHaveLength(1)
    const [{ url, form, authorization } = { form: new URLSearchParams() }] = asked
    expect(url).toBe('/introspection')
    expect(Object.fromEntries(form)).toEqual({ token: OPAQUE, token_type_hint: 'access_token' })
    const basic = Buffer.from('errand:s3cret%26of%3Aerrand').toString('base64')
    expect(authorization).toBe(`Basic ${basic}`)
    expect(partnerAsked).toBe(0)
  })

  test('is asked about each time: what was active a moment ago is refused once it is revoked', async () => {
    expect((await present()).status).toBe(200)
    answer = (_request, response) => answerJson(response, { active: false })
    await refused('subject_token_inactive')
    expect(asked).toHaveLength(2)
  })

  test.each([
    ['no word whether it is active', { active: undefined }, undefined],
    ['the word "true"', { active: 'true' }, undefined],
    ['the number one', { active: 1 }, undefined],
    ['no life', { exp: undefined }, 'subject_token_claims'],
    ['a life that is over', { exp: 1_000 }, 'subject_token_expired'],
    ['no time of issue', { iat: undefined }, 'subject_token_claims'],
    ['a beginning to come', { nbf: 4_000_000_000 }, 'subject_token_not_yet_valid'],
    ['no kind (it may be a refresh token)', { token_type: undefined }, 'subject_token_wrong_type'],
    ['another kind', { token_type: 'N_A' }, 'subject_token_wrong_type'],
    ['the kind of a refresh token (Keycloak)', { typ: 'Refresh' }, 'subject_token_wrong_type'],
    ['the use of a refresh token (Hydra)', { token_use: 'refresh_token' }, 'subject_token_wrong_type'],
    ['DPoP, without a key', { token_type: 'DPoP' }, 'subject_token_wrong_type'],
    ['a key that nobody proves', { token_type: 'DPoP', cnf: { jkt: 'A'.repeat(43) } }, 'subject_token_unproven'],
    ['a key of an unknown kind', { cnf: { kid: 'x' } }, 'subject_token_claims'],
    ['another issuer', { iss: 'https://other.example' }, 'subject_issuer_unknown'],
    ['another client', { client_id: 'someone-else' }, 'subject_token_audience'],
    ['neither client nor audience', { client_id: undefined }, 'subject_token_audience'],
    ['another audience', { aud: 'https://other.example' }, 'subject_token_audience'],
    ['one audience too many', { aud: ['orchestrator-at-idp', 'other'] }, 'subject_token_audience'],
    ['a client as its subject', { sub: 'orchestrator-at-idp' }, 'subject_token_claims'],
    ['no subject', { sub: undefined }, 'subject_token_claims'],
    ['no scope', { scope: undefined }, 'subject_token_claims'],
    ['an actor', { act: { sub: 'x' } }, 'foreign_actor_not_accepted'],
    ['another actor expected', { may_act: { sub: 'x' } }, 'may_act_mismatch'],
    ['a user nobody has listed', { sub: 'zoe' }, 'user_not_listed'],
    ['a user who is not active', { sub: 'mallory' }, 'user_inactive'],
  ] satisfies [
    string,
    Record<string, unknown>,
    RejectionReason | undefined,
  ][])('is refused when its provider says %s', async (_what, claims, reason) => {
    says(claims)
    if (reason !== undefined) return void (await refused(reason))
    const unavailable = { status: 503, error: 'temporarily_unavailable', reason: 'subject_issuer_unavailable' } as const
    await expectRefused(world, present, unavailable)
  })

  test('is for the broker where its audience says so, and then only from the client it was issued to', async () => {
    says({ aud: world.issuer })
    expect((await present()).status).toBe(200)
    says({ aud: world.issuer, client_id: 'someone-else' })
    await refused('subject_token_presenter')
  })

  test('never has more than its scope: what it does not open is refused', async () => {
    says({ scope: 'openid profile' })
    const refusal = { status: 400, error: 'invalid_scope', reason: 'nothing_granted' } as const
    await expectRefused(world, present, refusal)
  })

  test.each([
    ['answers 401 (our own credential is wrong)', (_request, response) => response.writeHead(401).end()],
    ['answers 500', (_request, response) => response.writeHead(500).end('{"active":true}')],
    ['redirects', (_request, response) => response.writeHead(307, { location: `${corp.url}/jwks` }).end()],
    [
      'answers too many bytes',
      (_request, response) => answerJson(response, { active: true, pad: 'x'.repeat(INTROSPECTION_BYTES_MAX) }),
    ],
    ['answers HTML', (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')],
    ['answers a list', (_request, response) => answerJson(response, [{ active: true }])],
    [
      'says everything twice',
      (_request, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"active":false,"active":true}'),
    ],
    ['breaks off', (request) => request.socket.destroy()],
  ] satisfies [string, Answer][])('is refused for now when its provider %s', async (_what, misbehaviour) => {
    answer = misbehaviour
    const unavailable = { status: 503, error: 'temporarily_unavailable', reason: 'subject_issuer_unavailable' } as const
    await expectRefused(world, present, unavailable)
    expect(asked).toHaveLength(1)
  })

  test('of a shape that no bearer token has is refused unseen', async () => {
    for (const token of ['two words', 'é', '{"a":1}', '<saml>', 'a=b', `${'a'.repeat(20_000)}`]) {
      const stranger = { ...invalidRequest('token_malformed'), stranger: true }
      await expectRefused(world, () => present({ subject_token: token }), stranger)
    }
    expect(asked).toEqual([])
  })

  test('that only a lenient reader takes for a JWT is none: nobody is asked about ours or anybody’s, written otherwise', async () => {
    const { session, access } = await world.held()
    const [header = '', claims = ''] = world.idpAccessToken().split('.')
    const written = [session, access, world.idpAccessToken()].flatMap((jwt) => [`${jwt}=`, `${jwt}==`])
    for (const subject_token of [
      ...written,
      `${header}.${claims}.`,
      `${header}=.${claims}.AAAA`,
      `${header}.a+b.c/d`,
    ]) {
      await expectRefused(world, () => present({ subject_token }), toStranger(invalidRequest('token_malformed')))
    }
    expect(asked).toEqual([])
  })

  test('with the shape of a JWT is one: nobody is asked about it when its signature is wrong', async () => {
    const forged = `${world.idpAccessToken().split('.').slice(0, 2).join('.')}.${'A'.repeat(86)}`
    await refused('subject_token_signature', { subject_token: forged, subject_issuer: corp.url })
    await refused('token_malformed', { subject_token: 'ya29.opaque.token', subject_issuer: corp.url })
    expect(asked).toEqual([])
  })

  test('is no ID token', async () => {
    const stranger = { ...invalidRequest('token_malformed'), stranger: true }
    await expectRefused(world, () => present({ subject_token_type: TYPE.id }), stranger)
  })
})

describe('whose an opaque token is', () => {
  const asResearcher = (more: Params = {}) =>
    world.exchange('researcher', {
      subject_token: OPAQUE,
      subject_token_type: TYPE.access,
      requested_token_type: TYPE.session,
      ...more,
    })

  test('is said by subject_issuer where the agent has several providers, and nobody is asked where it is not', async () => {
    await expectRefused(world, () => asResearcher(), invalidRequest('parameter_missing'))
    expect(asked).toEqual([])
  })

  test('is not asked of a second provider, whatever the first says', async () => {
    await expectRefused(
      world,
      () => asResearcher({ subject_issuer: partner.url }),
      invalidRequest('subject_token_inactive'),
    )
    expect([asked.length, partnerAsked]).toEqual([1, 1])
    const [{ url, form, authorization } = { form: new URLSearchParams() }] = asked
    expect([url, authorization, form.get('client_id')]).toEqual(['/ask', undefined, 'errand-there'])
    const { header, claims } = decodeJwt(new Secret(form.get('client_assertion') ?? ''))
    expect(header).toMatchObject({ alg: 'ES256', kid: 'errand-at-partner', typ: 'client-authentication+jwt' })
    expect(claims).toMatchObject({ iss: 'errand-there', sub: 'errand-there', aud: partner.url })
    expect((claims['exp'] as number) - (claims['iat'] as number)).toBe(60)
  })

  test('cannot be a provider at which the agent has no client id, nor one that is not asked about tokens', async () => {
    for (const subject_issuer of [partner.url, 'https://unknown.example', `${corp.url}/`]) {
      await refused('subject_issuer_unknown', { subject_issuer })
    }
    expect(asked).toEqual([])
  })

  test('is checked of a JWT as well: another issuer than the one named is refused', async () => {
    const jwt = { subject_token: world.idToken(), subject_token_type: TYPE.id }
    expect((await world.open({ ...jwt, subject_issuer: corp.url })).status).toBe(200)
    await refused('subject_issuer_mismatch', { ...jwt, subject_issuer: partner.url })
    const stranger = { ...invalidRequest('parameter_malformed'), stranger: true }
    await expectRefused(world, () => present({ subject_issuer: 'x'.repeat(1_000) }), stranger)
  })
})

describe('SAML (RFC 7522, RFC 8693 §3)', () => {
  const SAML = 'urn:ietf:params:oauth:token-type:saml2'
  const refusal = { ...invalidRequest('saml_unsupported'), stranger: true }

  test.each([
    'subject_token_type',
    'actor_token_type',
    'requested_token_type',
  ])('as %s is refused by name, with what to use instead', async (name) => {
    for (const type of [SAML, 'urn:ietf:params:oauth:token-type:saml1']) {
      const { answer: refused } = await expectRefused(
        world,
        () => world.open({ subject_token: 'PHNhbWw+', [name]: type }),
        refusal,
      )
      expect(refused.body.error_description).toMatch(/token-type:id_token/)
    }
  })

  test('as a grant is unsupported, with what to use instead', async () => {
    const grant = {
      status: 400,
      error: 'unsupported_grant_type',
      reason: 'grant_type_unsupported',
      stranger: true,
    } as const
    const request = () =>
      world.post('/token', { grant_type: 'urn:ietf:params:oauth:grant-type:saml2-bearer', assertion: 'PHNhbWw+' })
    const { answer: refused } = await expectRefused(world, request, grant)
    expect(refused.body.error_description).toMatch(/token-exchange/)
  })
})
