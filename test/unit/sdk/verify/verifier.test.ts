import { beforeEach, describe, expect, test } from 'vitest'
import { decodeJwt } from '../../../../src/jose/decode-jws.ts'
import { signJwt } from '../../../../src/jose/sign-jwt.ts'
import { Secret } from '../../../../src/kernel/secret.ts'
import { currentActor, TokenRefused } from '../../../../src/sdk/verify/verified-token.ts'
import { createVerifier, type Verifier } from '../../../../src/sdk/verify/verifier.ts'
import { claims, Door, ISSUER, ManualClock, NOW_S, newKey, RESOURCE, token } from './issuing.ts'

const key = newKey('k1')
const serviceKey = newKey('s1')
let door: Door
let clock: ManualClock
let verifier: Verifier

function verifierWithIntrospection(signedAnswers = false): Verifier {
  const sign = (assertion: Readonly<Record<string, unknown>>) =>
    signJwt(serviceKey, 'client-authentication+jwt', assertion)
  const introspection = { clientId: 'warehouse-server', sign, signedAnswers }
  return createVerifier({ issuer: ISSUER, resource: RESOURCE, door: door.open, clock, introspection })
}

beforeEach(() => {
  door = new Door([key])
  clock = new ManualClock()
  verifier = createVerifier({ issuer: ISSUER, resource: RESOURCE, door: door.open, clock })
})

async function refusal(text: string, by: Verifier = verifier): Promise<TokenRefused> {
  const outcome = await by.verify(text).then(
    () => new Error('the token was believed'),
    (error: unknown) => error,
  )
  if (outcome instanceof TokenRefused) return outcome
  throw outcome
}

describe('a good token', () => {
  test('is told as who acts for whom, with which tools, until when', async () => {
    const verified = await verifier.verify(await token(key))
    expect(verified).toMatchObject({
      subject: 'user:corp:alice',
      clientId: 'report-writer',
      scopes: ['mcp:tools:read'],
      actors: ['agent:report-writer', 'agent:orchestrator'],
      expiresAt: NOW_S + 300,
      jti: 'jti_1',
      session: 'ses_1',
      limits: {},
    })
    expect([...verified.tools.keys()]).toEqual(['query'])
    expect(verified.claims['sid']).toBe('ses_1')
  })

  test('of an agent that works for itself has no actors, and no user', async () => {
    const text = await token(key, { sub: 'agent:night-job', client_id: 'night-job', act: undefined })
    const verified = await verifier.verify(text)
    expect(verified).toMatchObject({ actors: [] })
    expect(verified.user).toBeUndefined()
    expect(currentActor(verified)).toBe('agent:night-job')
  })

  test('tells the user, who acts now, and what the session is for', async () => {
    const origin = { type: 'user_request', ref: 'msg-7731', asserted_by: 'agent:orchestrator' }
    const verified = await verifier.verify(await token(key, { intent: 'hash', env: 'production', origin }))
    expect(verified.user).toBe('user:corp:alice')
    expect(currentActor(verified)).toBe('agent:report-writer')
    expect(verified.intent).toEqual({
      hash: 'hash',
      environment: 'production',
      origin: { type: 'user_request', ref: 'msg-7731', assertedBy: 'agent:orchestrator' },
    })
  })

  test.each([
    ['an intent that is no text', { intent: { purpose: 'x' } }],
    ['an origin that is no object', { intent: 'hash', origin: 'user_request' }],
    ['an origin without a type', { intent: 'hash', origin: {} }],
    ['an environment without a name', { intent: 'hash', env: '' }],
  ])('is none with %s', async (_title, changes) => {
    await expect(verifier.verify(await token(key, changes))).rejects.toMatchObject({ kind: 'invalid' })
  })

  test('of a server that calls on has that service as its newest actor', async () => {
    const act = { iss: ISSUER, sub: 'service:report-writer', sub_profile: 'service' }
    expect((await verifier.verify(await token(key, { act }))).actors).toEqual(['service:report-writer'])
  })

  test('without details opens no tool', async () => {
    const verified = await verifier.verify(await token(key, { authorization_details: undefined }))
    expect(verified.tools.size).toBe(0)
  })
})

