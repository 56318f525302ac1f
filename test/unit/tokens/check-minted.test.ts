import { describe, expect, test } from 'vitest'
import { signJwt } from '../../../src/jose/sign-jwt.ts'
import { MINTED_TOKEN_BYTES_MAX } from '../../../src/kernel/limits.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { JWT_TYP } from '../../../src/protocol/oauth.ts'
import { checkMinted, type Expected } from '../../../src/tokens/check-minted.ts'
import { sessionClaims } from '../../../src/tokens/claims.ts'
import { actor, authority, END, NOW, reasonOf, SLACK, WAREHOUSE } from '../sessions/fixtures.ts'
import { FIXED, order, signingKey } from './fixtures.ts'

const DECIDED = authority({ table: { enum: ['revenue', 'costs'] }, limit: { maximum: 100 } })
const LIMITED = (() => {
  const [[url, resource] = []] = [...DECIDED.resources]
  if (url === undefined || resource === undefined) throw new Error('no resource')
  return { ...DECIDED, resources: new Map([[url, { ...resource, limits: { maxCalls: 3 } }]]) }
})()

const VALID = sessionClaims(FIXED, order({ authority: LIMITED }))
const { scope: _scope, authorization_details: _details, not_after: _notAfter, ...DESCRIPTIVE } = VALID
const EXPECTED: Expected = { typ: JWT_TYP.accessToken, kid: 'key-1', claims: DESCRIPTIVE, authority: LIMITED }

async function check(
  change: Readonly<Record<string, unknown>> = {},
  signing: { typ?: string; kid?: string; expected?: Expected } = {},
): Promise<void> {
  const claims = Object.fromEntries(Object.entries({ ...VALID, ...change }).filter(([, value]) => value !== undefined))
  const text = await signJwt(signingKey(signing.kid), signing.typ ?? JWT_TYP.accessToken, claims)
  checkMinted(new Secret(text), signing.expected ?? EXPECTED)
}

const details = (
  tools: Readonly<Record<string, unknown>>,
  rest: Readonly<Record<string, unknown>> = { limits: { maxCalls: 3 } },
) => ({ authorization_details: [{ type: 'mcp_tools', locations: [WAREHOUSE], tools, ...rest }] })
const AS_DECIDED = { query: { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 100 } } }

test('a token that says what was decided is released', async () => {
  await expect(check()).resolves.toBeUndefined()
  await expect(check(details(AS_DECIDED))).resolves.toBeUndefined()
})

test('a token of another kind, or under another key, is not', async () => {
  for (const typ of Object.values(JWT_TYP).filter((typ) => typ !== JWT_TYP.accessToken)) {
    await expect(check({}, { typ })).rejects.toThrow('header differs')
  }
  await expect(check({}, { kid: 'key-2' })).rejects.toThrow('header differs')
})

describe('every claim that says who, for whom, until when or on what grounds must be as decided', () => {
  const OTHER: Readonly<Record<string, unknown>> = {
    iss: 'https://other.example',
    sub: 'user:corp:bob',
    aud: SLACK,
    client_id: 'orchestrator',
    sub_profile: 'service',
    sid: 'ses_other',
    txn: 'txn_other',
    iat: NOW - 1,
    exp: NOW + 301,
    jti: 'jti_other',
    rv: 42,
    act: actor('researcher'),
    env: 'production',
    auth_time: NOW,
    agent: { version: '2', instance: 'pod-7' },
    origin: { type: 'schedule', asserted_by: 'agent:orchestrator' },
    intent: 'another-hash',
    anc: ['nod_root'],
    par_hash: 'another-hash',
  }

  test('the list of them is complete', () => {
    expect(Object.keys(OTHER).sort()).toEqual(Object.keys(DESCRIPTIVE).sort())
  })

  test.each(Object.keys(OTHER))('%s', async (name) => {
    await expect(check({ [name]: OTHER[name] })).rejects.toThrow(`minted claim ${name} differs`)
    await expect(check({ [name]: undefined })).rejects.toThrow(`minted claim ${name} differs`)
    await expect(check({ [name]: [VALID[name], OTHER[name]] })).rejects.toThrow(`minted claim ${name} differs`)
  })

  test('a number written as text is another value', async () => {
    await expect(check({ exp: String(NOW + 300) })).rejects.toThrow('minted claim exp differs')
    await expect(check({ rv: '41' })).rejects.toThrow('minted claim rv differs')
  })

  test('a claim that must be absent may not be there', async () => {
    const claims = { ...EXPECTED.claims, acr: undefined }
    await expect(check({}, { expected: { ...EXPECTED, claims } })).resolves.toBeUndefined()
    await expect(check({ acr: 'urn:mfa' }, { expected: { ...EXPECTED, claims } })).rejects.toThrow('minted claim acr')
  })

  test('a claim nobody decided is refused', async () => {
    for (const extra of [{ may_act: { sub: 'agent:scribe' } }, { email: 'alice@corp.example' }, { roles: ['admin'] }]) {
      await expect(check(extra)).rejects.toThrow('is unknown')
    }
  })
})

