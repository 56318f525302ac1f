/** The token endpoint as transport and parser: standards.md §8, section A (1–8), and threats.md b) as far as in process. */
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BODY_BYTES_MAX, FORM_PARAMETERS_MAX, JSON_DEPTH_MAX, TOKEN_CHARS_MAX } from '../../src/kernel/limits.ts'
import { signText, testKey } from '../support/keys.ts'
import { whenReady } from '../support/patience.ts'
import {
  expectRefused,
  invalidClient,
  invalidDetails,
  invalidRequest,
  invalidScope,
  invalidTarget,
  toStranger,
} from '../support/refusal.ts'
import { type Answer, INTENT, type Params, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let session: string
beforeAll(async () => {
  world = await startWorld()
  session = (await world.opened()).session
})
afterAll(() => world.close())

const FORM = 'application/x-www-form-urlencoded'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** What `open` sends, with parameters replaced. */
function opening(params: Params = {}): Params {
  return {
    grant_type: EXCHANGE,
    ...world.authentication('orchestrator'),
    subject_token: world.idToken(),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: JSON.stringify(INTENT),
    ...params,
  }
}

const encoded = (params: Params): string =>
  Object.entries(params)
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`)
    .join('&')

const send = (body: string | Uint8Array<ArrayBuffer> | ReadableStream, headers: Record<string, string> = {}) =>
  world.request('/token', {
    method: 'POST',
    headers: { 'Content-Type': FORM, ...headers },
    body,
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  } as RequestInit)

describe('1: method and media type', () => {
  const notAllowed = { status: 405, error: 'invalid_request', reason: 'method_not_allowed', stranger: true } as const

  test.each([
    'GET',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'PROPFIND',
  ])('RFC 6749 §3.2: the token endpoint does not serve %s, and says what it serves (H35)', async (method) => {
    const { answer } = await expectRefused(world, () => world.request('/token', { method }), notAllowed)
    expect(answer.headers.get('allow')).toBe('POST')
  })

  test('RFC 6749 §3.2: HEAD of the token endpoint is refused like any other method', async () => {
    const head = () => world.request('/token', { method: 'HEAD' })
    const { answer } = await expectRefused(world, head, { ...notAllowed, bodiless: true })
    expect(answer.headers.get('allow')).toBe('POST')
  })

  test('RFC 6749 §3.2: a header cannot make a POST of a GET', async () => {
    const headers = { 'X-HTTP-Method-Override': 'POST', 'X-HTTP-Method': 'POST', 'X-Method-Override': 'POST' }
    const path = `/token?${encoded(opening())}`
    await expectRefused(world, () => world.request(path, { method: 'GET', headers }), notAllowed)
  })

  test('Fetch §3.2: no page of another origin is allowed to ask for tokens', async () => {
    const headers = { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'POST' }
    const preflight = () => world.request('/token', { method: 'OPTIONS', headers })
    const { answer } = await expectRefused(world, preflight, notAllowed)
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    const granted = await world.post('/token', opening(), { Origin: 'https://evil.example' })
    expect(granted.status).toBe(200)
    expect([...granted.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
  })

  test.each([
    ['JSON', 'application/json'],
    ['plain text', 'text/plain'],
    ['multipart', 'multipart/form-data; boundary=x'],
    ['a form only by name', 'application/x-www-form-urlencoded-not'],
    ['two types', 'application/x-www-form-urlencoded, application/json'],
    ['nothing', undefined],
  ])('RFC 6749 §3.2: a valid request sent as %s is not read (H23)', async (_, type) => {
    const body = new TextEncoder().encode(encoded(opening()))
    const headers: Record<string, string> = type === undefined ? {} : { 'Content-Type': type }
    const request = () => world.request('/token', { method: 'POST', headers, body })
    await expectRefused(world, request, toStranger(invalidRequest('media_type_unsupported')))
  })

  test('RFC 6749 §3.2: the media type may carry a charset and any case', async () => {
    const answer = await send(encoded(opening()), {
      'Content-Type': 'Application/X-WWW-Form-URLEncoded; charset=UTF-8',
    })
    expect(answer.status).toBe(200)
  })

  test.each([
    '/token/',
    '//token',
    '/TOKEN',
    '/token/x',
    '/token%2f',
    '/.well-known/token',
  ])('RFC 6749 §3.2: %s is not the token endpoint', async (path) => {
    const refusal = { status: 404, error: 'not_found', reason: 'route_unknown', stranger: true } as const
    await expectRefused(world, () => world.request(`http://127.0.0.1:4400${path}`, { method: 'POST' }), refusal)
  })
})

