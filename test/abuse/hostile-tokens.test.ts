/**
 * Hostile tokens and key sets at the real endpoint (H01–H20): each JOSE trick in every slot that takes a token from outside,
 * and each broken key set at an issuer that the broker really asks. Nothing is minted, nothing is learned, nobody is asked.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TOKEN_CHARS_MAX } from '../../src/kernel/limits.ts'
import { granted } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import {
  type Draft,
  privateJwk,
  publicJwk,
  sign,
  signHmac,
  signText,
  type TestKey,
  testKey,
  unsigned,
} from '../support/keys.ts'
import { type Answer, type Params, startWorld, TYPE, type World } from '../support/world.ts'

let world: World
let trap: Server
let trapped = 0
beforeAll(async () => {
  world = await startWorld()
  trap = createServer((_request, response) => response.end('{"keys":[]}'))
  trap.on('connection', () => {
    trapped += 1
  })
  await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve))
  // Whatever keys there are to know are known before anything is counted.
  await granted(world.open())
})
afterAll(async () => {
  trap.close()
  await world.close()
})

const trapUrl = () => `http://127.0.0.1:${(trap.address() as AddressInfo).port}/jwks`

/** Where a token from outside goes in, and a draft that would be accepted there. */
const SLOTS: Readonly<Record<string, { draft(): Draft; send(token: string): Promise<Answer> }>> = {
  'subject_token (ID token)': {
    draft: () => ({ key: world.idp.key, header: {}, claims: idClaims({ aud: 'orchestrator-at-idp' }) }),
    send: (token) => world.open({ subject_token: token }),
  },
  'subject_token (access token)': {
    draft: () => ({
      key: world.idp.key,
      header: { typ: 'at+jwt' },
      claims: idClaims({
        aud: 'orchestrator-at-idp',
        client_id: 'orchestrator-at-idp',
        scope: 'mcp:tools:read mcp:tools:write',
      }),
    }),
    send: (token) => world.open({ subject_token: token, subject_token_type: TYPE.access }),
  },
  client_assertion: {
    draft: () => assertionDraft({ typ: 'client-authentication+jwt' }),
    send: (token) => world.open({ client_assertion: token }),
  },
  actor_token: {
    draft: () => assertionDraft({ typ: 'JWT' }),
    send: (token) => world.open({ actor_token: token, actor_token_type: TYPE.jwt }),
  },
  'Authorization: Bearer': {
    draft: () => ({ key: world.idp.key, header: {}, claims: idClaims({ aud: 'errand-users' }) }),
    send: (token) => world.bearer('/sessions', token),
  },
}

function idClaims(more: Params): Readonly<Record<string, unknown>> {
  const now = world.now()
  return { iss: world.idp.url, sub: 'alice', iat: now - 5, exp: now + 600, auth_time: now - 10, ...more }
}

let ids = 0
function assertionDraft(header: Readonly<Record<string, unknown>>): Draft {
  const now = world.now()
  const claims = { iss: 'orchestrator', sub: 'orchestrator', aud: world.issuer, iat: now, exp: now + 60 }
  ids += 1
  return { key: testKey('orchestrator-key'), header, claims: { ...claims, jti: `hostile-${ids}-${performance.now()}` } }
}

/** A refusal without a token, a stack or an echo; no record of it shows any of the token. */
async function expectRefusal(slot: string, token: string): Promise<Answer> {
  const sessions = await world.sessions()
  const answer = (await SLOTS[slot]?.send(token)) as Answer
  expect([400, 401], `${slot}: ${JSON.stringify(answer.body)}`).toContain(answer.status)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.body.access_token).toBeUndefined()
  expect(answer.body.error).toMatch(/^invalid_(request|client|token)$/)
  await world.broker.flushAudit()
  for (const part of token.split('.').filter((text) => text.length > 16)) {
    expect(JSON.stringify(answer.body)).not.toContain(part)
    expect(JSON.stringify(await world.audit(5))).not.toContain(part)
  }
  expect(await world.sessions()).toEqual(sessions)
  return answer
}

const withHeader = (draft: Draft, header: Readonly<Record<string, unknown>>) =>
  sign({ ...draft, header: { ...draft.header, ...header } }).reveal()
const withClaims = (draft: Draft, claims: Readonly<Record<string, unknown>>) =>
  sign({ ...draft, claims: { ...draft.claims, ...claims } }).reveal()
const text = (draft: Draft, payload: string) =>
  signText(draft.key, JSON.stringify({ alg: 'ES256', kid: draft.key.kid, ...draft.header }), payload).reveal()
const raw = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const parts = (draft: Draft) => sign(draft).reveal().split('.') as [string, string, string]
const pem = (key: TestKey) => key.publicKey.export({ type: 'spki', format: 'pem' }) as string
const der = (key: TestKey) => key.publicKey.export({ type: 'spki', format: 'der' })
const mallory = testKey('mallory')
/** n of P-256 (SEC 2 §2.4.2). */
const ORDER = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')