describe('RFC 9068 §4 a token is refused when', () => {
  const wrong: [string, Record<string, unknown>, string][] = [
    ['it was made for another resource', { aud: 'https://slack.example/mcp' }, 'made for another resource'],
    ['it names a second audience', { aud: [RESOURCE, 'https://slack.example/mcp'] }, 'made for another resource'],
    ['its audience differs by a slash', { aud: `${RESOURCE}/` }, 'made for another resource'],
    ['another issuer issued it', { iss: 'https://evil.example' }, 'of another issuer'],
    ['it has expired', { iat: NOW_S - 400, exp: NOW_S - 100 }, 'has expired'],
    ['it comes from the future', { iat: NOW_S + 400, exp: NOW_S + 500 }, 'not valid yet'],
    ['it has no expiry', { exp: undefined }, 'not valid'],
    ['it lives longer than any access token does', { exp: NOW_S + 3600 }, 'not valid'],
    ['it is in no session', { sid: undefined }, 'not valid'],
    ['its session is not text', { sid: 7 }, 'not valid'],
    ['it has no id', { jti: undefined }, 'not valid'],
    ['it has no scope', { scope: undefined }, 'not valid'],
    ['its scope is a list', { scope: ['mcp:tools:read'] }, 'not valid'],
    ['its newest actor is not its client', { client_id: 'somebody-else' }, 'newest actor'],
    ['its client claims a user’s name', { sub: 'user:report-writer', act: undefined }, 'newest actor'],
    ['its actor chain is malformed', { act: { sub: 'agent:report-writer' } }, 'not valid'],
    ['its actor chain is null', { act: null }, 'not valid'],
    ['it is bound to a key (RFC 9449 §6)', { cnf: { jkt: 'x' } }, 'bound to a key'],
    ['its details are of an unknown type', { authorization_details: [{ type: 'everything' }] }, 'not valid'],
    ['its details are null', { authorization_details: null }, 'not valid'],
    [
      'its details are for another resource',
      {
        authorization_details: [{ type: 'mcp_tools', locations: ['https://slack.example/mcp'], tools: { query: {} } }],
      },
      'not for this resource alone',
    ],
    [
      'its details carry a constraint nobody knows',
      {
        authorization_details: [
          { type: 'mcp_tools', locations: [RESOURCE], tools: { query: { table: { pattern: '.*' } } } },
        ],
      },
      'not valid',
    ],
  ]
  test.each(wrong)('%s', async (_title, changes, phrase) => {
    const refused = await refusal(await token(key, changes))
    expect(refused.kind).toBe('invalid')
    expect(refused.message).toContain(phrase)
  })

  test.each(['errand-session+jwt', 'errand-delegation+jwt', 'JWT'])('its typ is %s', async (typ) => {
    expect((await refusal(await token(key, {}, typ))).message).toBe('the token is not an access token')
  })

  test('another key signed it under a known kid', async () => {
    const forged = await token(newKey('k1'))
    expect((await refusal(forged)).kind).toBe('invalid')
  })

  test('its algorithm is not the configured one', async () => {
    const only = createVerifier({ issuer: ISSUER, resource: RESOURCE, algorithms: ['RS256'], door: door.open, clock })
    expect((await refusal(await token(key), only)).kind).toBe('invalid')
  })

  test.each(['', 'a', 'a.b.c', 'ey.ey.', `${'a'.repeat(20_000)}.b.c`])('it is not a token: %#', async (text) => {
    expect(await refusal(text)).toMatchObject({ kind: 'invalid', message: 'the token is not valid' })
  })

  test('and the refusal never repeats it', async () => {
    const text = await token(key, { aud: 'https://slack.example/mcp' })
    const refused = await refusal(text)
    expect(`${refused.message} ${String(refused.cause)}`).not.toContain(text.slice(0, 20))
  })
})

