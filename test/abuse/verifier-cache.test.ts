/** What a verifier remembers of a token gives nobody what the token would not give them if it came for the first time. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SEEN_TOKENS_MAX } from '../../src/kernel/limits.ts'
import { JWKS_COOLDOWN_MS, JWKS_FRESH_MS } from '../../src/kernel/outbound-limits.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { TokenRefused } from '../../src/sdk/verify/verified-token.ts'
import { createVerifier, type Holder, type Verifier, type VerifierOptions } from '../../src/sdk/verify/verifier.ts'
import { athOf, jktOf, proof } from '../support/dpop.ts'
import { testKey, withTwinSignature } from '../support/keys.ts'
import { ToldFeed } from '../support/told-feed.ts'
import { claims, Door, ISSUER, ManualClock, NOW_S, newKey, RESOURCE, token } from '../unit/sdk/verify/issuing.ts'

const key = newKey('k1')
const NAMED = { anc: ['nod_1'], rv: 0, agent: { version: '1' } }
let door: Door
let clock: ManualClock
let feed: ToldFeed
let verifier: Verifier
let text: string

function made(more: Partial<VerifierOptions> = {}): Verifier {
  return createVerifier({ issuer: ISSUER, resource: RESOURCE, door: door.open, clock, ...more })
}

async function following(): Promise<Verifier> {
  door.introspect = () => JSON.stringify({ access_token: 'api', token_type: 'Bearer', expires_in: 300 })
  const revocations = { clientId: 'warehouse-server', sign: async () => 'assertion' }
  const one = made({ streams: feed.open, ticks: { ticksMs: () => clock.ms }, revocations })
  await one.revocations?.ready()
  return one
}

beforeEach(async () => {
  door = new Door([key])
  clock = new ManualClock()
  feed = new ToldFeed(() => clock.ms)
  verifier = made()
  text = await token(key, NAMED)
})

afterEach(() => verifier.revocations?.close())

async function refused(given: string, holder: Holder = {}): Promise<TokenRefused> {
  const outcome = await verifier.verify(given, holder).then(
    () => new Error('the token was believed'),
    (error: unknown) => error,
  )
  if (outcome instanceof TokenRefused) return outcome
  throw outcome
}

test('a token that comes again is not read again: what it says is the very same', async () => {
  expect(await verifier.verify(text)).toBe(await verifier.verify(text))
})

test('keys that were read again and are the same cost nothing: what was read is still known', async () => {
  const known = await verifier.verify(text)
  clock.ms += JWKS_FRESH_MS
  expect(await verifier.verify(text)).toBe(known)
  expect(door.keyFetches).toBe(2)
})

describe('a token that was believed is refused once', () => {
  test('it has expired', async () => {
    await verifier.verify(text)
    clock.ms += 331_000
    expect((await refused(text)).message).toBe('the token has expired')
    clock.ms -= 331_000
    await verifier.verify(text)
  })

  test('the clock says that it was issued in the future', async () => {
    await verifier.verify(text)
    clock.ms -= 31_000
    expect((await refused(text)).message).toBe('the token is not valid yet')
  })

  test('its key is published no more', async () => {
    await verifier.verify(text)
    door.keys = [newKey('k2')]
    clock.ms += JWKS_FRESH_MS
    expect((await refused(text)).message).toBe('the token is not valid')
  })

  test('its key is published no more, which another token has brought to light', async () => {
    await verifier.verify(text)
    door.keys = [newKey('k2')]
    clock.ms += JWKS_COOLDOWN_MS
    await verifier.verify(await token(door.keys[0] ?? key))
    expect((await refused(text)).message).toBe('the token is not valid')
  })

  test('another key has taken the name of its own', async () => {
    await verifier.verify(text)
    door.keys = [newKey('k1')]
    clock.ms += JWKS_FRESH_MS
    expect((await refused(text)).message).toBe('the token is not valid')
  })

  test('no keys can be had that are young enough', async () => {
    text = await token(key, { exp: NOW_S + 900 })
    await verifier.verify(text)
    door.jwks = () => {
      throw new Error('away')
    }
    clock.ms += 899_000
    await verifier.verify(text)
    clock.ms += 3_600_000
    expect((await refused(text)).kind).toBe('unavailable')
  })

  const places = [
    ['its user was cut off', 'user', 'user:corp:alice'],
    ['its session was cut off', 'session', 'ses_1'],
    ['it was cut off itself', 'node', 'jti_1'],
    ['an agent behind it was cut off', 'agent', 'orchestrator'],
    ['its key was cut off', 'key', 'k1'],
    ['its last tool was cut off', 'tool', `${RESOURCE}|query`],
    ['everything was cut off', 'everything', '*'],
  ] as const
  test.each(places)('%s', async (_title, dimension, id) => {
    verifier = await following()
    await verifier.verify(text)
    await verifier.verify(text)
    await feed.cutOff(dimension, id)
    expect((await refused(text)).message).toMatch(/revoked$/)
  })

  test('nobody knows any more who was cut off', async () => {
    verifier = await following()
    await verifier.verify(text)
    clock.ms += 5_001
    expect((await refused(text)).kind).toBe('unavailable')
    await feed.beat()
    await verifier.verify(text)
  })

  test('the broker says so: it is asked each time', async () => {
    const introspection = { clientId: 'warehouse-server', sign: async () => 'assertion' }
    verifier = made({ introspection })
    await verifier.verify(text)
    await verifier.verify(text)
    door.introspect = () => '{"active":false}'
    expect((await refused(text)).message).toContain('revoked')
    expect(door.asked.filter(({ url }) => url === `${ISSUER}/introspect`)).toHaveLength(3)
  })
})

describe('what was believed of one text says nothing of another', () => {
  test('with something behind it, in front of it, or a bit of it changed', async () => {
    await verifier.verify(text)
    const [head = '', payload = '', signature = ''] = text.split('.')
    const changed = Buffer.from(payload, 'base64url').toString().replace('alice', 'malice')
    const others = [
      `${text}=`,
      `${text}.`,
      `${text}A`,
      ` ${text}`,
      `${text}\n`,
      text.slice(0, -1),
      `${head}.${payload}.`,
    ]
    others.push([head, Buffer.from(changed).toString('base64url'), signature].join('.'))
    for (const other of others) expect((await refused(other)).kind).toBe('invalid')
  })

  test('with the twin of its signature: it is verified by itself', async () => {
    const twin = withTwinSignature(new Secret(text)).reveal()
    expect(await verifier.verify(twin)).not.toBe(await verifier.verify(text))
  })
})

describe('what tokens of one session say alike is read once, and', () => {
  test('the next of them is told with its own id and times, and is cut off by its own id and number', async () => {
    verifier = await following()
    const first = await verifier.verify(text)
    const next = await token(key, { ...NAMED, jti: 'jti_2', exp: NOW_S + 280, iat: NOW_S - 20, rv: 2 })
    const second = await verifier.verify(next)
    expect(second.tools).toBe(first.tools)
    expect(second).toMatchObject({ jti: 'jti_2', expiresAt: NOW_S + 280, claims: { jti: 'jti_2', rv: 2 } })
    expect(() => Object.assign(second.claims, { sub: 'user:corp:admin' })).toThrow(TypeError)
    // With the number 2: the second of them has been minted since.
    await feed.cutOff('user', 'user:corp:alice')
    expect((await refused(text)).message).toMatch(/revoked$/)
    await verifier.verify(next)
    await feed.cutOff('node', 'jti_2')
    expect((await refused(next)).message).toMatch(/revoked$/)
  })

  const tools = { query: {}, drop_table: {} }
  const other: [string, Record<string, unknown>][] = [
    ['scope', { scope: 'mcp:tools:read mcp:tools:write' }],
    ['details', { authorization_details: [{ type: 'mcp_tools', locations: [RESOURCE], tools }] }],
    ['no details', { authorization_details: undefined }],
    ['a user', { sub: 'user:corp:bob' }],
    ['an agent', { client_id: 'other', act: { iss: ISSUER, sub: 'agent:other' } }],
    ['a shorter chain', { act: { iss: ISSUER, sub: 'agent:report-writer' } }],
    ['a session', { sid: 'ses_2' }],
    ['a path', { anc: ['nod_1', 'nod_2'] }],
    ['a build', { agent: { version: '2' } }],
    ['a purpose', { intent: 'another' }],
    ['the name of a key among its claims', { kid: 'k1' }],
  ]
  test.each(other)('one that differs in %s is told as if it were the first', async (_title, changes) => {
    verifier = await following()
    await verifier.verify(text)
    const differs = await token(key, { ...NAMED, ...changes })
    expect(await verifier.verify(differs)).toEqual(await made().verify(differs))
  })

  test('nothing but what it hangs from is judged: a build that is malformed is refused behind one that is absent', async () => {
    verifier = await following()
    await verifier.verify(await token(key, { ...NAMED, agent: undefined }))
    for (const agent of [null, 'x', { version: '' }]) await refused(await token(key, { ...NAMED, agent }))
  })

  test('one that is bound is no less bound behind one that is not', async () => {
    await verifier.verify(text)
    const bound = await token(key, { ...NAMED, cnf: { 'x5t#S256': 'A'.repeat(43) } })
    expect((await refused(bound)).message).toContain('bound to a certificate')
  })
})

describe('a token that its holder has used', () => {
  const HOLDER = { certificateThumbprint: 'A'.repeat(43) }

  test('is nothing to whoever shows another certificate, or none', async () => {
    text = await token(key, { cnf: { 'x5t#S256': HOLDER.certificateThumbprint } })
    await verifier.verify(text, HOLDER)
    await verifier.verify(text, HOLDER)
    expect((await refused(text)).message).toContain('bound to a certificate')
    expect((await refused(text, { certificateThumbprint: 'E'.repeat(43) })).message).toContain('bound to a certificate')
    await verifier.verify(text, HOLDER)
  })

  test('is nothing without the proof of its key, with one that was used, or by another key', async () => {
    const [own, thief] = [testKey('own'), testKey('thief')]
    text = await token(key, { cnf: { jkt: jktOf(own) } })
    const at = { issuer: ISSUER, now: () => NOW_S }
    const by = (who: typeof own): Holder => ({
      dpop: { method: 'POST', proofs: [proof(at, who, { claims: { htu: RESOURCE, ath: athOf(text) } })] },
    })
    const first = by(own)
    await verifier.verify(text, first)
    await verifier.verify(text, by(own))
    expect((await refused(text)).message).toContain('bound to a key')
    expect((await refused(text, first)).error).toBe('invalid_dpop_proof')
    expect((await refused(text, by(thief))).message).toContain('another key')
  })
})

test('what a handler writes into a token, no other call is given', async () => {
  const verified = await verifier.verify(text)
  const writable = verified as unknown as {
    scopes: string[]
    subject: string
    claims: Record<string, unknown>
    tools: Map<string, Map<string, unknown>>
  }
  for (const write of [
    () => writable.scopes.push('mcp:tools:admin'),
    () => {
      writable.subject = 'user:corp:admin'
    },
    () => {
      writable.claims['sub'] = 'user:corp:admin'
    },
    () => writable.tools.set('drop_table', new Map()),
    () => writable.tools.get('query')?.clear(),
  ])
    expect(write).toThrow(TypeError)
  expect(await verifier.verify(text)).toMatchObject({ subject: 'user:corp:alice', scopes: ['mcp:tools:read'] })
})

describe('a flood', () => {
  test('of tokens that are refused leaves nothing: what was seen once is still known', async () => {
    const known = await verifier.verify(text)
    const forged = claims()
    for (let n = 0; n < SEEN_TOKENS_MAX / 2 + 1; n += 1) {
      const payload = Buffer.from(JSON.stringify({ ...forged, jti: `jti_${n}` })).toString('base64url')
      const [head = '', , signature = ''] = text.split('.')
      expect((await refused(`${head}.${payload}.${signature}`)).kind).toBe('invalid')
    }
    expect(await verifier.verify(text)).toBe(known)
  })

  test('of good tokens that come once pushes out nothing that is in use', async () => {
    const known = await verifier.verify(text)
    await verifier.verify(text)
    for (let n = 0; n < SEEN_TOKENS_MAX / 2 + 1; n += 1) await verifier.verify(await token(key, { jti: `jti_${n}` }))
    expect(await verifier.verify(text)).toBe(known)
  })
})
