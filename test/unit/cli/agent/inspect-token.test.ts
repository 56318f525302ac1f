import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { drawToken, inspectToken, isSignedBy } from '../../../../src/cli/agent/inspect-token.ts'
import { importPublicJwk } from '../../../../src/jose/jwk.ts'
import { KeySet } from '../../../../src/jose/key-set.ts'
import { signJwt } from '../../../../src/jose/sign-jwt.ts'

const ISSUER = 'https://errand.example'
const NOW_S = 1_790_000_000
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const KEY = { kid: 'access-1', alg: 'ES256', key: privateKey }
const PUBLIC_JWK = { ...publicKey.export({ format: 'jwk' }), kid: 'access-1' }

type Claims = Readonly<Record<string, unknown>>

const actor = (client: string, act?: unknown): Claims => ({
  iss: ISSUER,
  sub: `agent:${client}`,
  sub_profile: 'ai_agent',
  ...(act === undefined ? {} : { act }),
})
const warehouse = (tools: unknown, limits?: unknown): Claims => ({
  type: 'mcp_tools',
  locations: ['https://warehouse.example/mcp'],
  tools,
  ...(limits === undefined ? {} : { limits }),
})
const slack: Claims = {
  type: 'mcp_tools',
  locations: ['https://slack.example/mcp'],
  tools: { post_message: { channel: { const: '#finance' }, text: {} } },
}
const base: Claims = {
  iss: ISSUER,
  sub: 'user:corp:alice',
  sub_profile: 'user',
  client_id: 'orchestrator',
  iat: NOW_S - 10,
  exp: NOW_S + 252,
  not_after: NOW_S + 890,
  jti: 'jti_1',
  sid: 'ses_1',
  act: actor('orchestrator'),
  anc: ['nod_1'],
  rv: 7,
}

const sign = (typ: string, claims: Claims): Promise<string> => signJwt(KEY, typ, claims)
const draw = async (typ: string, claims: Claims, verified = false): Promise<string> =>
  drawToken(await sign(typ, claims), NOW_S, verified)

test('what a token is bound to is said, and what nobody can check is no token', async () => {
  const thumbprint = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs'
  const bound = { ...base, aud: 'https://warehouse.example/mcp', cnf: { jkt: thumbprint } }
  expect(inspectToken(await sign('at+jwt', bound), NOW_S).bound_to).toEqual({ kind: 'jkt', thumbprint })
  expect(await draw('at+jwt', bound)).toContain(`\n  bound to   the DPoP key ${thumbprint}\n`)
  expect(await draw('at+jwt', { ...bound, cnf: { 'x5t#S256': thumbprint } })).toContain('the certificate')
  const unknown = await sign('at+jwt', { ...bound, cnf: { kid: '1' } })
  expect(() => inspectToken(unknown, NOW_S)).toThrow('this is not a token: cnf')
})