describe('live introspection (RFC 7662)', () => {
  test('asks with a fresh assertion for the issuer alone, and the token', async () => {
    const live = verifierWithIntrospection()
    const text = await token(key)
    await live.verify(text)
    await live.verify(text)
    const forms = door.asked.flatMap(({ url, form }) => (url === `${ISSUER}/introspect` ? [form] : []))
    expect(forms.map((form) => form?.get('token'))).toEqual([text, text])
    const assertions = forms.map((form) => decodeJwt(new Secret(form?.get('client_assertion') ?? '')))
    expect(assertions.map(({ header }) => header.typ)).toEqual([
      'client-authentication+jwt',
      'client-authentication+jwt',
    ])
    expect(assertions[0]?.claims).toMatchObject({ iss: 'warehouse-server', sub: 'warehouse-server', aud: ISSUER })
    expect(assertions[0]?.claims['jti']).not.toBe(assertions[1]?.claims['jti'])
  })

  test('believes the token when it is said to be active', async () => {
    expect((await verifierWithIntrospection().verify(await token(key))).jti).toBe('jti_1')
  })

  test('takes less than was signed where the answer says less, and never more', async () => {
    const details = (tools: object) => [{ type: 'mcp_tools', locations: [RESOURCE], tools }]
    const text = await token(key, { authorization_details: details({ query: {}, list_tables: {} }) })
    const answers = (more: object) => {
      door.introspect = () => JSON.stringify({ active: true, jti: 'jti_1', ...more })
      return verifierWithIntrospection().verify(text)
    }
    const less = await answers({ authorization_details: details({ list_tables: {} }) })
    expect([[...less.tools.keys()], [...less.revokedTools]]).toEqual([['list_tables'], ['query']])
    const more = await answers({ authorization_details: details({ query: {}, list_tables: {}, drop_table: {} }) })
    expect([[...more.tools.keys()], [...more.revokedTools]]).toEqual([['query', 'list_tables'], []])
    const { scopes } = await answers({ scope: 'mcp:tools:admin' })
    expect(scopes).toEqual([])
  })

  test('refuses a token that is said to be inactive', async () => {
    door.introspect = () => '{"active":false}'
    expect(await refusal(await token(key), verifierWithIntrospection())).toMatchObject({
      kind: 'invalid',
      message: 'the token has been revoked or is no longer active',
    })
  })

  const useless: [string, string][] = [
    ['does not say', '{}'],
    ['says it in words', '{"active":"true","jti":"jti_1"}'],
    ['says it twice', '{"active":true,"active":true,"jti":"jti_1"}'],
    ['is about another token', '{"active":true,"jti":"jti_2"}'],
    ['is about no token', '{"active":true}'],
    ['is a list', '[true]'],
    ['is not JSON', 'yes'],
  ]
  test.each(useless)('is no confirmation when the answer %s', async (_title, answer) => {
    door.introspect = () => answer
    expect((await refusal(await token(key), verifierWithIntrospection())).kind).toBe('unavailable')
  })

  test('fails closed when the broker cannot be reached', async () => {
    door.introspect = () => {
      throw new Error('connection refused')
    }
    expect((await refusal(await token(key), verifierWithIntrospection())).kind).toBe('unavailable')
  })

  test('is not asked about a token that was refused already', async () => {
    await refusal(await token(key, { aud: 'https://slack.example/mcp' }), verifierWithIntrospection())
    expect(door.asked.map(({ url }) => url)).toEqual([`${ISSUER}/jwks`])
  })
})