/** Each gives the tokens of one row from a draft that would be accepted. */
const ROWS: Readonly<Record<string, (draft: Draft) => readonly string[]>> = {
  'H01 alg none in every spelling': (draft) =>
    ['none', 'None', 'nOnE', ''].flatMap((alg) => [
      unsigned(draft, alg).reveal(),
      `${unsigned(draft, alg).reveal()}AA`,
    ]),
  'H02 HMAC keyed with the public key': (draft) =>
    [pem(draft.key), der(draft.key), JSON.stringify(publicJwk(draft.key))].map((key) => signHmac(draft, key).reveal()),
  'H03 an algorithm that is not the key’s': (draft) =>
    ['ES384', 'RS256', 'PS256', 'EdDSA', 'es256'].map((alg) => withHeader(draft, { alg })),
  'H04 a key in the header': (draft) =>
    [{ jwk: publicJwk(mallory) }, { jwk: privateJwk(mallory) }, { jwk: publicJwk(draft.key) }].flatMap((header) => [
      withHeader({ ...draft, key: mallory }, { ...header, kid: draft.key.kid }),
      withHeader(draft, header),
    ]),
  'H05 an address of keys in the header': (draft) =>
    [{ jku: trapUrl() }, { x5u: trapUrl() }, { jku: 'http://169.254.169.254/' }].flatMap((header) => [
      withHeader({ ...draft, key: mallory }, header),
      withHeader(draft, header),
    ]),
  'H06 a certificate chain in the header': (draft) => [withHeader(draft, { x5c: ['MIIB'] })],
  'H08 a key that is named otherwise, or by nobody': (draft) =>
    ['mallory', '', '../jwks', ' ', 1, null, ['a']].map((kid) => withHeader(draft, { kid })),
  'H09 critical extensions and unencoded payloads': (draft) =>
    [{ crit: ['x'] }, { crit: [] }, { crit: ['b64'], b64: false }, { b64: false }, { b64: true }].map((header) =>
      withHeader(draft, header),
    ),
  'H10 encryption, compression and nesting': (draft) => [
    `${raw({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`,
    withHeader(draft, { zip: 'DEF' }),
    withHeader(draft, { enc: 'A256GCM' }),
    text({ ...draft, header: { ...draft.header, cty: 'JWT' } }, sign(draft).reveal()),
  ],
  'H12 audiences': (draft) =>
    [
      undefined,
      1,
      {},
      [],
      [''],
      [1],
      null,
      '',
      'elsewhere',
      Array.from({ length: 1_000 }, (_, index) => `a${index}`),
    ].map((aud) => withClaims(draft, { aud })),
  'H12 this audience and another': (draft) => [withClaims(draft, { aud: [draft.claims['aud'], 'elsewhere'] })],
  'H13 times': (draft) => {
    const now = world.now()
    const odd = [undefined, null, '9999999999', -1, 2 ** 53, now + 0.5, true, [now + 60], {}]
    return [
      ...odd.map((exp) => withClaims(draft, { exp })),
      withClaims(draft, { exp: now - 60 }),
      withClaims(draft, { nbf: now + 120 }),
      withClaims(draft, { iat: now + 120 }),
      withClaims(draft, { iat: 'yesterday' }),
      text(draft, JSON.stringify({ ...draft.claims, exp: 'X' }).replace('"X"', '1e400')),
      text(draft, JSON.stringify({ ...draft.claims, exp: 'X' }).replace('"X"', '9007199254740993')),
    ]
  },
  'H16 shapes and sizes': (draft) => {
    const [header, payload, signature] = parts(draft)
    return [
      header,
      `${header}.`,
      `${header}..`,
      `${header}.${payload}`,
      `${header}.${payload}.${signature}.${signature}`,
      `${header}.${payload}.${signature}.${signature}.${payload}.${header}`,
      `${header}.${payload}.${'A'.repeat(TOKEN_CHARS_MAX)}`,
      'A'.repeat(65_537 - 8_192),
      '.'.repeat(1_000),
    ]
  },
  'H17 other kinds': (draft) =>
    ['logout+jwt', 'secevent+jwt', 'oauth-id-jag+jwt', 'errand-session+jwt', 'errand-management+jwt', 'dpop+jwt'].map(
      (typ) => withHeader(draft, { typ }),
    ),
  'H20 signatures that are no signatures': (draft) => {
    const [header, payload, signature] = parts(draft)
    const bytes = Buffer.from(signature, 'base64url')
    const zero = Buffer.alloc(32)
    const forged = [
      Buffer.concat([zero, zero]),
      Buffer.concat([zero, bytes.subarray(32)]),
      Buffer.concat([bytes.subarray(0, 32), zero]),
      Buffer.concat([ORDER, ORDER]),
      Buffer.concat([bytes.subarray(0, 32), ORDER]),
      Buffer.alloc(64, 0xff),
      bytes.subarray(0, 63),
      Buffer.concat([bytes, zero]),
      Buffer.concat([
        Buffer.from([0x30, 0x44, 0x02, 0x20]),
        bytes.subarray(0, 32),
        Buffer.from([2, 32]),
        bytes.subarray(32),
      ]),
    ]
    return forged.map((one) => `${header}.${payload}.${one.toString('base64url')}`)
  },
  'strict JSON: repeated and poisoned members': (draft) => {
    const body = JSON.stringify(draft.claims).slice(0, -1)
    return [`${body},"sub":"bob"}`, `${body},"s\\u0075b":"bob"}`, `${body},"__proto__":{"sub":"bob"}}`].map((payload) =>
      text(draft, payload),
    )
  },
}