describe('a drawing', () => {
  test('of an ID-JAG says whom it is for, and that nothing here ends it but its key', async () => {
    const { sid: _sid, anc: _anc, rv: _rv, not_after: _end, ...claims } = base
    const jag = {
      ...claims,
      aud: 'https://auth.chat.example',
      client_id: 'at-chat',
      scope: 'chat.read',
      resource: 'https://mcp.chat.example/mcp',
    }
    const token = await sign('oauth-id-jag+jwt', jag)
    expect(inspectToken(token, NOW_S)).toMatchObject({
      kind: 'ID-JAG',
      resource: 'https://mcp.chat.example/mcp',
      audience: 'https://auth.chat.example',
      chain: ['user:corp:alice', 'agent:orchestrator'],
      authority: { scopes: ['chat.read'] },
      dies_with: [{ what: 'key', id: 'access-1' }],
    })
    expect(drawToken(token, NOW_S)).toContain('killing key access-1')
  })

  test('of an access token shows the chain, the authority, the time left and what would kill it', async () => {
    const claims = {
      ...base,
      aud: 'https://warehouse.example/mcp',
      client_id: 'chart-maker',
      scope: 'mcp:tools:read',
      act: actor('chart-maker', actor('orchestrator')),
      anc: ['nod_1', 'nod_2'],
      authorization_details: [
        warehouse({
          query: { table: { enum: ['revenue', 'costs'] }, limit: { minimum: 1, maximum: 500 }, '*': {} },
          list_tables: {},
        }),
      ],
    }
    expect(await draw('at+jwt', claims)).toMatchInlineSnapshot(`
      "access token · not verified
        from       https://errand.example
        for        https://warehouse.example/mcp
        session    ses_1
        time left  4 min 12 s; the authority behind it ends 2026-09-21T14:28:10Z

      who acts for whom
        user:corp:alice
        └─ agent:orchestrator
           └─ agent:chart-maker

      may
        └─ https://warehouse.example/mcp
           ├─ scope mcp:tools:read
           ├─ tool query
           │  ├─ table: one of revenue, costs
           │  ├─ limit: at least 1, at most 500
           │  └─ any other argument
           └─ tool list_tables, any arguments

      would be killed by
        ├─ closing or revoking session ses_1
        ├─ cutting off the access tokens of that session
        ├─ revoking hop nod_1
        ├─ revoking hop nod_2
        ├─ cutting off agent orchestrator
        ├─ cutting off agent chart-maker
        ├─ cutting off user:corp:alice
        ├─ cutting off the pair user:corp:alice × orchestrator
        ├─ cutting off the pair user:corp:alice × chart-maker
        ├─ cutting off every user of corp
        ├─ cutting off the access tokens for https://warehouse.example/mcp
        └─ killing key access-1
      "
    `)
  })

  test('of a session token shows everything the session may, over all its servers', async () => {
    const details = [warehouse({ query: { note: { prefix: 'Q3', maxLength: 40 } } }, { maxCalls: 20 }), slack]
    const claims = { ...base, aud: ISSUER, scope: 'mcp:tools:read mcp:tools:write', authorization_details: details }
    expect(await draw('errand-session+jwt', claims, true)).toMatchInlineSnapshot(`
      "session token · signature verified
        from       https://errand.example
        for        https://errand.example
        session    ses_1
        time left  4 min 12 s; the authority behind it ends 2026-09-21T14:28:10Z

      who acts for whom
        user:corp:alice
        └─ agent:orchestrator

      may
        ├─ scope mcp:tools:read
        ├─ scope mcp:tools:write
        ├─ https://warehouse.example/mcp
        │  ├─ tool query
        │  │  └─ note: starting with Q3, at most 40 characters
        │  └─ at most 20 calls
        └─ https://slack.example/mcp
           └─ tool post_message
              ├─ channel: exactly #finance
              └─ text: any value

      would be killed by
        ├─ closing or revoking session ses_1
        ├─ revoking hop nod_1
        ├─ cutting off agent orchestrator
        ├─ cutting off user:corp:alice
        ├─ cutting off the pair user:corp:alice × orchestrator
        ├─ cutting off every user of corp
        └─ killing key access-1
      "
    `)
  })

  test('of a delegation token shows whom it is offered to, and the hop it will become', async () => {
    const claims = {
      ...base,
      aud: 'chart-maker',
      jti: 'jti_9',
      scope: 'mcp:tools:read',
      authorization_details: [warehouse({ query: { tags: { maxItems: 3 }, wide: { const: true } } })],
    }
    expect(await draw('application/errand-delegation+jwt', claims)).toMatchInlineSnapshot(`
      "delegation token · not verified
        from       https://errand.example
        for        chart-maker
        session    ses_1
        time left  4 min 12 s; the authority behind it ends 2026-09-21T14:28:10Z

      who acts for whom
        user:corp:alice
        └─ agent:orchestrator
           └─ agent:chart-maker, once it accepts

      may
        └─ https://warehouse.example/mcp
           ├─ scope mcp:tools:read
           └─ tool query
              ├─ tags: at most 3 items
              └─ wide: exactly true

      would be killed by
        ├─ closing or revoking session ses_1
        ├─ revoking hop nod_1
        ├─ revoking hop jti_9
        ├─ cutting off agent orchestrator
        ├─ cutting off user:corp:alice
        ├─ cutting off the pair user:corp:alice × orchestrator
        ├─ cutting off every user of corp
        └─ killing key access-1
      "
    `)
  })

  test('of an API token shows that it is in no session', async () => {
    const claims = { iss: ISSUER, sub: 'agent:orchestrator', aud: `${ISSUER}/api`, client_id: 'orchestrator' }
    expect(await draw('at+jwt', { ...claims, scope: 'sessions', exp: NOW_S + 3, iat: NOW_S })).toMatchInlineSnapshot(`
      "API token · not verified
        from       https://errand.example
        for        https://errand.example/api
        time left  3 s

      who acts for whom
        agent:orchestrator

      may
        └─ scope sessions

      would be killed by
        ├─ cutting off agent orchestrator
        └─ killing key access-1
      "
    `)
  })

  test('of a management token shows the operator', async () => {
    const claims = { iss: ISSUER, sub: 'operator:root', aud: `${ISSUER}/admin`, exp: NOW_S - 7200, iat: NOW_S - 7800 }
    expect(await draw('errand-management+jwt', claims)).toMatchInlineSnapshot(`
      "management token · not verified
        from       https://errand.example
        for        https://errand.example/admin
        time left  none: expired 2 h 0 min ago

      who acts for whom
        operator:root

      may
        └─ nothing is written in the token; the broker knows

      would be killed by
        └─ killing key access-1
      "
    `)
  })
})