describe('signed introspection (RFC 9701)', () => {
  const statementKey = newKey('st1')
  const ACTIVE = { active: true, jti: 'jti_1' }
  const said = (changes: Readonly<Record<string, unknown>> = {}, typ = 'token-introspection+jwt', by = statementKey) =>
    signJwt(by, typ, { iss: ISSUER, aud: 'warehouse-server', iat: NOW_S, token_introspection: ACTIVE, ...changes })
  const outcome = async (answer: string) => {
    door = new Door([key, statementKey])
    door.introspect = () => answer
    const live = verifierWithIntrospection(true)
    return live.verify(await token(key)).then(
      () => 'believed',
      (error: unknown) => (error instanceof TokenRefused ? error.kind : error),
    )
  }

  test('is asked for, and believed for its signature', async () => {
    expect(await outcome(await said())).toBe('believed')
    expect(door.asked.find(({ url }) => url === `${ISSUER}/introspect`)?.accept).toBe(
      'application/token-introspection+jwt',
    )
  })

  test('that says no is a no', async () => {
    expect(await outcome(await said({ token_introspection: { active: false } }))).toBe('invalid')
  })

  const useless: [string, () => string | Promise<string>][] = [
    ['is plain JSON', () => JSON.stringify(ACTIVE)],
    ['is signed by a key that nobody publishes', () => said({}, 'token-introspection+jwt', newKey('st1'))],
    ['is of another kind', () => said({}, 'at+jwt')],
    ['has no kind', () => said({}, 'JWT')],
    ['is of another issuer', () => said({ iss: 'https://other.example' })],
    ['is for another server', () => said({ aud: 'slack-server' })],
    ['is for another server as well', () => said({ aud: ['warehouse-server', 'slack-server'] })],
    ['is an old one, played back', () => said({ iat: NOW_S - 31 })],
    ['is of later', () => said({ iat: NOW_S + 31 })],
    ['does not say when', () => said({ iat: undefined })],
    ['says when in words', () => said({ iat: 'now' })],
    ['says nothing of the token', () => said({ token_introspection: undefined, ...ACTIVE })],
    ['is about another token', () => said({ token_introspection: { active: true, jti: 'jti_2' } })],
  ]
  test.each(useless)('is no confirmation when the answer %s', async (_title, answer) => {
    expect(await outcome(await answer())).toBe('unavailable')
  })
})

describe('the keys of the broker', () => {
  test('are fetched once, also by many at once', async () => {
    const text = await token(key)
    await Promise.all([verifier.verify(text), verifier.verify(text), verifier.verify(text)])
    await verifier.verify(text)
    expect(door.keyFetches).toBe(1)
  })

  test('are fetched again for an unknown kid, so that rotation breaks nothing', async () => {
    await verifier.verify(await token(key))
    const next = newKey('k2')
    door.keys = [key, next]
    clock.ms += 10_000
    expect((await verifier.verify(await token(next))).jti).toBe('jti_1')
    expect(door.keyFetches).toBe(2)
  })

  test('are not fetched for every unknown kid: a flood costs one fetch', async () => {
    await verifier.verify(await token(key))
    for (let index = 0; index < 20; index += 1) await refusal(await token(newKey(`flood-${index}`)))
    expect(door.keyFetches).toBe(1)
    clock.ms += 10_000
    for (let index = 0; index < 20; index += 1) await refusal(await token(newKey(`flood-${index}`)))
    expect(door.keyFetches).toBe(2)
  })

  test('stop serving when they are withdrawn, within five minutes', async () => {
    await verifier.verify(await token(key))
    door.keys = []
    clock.ms += 300_000
    const fresh = claims({ iat: NOW_S + 300, exp: NOW_S + 500 })
    expect((await refusal(await token(key, fresh))).kind).toBe('invalid')
  })

  test('serve an hour through an outage of the broker, and not longer', async () => {
    await verifier.verify(await token(key))
    door.jwks = () => {
      throw new Error('connection refused')
    }
    clock.ms += 3_500_000
    expect((await verifier.verify(await token(key, { iat: NOW_S + 3_500, exp: NOW_S + 3_700 }))).jti).toBe('jti_1')
    clock.ms += 100_001
    const late = await token(key, { iat: NOW_S + 3_600, exp: NOW_S + 3_800 })
    expect((await refusal(late)).kind).toBe('unavailable')
  })

  test('that were never there refuse without hammering the broker', async () => {
    door.jwks = () => {
      throw new Error('connection refused')
    }
    const text = await token(key)
    for (let index = 0; index < 5; index += 1) expect((await refusal(text)).kind).toBe('unavailable')
    expect(door.keyFetches).toBe(1)
  })

  test('are fetched anew when the clock was set back', async () => {
    await verifier.verify(await token(key))
    clock.ms -= 10_000
    await verifier.verify(await token(key))
    expect(door.keyFetches).toBe(2)
  })

  test.each([
    '[]',
    '{"keys":{}}',
    'keys',
    `{"keys":[{"kty":"oct","k":"AAAA"}]}`,
  ])('in the form %s are none', async (document) => {
    door.jwks = () => document
    expect((await refusal(await token(key))).kind).toBe('unavailable')
  })
})
