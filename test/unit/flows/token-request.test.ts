import { describe, expect, test } from 'vitest'
import { parseTokenRequest } from '../../../src/flows/token-request.ts'
import { AUTHORIZATION_DETAILS_CHARS_MAX, NAME_CHARS_MAX, TARGETS_MAX } from '../../../src/kernel/limits.ts'
import { Form } from '../../../src/protocol/form.ts'
import { GRANT_TYPE, TOKEN_TYPE } from '../../../src/protocol/oauth.ts'
import { reasonOf, WAREHOUSE } from '../sessions/fixtures.ts'
import { INTENT } from './fixtures.ts'

type Params = Readonly<Record<string, string | readonly string[] | undefined>>
const TOKEN = 'eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2ln'
const EXCHANGE = {
  grant_type: GRANT_TYPE.tokenExchange,
  subject_token: TOKEN,
  subject_token_type: TOKEN_TYPE.session,
} as const

function parse(params: Params, base: Params = EXCHANGE) {
  const body = new URLSearchParams()
  for (const [name, value] of Object.entries({ ...base, ...params })) {
    for (const one of value === undefined ? [] : typeof value === 'string' ? [value] : value) body.append(name, one)
  }
  return parseTokenRequest(Form.parse(body.toString()))
}
const refused = (params: Params) => reasonOf(() => parse(params))

function parsedExchange(params: Params = {}) {
  const request = parse(params)
  if (request.grantType !== GRANT_TYPE.tokenExchange) throw new Error('not an exchange')
  return request
}

describe('a token exchange (RFC 8693 section 2.1)', () => {
  test('with the least it needs asks for an access token', () => {
    const request = parsedExchange()
    expect(request).toMatchObject({
      resources: [],
      audiences: [],
      scope: undefined,
      details: undefined,
      instance: undefined,
      actor: undefined,
      subjectTokenType: TOKEN_TYPE.session,
      requested: TOKEN_TYPE.accessToken,
    })
    expect(request.subjectToken.reveal()).toBe(TOKEN)
  })

  test('keeps every target, the scope as a set, and the instance', () => {
    const request = parsedExchange({
      resource: [WAREHOUSE, 'https://slack.example/mcp'],
      audience: 'researcher',
      scope: 'b a b',
      agent_instance: 'pod-7.eu:3_x',
      authorization_details: JSON.stringify(INTENT),
    })
    expect(request).toMatchObject({
      resources: [WAREHOUSE, 'https://slack.example/mcp'],
      audiences: ['researcher'],
      scope: ['a', 'b'],
      instance: 'pod-7.eu:3_x',
    })
    expect(request.details?.intent?.purpose).toBe('Summarise Q3 revenue and post it to #finance')
  })

  test('prints no token', () => {
    expect(JSON.stringify(parsedExchange())).not.toContain('eyJ')
  })

  test('needs its subject and its subject’s type', async () => {
    expect(await refused({ subject_token: undefined })).toBe('parameter_missing')
    expect(await refused({ subject_token: '' })).toBe('parameter_missing')
    expect(await refused({ subject_token_type: undefined })).toBe('parameter_missing')
  })

  test('knows these subject types and no others', async () => {
    for (const type of Object.values(TOKEN_TYPE).filter((name) => name !== TOKEN_TYPE.idJag)) {
      expect(parsedExchange({ subject_token_type: type }).subjectTokenType).toBe(type)
    }
    for (const type of [TOKEN_TYPE.idJag, 'session', TOKEN_TYPE.session.toUpperCase()]) {
      expect(await refused({ subject_token_type: type })).toBe('subject_token_type_unsupported')
    }
  })

  test('gives these types and no others; never a refresh token', async () => {
    for (const type of [TOKEN_TYPE.accessToken, TOKEN_TYPE.session, TOKEN_TYPE.delegation]) {
      expect(parsedExchange({ requested_token_type: type }).requested).toBe(type)
    }
    for (const type of [TOKEN_TYPE.jwt, TOKEN_TYPE.idToken, 'urn:ietf:params:oauth:token-type:refresh_token', 'x']) {
      expect(await refused({ requested_token_type: type })).toBe('requested_token_type_unsupported')
    }
  })

  test('takes actor_token and its type together or not at all', async () => {
    const actor = parsedExchange({ actor_token: TOKEN, actor_token_type: TOKEN_TYPE.jwt }).actor
    expect(actor?.token.reveal()).toBe(TOKEN)
    expect(await refused({ actor_token: TOKEN })).toBe('parameter_missing')
    expect(await refused({ actor_token_type: TOKEN_TYPE.jwt })).toBe('parameter_missing')
    expect(await refused({ actor_token: TOKEN, actor_token_type: TOKEN_TYPE.accessToken })).toBe(
      'actor_token_unacceptable',
    )
  })

  test.each(['subject_token', 'actor_token'])('refuses a %s that is no compact JWS', async (name) => {
    for (const text of ['not-a-token', `${TOKEN}.more`, 'a..b', `${TOKEN} `]) {
      expect(await refused({ actor_token_type: TOKEN_TYPE.jwt, actor_token: TOKEN, [name]: text })).toBe(
        'token_malformed',
      )
    }
  })
})