describe('authority', () => {
  test('less is fine: fewer values, a lower limit, an earlier end', async () => {
    const narrower = details(
      { query: { table: { const: 'costs' }, limit: { maximum: 5 } } },
      { limits: { maxCalls: 1 } },
    )
    await expect(check({ ...narrower, not_after: END - 100 })).resolves.toBeUndefined()
  })

  test('a scope beyond the decision is refused', async () => {
    await expect(check({ scope: 'mcp:tools:read mcp:tools:write' })).rejects.toThrow('scope exceeds')
    await expect(check({ scope: 'mcp:tools:write' })).rejects.toThrow('scope exceeds')
  })

  test('a scope that is absent or malformed is refused', async () => {
    for (const scope of ['', ' mcp:tools:read', 'mcp:tools:read  mcp:tools:read']) {
      expect(await reasonOf(check({ scope }))).toBe('scope_malformed')
    }
    await expect(check({ scope: undefined })).rejects.toThrow('scope exceeds')
  })

  test('a life beyond the decision is refused, and so is an end that is absent or no number', async () => {
    await expect(check({ not_after: END + 1 })).rejects.toThrow('life exceeds')
    await expect(check({ not_after: undefined })).rejects.toThrow('life exceeds')
    await expect(check({ not_after: 'later' })).rejects.toThrow('life exceeds')
  })

  test('an exp beyond the decided end is refused, even where exp is the one expected', async () => {
    const claims = { ...EXPECTED.claims, exp: END + 1 }
    await expect(check({ exp: END + 1 }, { expected: { ...EXPECTED, claims } })).rejects.toThrow('life exceeds')
  })

  test('details that are absent or no list are refused', async () => {
    await expect(check({ authorization_details: undefined })).rejects.toThrow('details are missing')
    await expect(check({ authorization_details: {} })).rejects.toThrow('details are missing')
  })

  test('another resource, or one more location, is refused', async () => {
    const [object] = details(AS_DECIDED).authorization_details
    for (const locations of [[SLACK], [WAREHOUSE, SLACK], []]) {
      await expect(check({ authorization_details: [{ ...object, locations }] })).rejects.toThrow('details exceed')
    }
    const second = { ...object, locations: [SLACK] }
    await expect(check({ authorization_details: [object, second] })).rejects.toThrow('details exceed')
  })

  test('another tool is refused', async () => {
    await expect(check(details({ ...AS_DECIDED, drop_table: {} }))).rejects.toThrow('details exceed')
  })

  test.each([
    ['a constraint dropped', { query: { limit: { maximum: 100 } } }],
    ['all constraints dropped', { query: {} }],
    ['a value added', { query: { table: { enum: ['revenue', 'costs', 'salaries'] }, limit: { maximum: 100 } } }],
    ['a limit raised', { query: { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 101 } } }],
    ['another argument', { query: { ...AS_DECIDED.query, where: {} } }],
    ['all other arguments', { query: { ...AS_DECIDED.query, '*': {} } }],
  ])('%s is refused', async (_what, tools) => {
    await expect(check(details(tools))).rejects.toThrow('details exceed')
  })

  test('a counted limit that is raised, dropped or no number is refused', async () => {
    for (const rest of [{ limits: { maxCalls: 4 } }, { limits: {} }, {}, { limits: { maxCalls: 'many' } }]) {
      await expect(check(details(AS_DECIDED, rest))).rejects.toThrow('limits exceed')
    }
  })
})

test('a token without a session may carry no authority but what it is expected to', async () => {
  const claims = { iss: 'https://errand.example', scope: 'sessions' }
  const expected: Expected = { typ: JWT_TYP.accessToken, kid: 'key-1', claims, authority: undefined }
  const mint = async (more: Readonly<Record<string, unknown>>) =>
    checkMinted(new Secret(await signJwt(signingKey(), JWT_TYP.accessToken, { ...claims, ...more })), expected)
  await expect(mint({})).resolves.toBeUndefined()
  await expect(mint({ scope: 'sessions evaluate' })).rejects.toThrow('minted claim scope differs')
  await expect(mint({ authorization_details: [] })).rejects.toThrow('is unknown')
  await expect(mint({ not_after: END })).rejects.toThrow('is unknown')
})

test('a token of exactly the bound is released, a longer one refused as the caller’s to make smaller', async () => {
  const sized = async (chars: number) => {
    const claims = { ...VALID, intent: 'x'.repeat(chars) }
    const text = await signJwt(signingKey(), JWT_TYP.accessToken, claims)
    const expected = { ...EXPECTED, claims: { ...EXPECTED.claims, intent: claims.intent } }
    return { token: new Secret(text), expected }
  }
  const base = (await sized(0)).token.length
  // Base64url: three bytes are four characters.
  const room = Math.floor(((MINTED_TOKEN_BYTES_MAX - base) * 3) / 4)
  const fits = await sized(room)
  expect(fits.token.length).toBeGreaterThan(MINTED_TOKEN_BYTES_MAX - 8)
  expect(() => checkMinted(fits.token, fits.expected)).not.toThrow()
  const long = await sized(room + 8)
  expect(await reasonOf(() => checkMinted(long.token, long.expected))).toBe('token_too_large')
})