describe.each(Object.keys(SLOTS))('as %s', (slot) => {
  test('the genuine one is accepted: what follows is refused for its difference alone', async () => {
    const { draft, send } = SLOTS[slot] ?? { draft: () => assertionDraft({}), send: () => world.open() }
    const answer = await send(sign(draft()).reveal())
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  })

  test.each(Object.keys(ROWS))('%s', async (row) => {
    const requests = world.idp.countRequests()
    const draft = SLOTS[slot]?.draft() as Draft
    for (const token of ROWS[row]?.(draft) ?? []) await expectRefusal(slot, token)
    // An unknown kid is worth one question to the issuer that is configured, and to nobody else.
    expect(world.idp.countRequests() - requests).toBeLessThanOrEqual(row.startsWith('H08') ? 1 : 0)
    expect(trapped).toBe(0)
  })
})

describe('key sets of an issuer that cannot be trusted', () => {
  const rsa1024 = { kty: 'RSA', alg: 'RS256', e: 'AQAB', n: Buffer.alloc(128, 0xc5).toString('base64url') }
  const { publicKey } = mallory
  const off = publicKey.export({ format: 'jwk' }) as { x: string; y: string }
  /** How the issuer's own good key is published. */
  const sets: Readonly<Record<string, (good: object & { kid: string }, key: TestKey) => unknown>> = {
    'H08 two keys under one kid': (good) => ({ keys: [good, { ...publicJwk(mallory), kid: good.kid }] }),
    'H08 its private half among them': (good, key) => ({ keys: [good, { ...privateJwk(key), kid: 'other' }] }),
    'H08 a symmetric key among them': (good) => ({ keys: [good, { kty: 'oct', kid: 'x', k: 'AAAA' }] }),
    'H19 for encryption': (good) => ({ keys: [{ ...good, use: 'enc' }] }),
    'H19 not for verifying': (good) => ({ keys: [{ ...good, key_ops: ['sign'], use: undefined }] }),
    'H19 a point off the curve': (good) => ({ keys: [{ ...good, x: off.y, y: off.x }] }),
    'H19 a short RSA modulus': (good) => ({ keys: [{ ...rsa1024, kid: good.kid }] }),
    'H19 an exponent of one': (good) => ({ keys: [{ ...rsa1024, e: 'AQ', kid: good.kid }] }),
    'H03 for another algorithm': (good) => ({ keys: [{ ...good, alg: 'ES384' }] }),
    'more keys than anybody has': (good) => ({
      keys: [good, ...Array.from({ length: 10_000 }, (_, index) => ({ ...good, kid: `k${index}` }))],
    }),
    'no array of keys': (good) => ({ keys: { 0: good, length: 1 } }),
    'a list instead of a set': (good) => [good],
    'keys that are no objects': (good) => ({ keys: [good, null, 1, 'x', []] }),
  }

  async function openAt(document: (idp: TestIssuer) => unknown): Promise<Answer> {
    const issuer = await startIssuer({ slug: 'corp' })
    issuer.misbehave((_request, response) => {
      response.setHeader('Content-Type', 'application/json')
      response.end(JSON.stringify(document(issuer)))
    })
    const own = await startWorld({ issuer })
    try {
      return await own.open()
    } finally {
      await own.close()
      await issuer.close()
    }
  }

  test('the good one is used', async () => {
    expect((await openAt(({ key }) => ({ keys: [publicJwk(key)] }))).status).toBe(200)
  })

  test.each(Object.keys(sets))('%s: no token is believed', async (name) => {
    const answer = await openAt(({ key }) => sets[name]?.(publicJwk(key), key))
    expect([400, 503], JSON.stringify(answer.body)).toContain(answer.status)
    expect(answer.body.error_reason).toMatch(/^subject_(token_signature|issuer_unavailable)$/)
    expect(answer.body.access_token).toBeUndefined()
  })
})