describe('client_credentials (RFC 6749 section 4.4)', () => {
  const base = { grant_type: GRANT_TYPE.clientCredentials, resource: WAREHOUSE }

  test('needs nothing of an exchange, and is not turned into one by its parameters', () => {
    const request = parse({ subject_token: TOKEN, subject_token_type: TOKEN_TYPE.session }, base)
    expect(request).toEqual({
      grantType: GRANT_TYPE.clientCredentials,
      resources: [WAREHOUSE],
      audiences: [],
      scope: undefined,
      details: undefined,
      instance: undefined,
    })
  })
})

describe('a grant type', () => {
  test('is required, and is one of two', async () => {
    expect(await refused({ grant_type: undefined })).toBe('parameter_missing')
    for (const type of ['authorization_code', 'refresh_token', 'token-exchange', 'password']) {
      expect(await refused({ grant_type: type })).toBe('grant_type_unsupported')
    }
  })
})

describe('bounds and forms', () => {
  test('of targets together', async () => {
    const many = Array.from({ length: TARGETS_MAX }, (_, at) => `https://r${at}.example/`)
    expect(parse({ resource: many }).resources).toHaveLength(TARGETS_MAX)
    expect(await refused({ resource: many, audience: 'one-more' })).toBe('parameter_malformed')
  })

  test('of the scope', async () => {
    for (const scope of ['a  b', ' a', 'a"b', 'a\tb']) expect(await refused({ scope })).toBe('scope_malformed')
  })

  test('of the instance', async () => {
    expect(parse({ agent_instance: 'x'.repeat(NAME_CHARS_MAX) }).instance).toHaveLength(NAME_CHARS_MAX)
    for (const text of ['x'.repeat(NAME_CHARS_MAX + 1), 'pod 7', 'pod\n7', 'pod/7', '<pod>', 'póд']) {
      expect(await refused({ agent_instance: text })).toBe('parameter_malformed')
    }
  })

  test('of authorization_details: strict JSON, no repeated member, bounded', async () => {
    const details = (text: string) => refused({ authorization_details: text })
    for (const text of ['{', '[1,]', "['x']", '[{"type":"agent_intent","type":"mcp_tools"}]', '{}', '1', 'null']) {
      expect(await details(text), text).toBe('details_malformed')
    }
    expect(await details('[]')).toBe('details_empty')
    expect(await details('[{"type":"payment"}]')).toBe('details_unknown')
    const padded = `${' '.repeat(AUTHORIZATION_DETAILS_CHARS_MAX)}[]`
    expect(await details(padded)).toBe('details_malformed')
  })

  test('details nested beyond any use are refused, not followed', async () => {
    expect(await refused({ authorization_details: '['.repeat(5000) + ']'.repeat(5000) })).toBe('details_malformed')
  })
})