describe('for a script', () => {
  test('the builds that it hangs from would kill it, too', async () => {
    const token = await sign('at+jwt', {
      ...base,
      aud: 'https://slack.example/mcp',
      client_id: 'chart-maker',
      agent: { version: '2', via: ['orchestrator|7'] },
    })
    expect(drawToken(token, NOW_S)).toMatch(/cutting off the build chart-maker@2[\s\S]*the build orchestrator@7/)
  })

  test('the same is told as data', async () => {
    const token = await sign('at+jwt', { ...base, aud: 'https://slack.example/mcp', authorization_details: [slack] })
    expect(inspectToken(token, NOW_S)).toEqual({
      kind: 'access token',
      verified: false,
      issuer: ISSUER,
      audience: 'https://slack.example/mcp',
      chain: ['user:corp:alice', 'agent:orchestrator'],
      client_id: 'orchestrator',
      offered_to: undefined,
      authority: {
        scopes: [],
        resources: [
          {
            resource: 'https://slack.example/mcp',
            tools: [{ tool: 'post_message', arguments: ['channel: exactly #finance', 'text: any value'] }],
            limits: [],
          },
        ],
      },
      session: 'ses_1',
      issued_at: NOW_S - 10,
      expires_at: NOW_S + 252,
      seconds_left: 252,
      not_after: NOW_S + 890,
      dies_with: [
        { what: 'session', id: 'ses_1' },
        { what: 'session_access', id: 'ses_1' },
        { what: 'node', id: 'nod_1' },
        { what: 'agent', id: 'orchestrator' },
        { what: 'user', id: 'user:corp:alice' },
        { what: 'user_agent', id: 'user:corp:alice × orchestrator' },
        { what: 'issuer', id: 'corp' },
        { what: 'resource', id: 'https://slack.example/mcp' },
        { what: 'key', id: 'access-1' },
      ],
    })
  })
})

describe('what is not believed', () => {
  test('text of a claim cannot move the cursor, recolour the screen or forge a line', async () => {
    const evil = 'alice\n  \u001b[32msignature verified\u001b[0m \u202eecila'
    const drawing = await draw('at+jwt', {
      ...base,
      sub: evil,
      aud: evil,
      authorization_details: [warehouse({ [evil]: { [evil]: { prefix: evil } } })],
    })
    for (const character of ['\u001b', '\u202e']) expect(drawing).not.toContain(character)
    expect(drawing.split('\n').some((line) => line.trim().startsWith('signature verified'))).toBe(false)
  })

  test('claims of the wrong type are drawn as absent, never thrown at', async () => {
    const claims = {
      iss: 1,
      sub: [],
      aud: {},
      exp: 'soon',
      scope: 7,
      anc: 'x',
      act: 5,
      authorization_details: { a: 1 },
    }
    const drawing = await draw('at+jwt', claims)
    expect(drawing).toContain('no expiry: not a token to trust')
    expect(drawing).toContain('nothing is written in the token')
  })

  test('a constraint nobody knows is called unknown', async () => {
    const drawing = await draw('at+jwt', {
      ...base,
      authorization_details: [warehouse({ query: { table: { pattern: '.*' } } })],
    })
    expect(drawing).toContain('table: unknown constraint pattern')
  })

  test.each(['', 'hello', 'a.b', 'a.b.c', 'e30.e30.e30'])('"%s" is refused in plain words', (text) => {
    expect(() => drawToken(text, NOW_S)).toThrow(/^this is not a token: /)
  })

  test('another party’s JWT is refused without repeating it', async () => {
    const token = await sign('JWT', base)
    expect(() => drawToken(token, NOW_S)).toThrow('its typ is none of Errand')
  })

  test('a signature holds only under the key that made it', async () => {
    const token = await sign('at+jwt', base)
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
    expect(await isSignedBy(token, KeySet.of([importPublicJwk(PUBLIC_JWK)]))).toBe(true)
    expect(await isSignedBy(token, KeySet.of([importPublicJwk({ ...other, kid: 'access-1' })]))).toBe(false)
    expect(await isSignedBy(token, KeySet.of([]))).toBe(false)
  })
})