describe('2: headers of every answer', () => {
  test('RFC 6749 §5.1: every granted answer is JSON and must not be stored', async () => {
    const access = (await world.continue(session)).body.access_token
    const answers: Record<string, Answer> = {
      open: await world.open(),
      continue: await world.continue(session),
      api: await world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` }),
      introspect: await world.introspect(access),
      revoke: await world.revoke(access),
    }
    for (const [name, { status, headers }] of Object.entries(answers)) {
      const seen = [name, status, headers.get('cache-control'), headers.get('pragma'), headers.get('content-type')]
      expect(seen).toEqual([name, 200, 'no-store', 'no-cache', 'application/json'])
    }
  })
})

describe('3: repeated and empty parameters', () => {
  test.each([
    'grant_type',
    'client_assertion',
    'client_assertion_type',
    'subject_token',
    'subject_token_type',
    'requested_token_type',
    'authorization_details',
    'scope',
    'actor_token',
    'actor_token_type',
    'a_parameter_nobody_knows',
  ])('RFC 6749 §3.2: %s given twice is refused, the same value or not (H21)', async (name) => {
    const params = opening()
    const one = params[name] ?? 'mcp:tools:read'
    for (const second of [one, 'other', '']) {
      for (const values of [
        [one, second],
        [second, one],
      ]) {
        const repeated = opening({ [name]: values as string[] })
        await expectRefused(
          world,
          () => world.post('/token', repeated),
          toStranger(invalidRequest('parameter_duplicated')),
        )
      }
    }
  })

  test('RFC 6749 §3.2: an encoded spelling of a name is the same name', async () => {
    const body = `${encoded(opening({ scope: 'mcp:tools:read' }))}&%73cope=mcp:tools:write`
    await expectRefused(world, () => send(body), toStranger(invalidRequest('parameter_duplicated')))
  })

  test('RFC 8693 §2.1: resource and audience may be repeated; the same target twice is one target', async () => {
    const answer = await world.continue(session, {
      resource: [WAREHOUSE, WAREHOUSE],
      audience: ['warehouse', 'warehouse'],
    })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  })

  test('RFC 8693 §2.1: one unknown target among good ones refuses the whole request (H22)', async () => {
    const params = { resource: [WAREHOUSE, 'https://nowhere.example/mcp'] }
    await expectRefused(world, () => world.continue(session, params), invalidTarget('resource_unknown'))
    const mixed = { resource: WAREHOUSE, audience: 'nowhere' }
    await expectRefused(world, () => world.continue(session, mixed), invalidTarget('resource_unknown'))
  })

  test('RFC 6749 §3.2: an empty value counts as absent', async () => {
    const empty = { scope: '', audience: '', actor_token: '', actor_token_type: '', authorization_details: '' }
    expect((await world.continue(session, empty)).status).toBe(200)
    for (const name of ['subject_token', 'subject_token_type', 'grant_type']) {
      const params = opening({ [name]: '' })
      await expectRefused(world, () => world.post('/token', params), toStranger(invalidRequest('parameter_missing')))
    }
    const nobody = opening({ client_assertion: '' })
    await expectRefused(world, () => world.post('/token', nobody), invalidClient('client_authentication_missing'))
  })
})

describe('4: unknown parameters and grant types', () => {
  test('RFC 6749 §3.2: parameters nobody knows are ignored', async () => {
    const more = { state: 'x', nonce: 'y', act: '{"sub":"root"}', sub: 'user:corp:bob', issuer: 'https://evil.example' }
    const answer = await world.open(more)
    expect(answer.status).toBe(200)
    expect(JSON.stringify(answer.body)).not.toContain('evil')
  })

  test.each([
    'authorization_code',
    'refresh_token',
    'password',
    'urn:ietf:params:oauth:grant-type:device_code',
    'token-exchange',
    'CLIENT_CREDENTIALS',
    ' client_credentials',
    `${EXCHANGE}/`,
    '__proto__',
  ])('RFC 6749 §5.2: grant_type %s is unsupported', async (grantType) => {
    const refusal = { status: 400, error: 'unsupported_grant_type', reason: 'grant_type_unsupported' } as const
    const params = opening({ grant_type: grantType })
    await expectRefused(world, () => world.post('/token', params), toStranger(refusal))
  })

  test('RFC 6749 §5.2: a known grant type that this client may not use is unauthorized_client', async () => {
    const refusal = { status: 400, error: 'unauthorized_client', reason: 'grant_type_not_allowed' } as const
    const params = opening(world.authentication('warehouse-server'))
    await expectRefused(world, () => world.post('/token', params), refusal)
  })
})

describe('5: the query string', () => {
  test('RFC 6749 §2.3.1: credentials in the query are not there', async () => {
    const { client_assertion, client_assertion_type, ...rest } = opening()
    const query = encoded({ client_assertion, client_assertion_type })
    const request = () => world.post(`/token?${query}`, rest)
    await expectRefused(world, request, invalidClient('client_authentication_missing'))
  })

  test('RFC 6749 §3.2: neither is a token, nor anything else', async () => {
    const { subject_token, ...rest } = opening()
    const inQuery = () => world.post(`/token?${encoded({ subject_token })}`, rest)
    await expectRefused(world, inQuery, toStranger(invalidRequest('parameter_missing')))
    const answer = await world.post(`/token?scope=mcp:tools:read&resource=https%3A%2F%2Fnowhere.example`, opening())
    expect(answer.status).toBe(200)
    expect(answer.body.scope).toBe('mcp:tools:read mcp:tools:write')
  })

  test('RFC 6749 §3.2: a parameter in both query and body is a repeated one (H23)', async () => {
    const refusal = toStranger(invalidRequest('parameter_duplicated'))
    for (const name of ['scope', 'grant_type', 'subject_token', 'client_assertion']) {
      const params = opening({ scope: 'mcp:tools:read' })
      await expectRefused(world, () => world.post(`/token?${name}=other`, params), refusal)
    }
  })

  test('RFC 6750 §2.3: a bearer token in the query or the body is not read', async () => {
    const token = await world.apiToken()
    const refusal = { status: 401, error: 'invalid_token', reason: 'bearer_missing', stranger: true } as const
    await expectRefused(world, () => world.request(`/sessions?access_token=${token}`), refusal)
  })
})

describe('6: tokens that are not compact JWS', () => {
  const shapes: Record<string, (token: string) => string> = {
    'a JWE (five parts)': (token) => `${token}.AAAA.AAAA`,
    'four parts': (token) => `${token}.AAAA`,
    'two parts': (token) => token.split('.').slice(0, 2).join('.'),
    'one part': (token) => token.replaceAll('.', ''),
    'an unsigned token': (token) => `${token.split('.').slice(0, 2).join('.')}.`,
    'an empty header': (token) => `.${token.split('.').slice(1).join('.')}`,
    'JSON serialisation': (token) => {
      const [protectedHeader, payload, signature] = token.split('.')
      return JSON.stringify({ protected: protectedHeader, payload, signature })
    },
    'quotes around it': (token) => `"${token}"`,
    'a space before it': (token) => ` ${token}`,
    'a newline after it': (token) => `${token}\n`,
    padding: (token) => `${token}=`,
    'the alphabet of base64': (token) => `${token}+/`,
    'a NUL byte': (token) => `${token}\0`,
    'a bearer prefix': (token) => `Bearer ${token}`,
  }

  test.each(
    Object.keys(shapes),
  )('RFC 7515 §7.1: %s is refused before any cryptography, in every slot', async (shape) => {
    const keyRequests = world.idp.countRequests()
    const spoil = shapes[shape] ?? String
    const slots: Params[] = [
      { subject_token: spoil(world.idToken()) },
      { actor_token: spoil(world.assertion('orchestrator')), actor_token_type: TYPE.jwt },
      { client_assertion: spoil(world.assertion('orchestrator')) },
    ]
    for (const slot of slots) {
      const params = opening(slot)
      await expectRefused(world, () => world.post('/token', params), toStranger(invalidRequest('token_malformed')))
    }
    expect(world.idp.countRequests()).toBe(keyRequests)
  })
})

describe('7: bounds', () => {
  const tooLarge = { status: 413, error: 'invalid_request', reason: 'body_too_large', stranger: true } as const
  const padded = (bytes: number) => `${encoded(opening())}&padding=`.padEnd(bytes, 'x')

  test('RFC 6749 §3.2: a body of just the bound is read, one byte more is not (H28)', async () => {
    expect((await send(padded(BODY_BYTES_MAX))).status).toBe(200)
    await expectRefused(world, () => send(padded(BODY_BYTES_MAX + 1)), tooLarge)
  })

  test('RFC 6749 §3.2: the bound holds while the body streams, whatever its declared length says (H28)', async () => {
    for (const headers of [{}, { 'Content-Length': '10' }, { 'Content-Length': 'nonsense' }]) {
      let pulled = 0
      const endless = new ReadableStream({
        pull(controller) {
          pulled += 1
          controller.enqueue(new TextEncoder().encode('a'.repeat(1024)))
          if (pulled > 20_000) controller.close()
        },
      })
      await expectRefused(world, () => send(endless, headers), tooLarge)
      expect(pulled).toBeLessThan(100)
    }
  })

  test('RFC 6749 §3.2: a declared length over the bound is refused without reading (H28)', async () => {
    const headers = { 'Content-Length': String(20 * 1024 * 1024) }
    await expectRefused(world, () => send(encoded(opening()), headers), tooLarge)
  })

  test('RFC 9110 §8.4: a compressed body is not unpacked (H28)', async () => {
    const bomb = new Uint8Array(gzipSync(`${encoded(opening())}&padding=${'x'.repeat(10_000_000)}`))
    for (const encoding of ['gzip', 'br', 'identity']) {
      const request = () => send(bomb, { 'Content-Encoding': encoding })
      await expectRefused(world, request, toStranger(invalidRequest('media_type_unsupported')))
    }
  })

  test('RFC 6749 §3.2: a flood of parameters is refused before it is sorted (H28)', async () => {
    const flood = toStranger(invalidRequest('body_malformed'))
    await expectRefused(world, () => send('&'.repeat(60_000)), flood)
    const count = encoded(opening()).split('&').length
    const more = (parameters: number) => {
      const extra = Array.from({ length: parameters - count }, (_, index) => `p${index}=`)
      return [encoded(opening()), ...extra].join('&')
    }
    expect((await send(more(FORM_PARAMETERS_MAX))).status).toBe(200)
    await expectRefused(world, () => send(more(FORM_PARAMETERS_MAX + 1)), flood)
  })

  test.each([
    ['bytes that are not UTF-8', new Uint8Array([0x61, 0x3d, 0xff, 0xfe])],
    ['half a percent-encoding', 'grant_type=%4'],
    ['a percent-encoded byte that is not UTF-8', 'grant_type=%ff'],
  ])('WHATWG URL §5.1: %s is malformed, not repaired', async (_, body) => {
    await expectRefused(world, () => send(body), toStranger(invalidRequest('body_malformed')))
  })

  test('RFC 8725 §3.10: a token over its bound is refused before it is decoded (H16)', async () => {
    for (const length of [TOKEN_CHARS_MAX + 1, 60_000]) {
      const long = world.idToken({ padding: 'x'.repeat(length) }).slice(0, length)
      const params = opening({ subject_token: long })
      await expectRefused(world, () => world.post('/token', params), toStranger(invalidRequest('token_malformed')))
    }
  })

  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

  test('RFC 8259 §9: nesting is bounded in claims and in authorization_details', async () => {
    const deep = world.idToken({ deep: JSON.parse(nested(JSON_DEPTH_MAX)) })
    await expectRefused(world, () => world.open({ subject_token: deep }), invalidRequest('token_malformed'))
    const details = toStranger(invalidDetails('details_malformed'))
    await expectRefused(world, () => world.open({ authorization_details: nested(JSON_DEPTH_MAX + 1) }), details)
    await expectRefused(world, () => world.open({ authorization_details: nested(8_000) }), details)
  })

  test('RFC 7515 §4: repeated names in header or claims of a token are refused', async () => {
    const { key, url } = world.idp
    const now = world.now()
    const claims = `"iss":"${url}","aud":"orchestrator-at-idp","iat":${now},"exp":${now + 60}`
    const texts: [string, string][] = [
      [`{"alg":"ES256","kid":"${key.kid}","alg":"none"}`, `{${claims},"sub":"alice"}`],
      [`{"alg":"ES256","kid":"${key.kid}"}`, `{${claims},"sub":"bob","sub":"alice"}`],
      [`{"alg":"ES256","kid":"${key.kid}"}`, `{${claims},"sub":"bob","s\\u0075b":"alice"}`],
    ]
    for (const [header, payload] of texts) {
      const params = { subject_token: signText(key, header, payload).reveal() }
      await expectRefused(world, () => world.open(params), invalidRequest('token_malformed'))
    }
    const assertionClaims = `{"iss":"orchestrator","sub":"orchestrator","aud":"https://other.example","aud":"${world.issuer}","exp":${now + 60},"jti":"twice"}`
    const clientKey = testKey('orchestrator-key')
    const header = `{"alg":"ES256","kid":"${clientKey.kid}"}`
    const params = { client_assertion: signText(clientKey, header, assertionClaims).reveal() }
    await expectRefused(world, () => world.open(params), invalidClient('client_assertion_malformed'))
  })
})

describe('8: what a description may say', () => {
  test('RFC 6749 §5.2: whatever is sent, the answer is an OAuth error within its charset, and echoes no token', async () => {
    const names = Object.keys(
      opening({ actor_token: 'x', actor_token_type: 'x', scope: 'x', resource: 'x', audience: 'x' }),
    )
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({
        unit: fc.constantFrom('"', '\\', '\n', '\r', '\0', '<', '{', '[', '.', '%', '\u202e', 'é', 'a'),
        maxLength: 40,
      }),
      fc.json({ maxDepth: 3 }),
    )
    const errors = ['invalid_', 'unsupported_grant_type', 'unauthorized_client']
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), hostile, async (name, value) => {
        const marker = `S3CRET-${value}`
        const answer = await whenReady(() => world.post('/token', opening({ [name]: marker })))
        if (answer.status === 200) return // `agent_instance` and the like: nothing to refuse
        expect(errors.some((error) => answer.body.error.startsWith(error))).toBe(true)
        expect(answer.body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
        if (/token$|assertion$/.test(name)) expect(JSON.stringify(answer.body)).not.toContain('S3CRET')
        expect(JSON.stringify(answer.body)).not.toMatch(/node_modules|\.ts:|Error:|at \w+ \(/)
      }),
      { numRuns: 150 },
    )
  })

  test('RFC 6749 §5.2: an unknown name in authorization_details is shown short and plain', async () => {
    const details = [{ type: 'agent_intent', purpose: 'x', ['"\\\n<script>'.repeat(40)]: 1 }]
    const request = () => world.open({ authorization_details: JSON.stringify(details) })
    const { answer } = await expectRefused(world, request, toStranger(invalidDetails('details_unknown')))
    expect(answer.body.error_description.length).toBeLessThan(200)
  })
})

describe('H24: the scope parameter', () => {
  const scopes: Record<string, string> = {
    'a tab': 'mcp:tools:read\tmcp:tools:write',
    'CR LF': 'mcp:tools:read\r\nmcp:tools:write',
    NUL: 'mcp:tools:read\0',
    'a quote': 'mcp:tools:"read"',
    'a backslash': 'mcp:tools:\\read',
    'a no-break space': 'mcp:tools:read\u00a0mcp:tools:write',
    'two spaces': 'mcp:tools:read  mcp:tools:write',
    'a leading space': ' mcp:tools:read',
    'a trailing space': 'mcp:tools:read ',
    'only a space': ' ',
    'a letter outside ASCII': 'mcp:tools:réad',
    'more members than fit': Array.from({ length: 129 }, (_, index) => `s${index}`).join(' '),
    'more characters than fit': 'x'.repeat(5_000),
  }
  test.each(Object.keys(scopes))('RFC 6749 §3.3: scope with %s is invalid_scope', async (name) => {
    const request = () => world.continue(session, { scope: scopes[name] ?? '' })
    await expectRefused(world, request, toStranger(invalidScope('scope_malformed')))
  })
})
