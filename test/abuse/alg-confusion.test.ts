/**
 * Forging the broker's own tokens from what is public: its key set, its claims, a genuine token of another kind (H01–H06,
 * Keycloak CVE-2026-11800, Hono CVE-2026-22817 and -22818).
 */
import { createHash, createPublicKey, type JsonWebKey } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { granted, managementToken, openAccess, openDeep, refused } from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { privateJwk, publicJwk, sign, signHmac, swapPayload, testKey, unsigned } from '../support/keys.ts'
import { invalidClient, invalidRequest } from '../support/refusal.ts'
import { claimsOf, headerOf, startWorld, TYPE, type World } from '../support/world.ts'

let world: World
let session: string
let delegation: string
let access: string
let management: string
beforeAll(async () => {
  world = await startWorld()
  session = (await openDeep(world)).token
  delegation = (await granted(world.delegate(session))).token
  access = (await granted(openAccess(world))).token
  management = await managementToken(world)
})
afterAll(() => world.close())

const published = async (): Promise<(JsonWebKey & { kid: string })[]> => (await world.request('/jwks')).body.keys

/** Every forgery of a token that needs no secret of the broker. */
async function forgeries(genuine: string): Promise<readonly (readonly [string, string])[]> {
  const claims = { ...claimsOf(genuine), exp: world.now() + 600 }
  const header = headerOf(genuine)
  const mine = testKey('mallory')
  const keys = await published()
  const draft = { key: mine, header: { ...header, alg: 'ES256' }, claims }
  const pem = (jwk: JsonWebKey) => createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const der = (jwk: JsonWebKey) => createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' })
  return [
    ...['none', 'None', 'nOnE', ''].map((alg) => [`alg ${alg || 'empty'}`, unsigned(draft, alg).reveal()] as const),
    ...keys.flatMap((jwk): [string, string][] => {
      const named = { ...draft, header: { ...header, kid: jwk.kid, alg: 'HS256' } }
      return [
        [`HS256 keyed with the PEM of ${jwk.kty}`, signHmac(named, pem(jwk) as string).reveal()],
        [`HS256 keyed with the DER of ${jwk.kty}`, signHmac(named, der(jwk) as Buffer).reveal()],
        [`HS256 keyed with the JWK of ${jwk.kty}`, signHmac(named, JSON.stringify(jwk)).reveal()],
        [
          `another key under the published kid of ${jwk.kty}`,
          sign({ ...draft, header: { ...header, kid: jwk.kid } }).reveal(),
        ],
      ]
    }),
    ['another key under the genuine kid', sign(draft).reveal()],
    ['another key under its own kid', sign({ ...draft, header: { ...header, alg: 'ES256', kid: 'mallory' } }).reveal()],
    ['the key in the header (jwk)', sign({ ...draft, header: { ...draft.header, jwk: publicJwk(mine) } }).reveal()],
    [
      'the private key in the header (jwk)',
      sign({ ...draft, header: { ...draft.header, jwk: privateJwk(mine) } }).reveal(),
    ],
    ['no kid', sign({ ...draft, header: { ...draft.header, kid: undefined } }).reveal()],
    ['critical extensions', sign({ ...draft, header: { ...draft.header, crit: ['b64'], b64: false } }).reveal()],
    [
      'the genuine signature over more authority',
      swapPayload(new Secret(genuine), { ...claims, scope: 'admin' }).reveal(),
    ],
    ['the genuine signature over nothing else', `${genuine.split('.').slice(0, 2).join('.')}.`],
    ['the payload of one, the signature of another', splice(genuine, access === genuine ? session : access)],
  ]
}

function splice(one: string, other: string): string {
  return [...one.split('.').slice(0, 2), other.split('.')[2]].join('.')
}

const OURS = /^(subject_token_signature|subject_token_claims|subject_token_wrong_type|token_malformed)$/

describe('none of them passes', () => {
  test('as a session token', async () => {
    for (const [how, token] of await forgeries(session)) {
      const { status, body } = await world.continue(token)
      expect([status, body.error, body.access_token], how).toEqual([400, 'invalid_request', undefined])
      expect(body.error_reason ?? 'token_malformed', how).toMatch(OURS)
    }
  })

  test('as a delegation token, and the genuine one is not burnt by the attempts', async () => {
    for (const [how, token] of await forgeries(delegation)) {
      const { status, body } = await world.accept(token)
      expect([status, body.error, body.access_token], how).toEqual([400, 'invalid_request', undefined])
    }
    await granted(world.accept(delegation))
  })

  test('as an access token at introspection', async () => {
    for (const [how, token] of await forgeries(access)) {
      expect((await world.introspect(token)).body, how).toEqual({ active: false })
    }
    expect((await world.introspect(access)).body.active).toBe(true)
  })

  test('as a management token', async () => {
    for (const [how, token] of await forgeries(management)) {
      expect((await world.bearer('/admin/v1/sessions', token)).status, how).toBe(401)
    }
    expect((await world.bearer('/admin/v1/sessions', management)).status).toBe(200)
  })

  test('at /revoke: a forged token kills nothing', async () => {
    for (const [how, token] of await forgeries(session)) {
      const { status, body } = await world.revoke(token)
      expect([status === 200 || body.error === 'invalid_request', body.revoked], how).toEqual([true, undefined])
    }
    await granted(world.continue(session))
  })
})

test('ECDSA signatures are malleable; single use is not: the other signature of a used assertion is refused', async () => {
  const assertion = world.assertion('orchestrator')
  await granted(world.open({ client_assertion: assertion }))
  await refused(
    world,
    () => world.open({ client_assertion: twin(assertion) }),
    invalidClient('client_assertion_replayed'),
  )
})

test('ECDSA signatures are malleable; revocations are not: the other signature of blocked evidence is blocked', async () => {
  const shared = await startIssuer({ slug: 'corp' })
  const own = await startWorld({ issuer: shared })
  try {
    const evidence = own.idToken()
    const { claims } = await granted(own.open({ subject_token: evidence }))
    await own.bearer(`/sessions/${claims.sid}`, own.userToken(), 'DELETE')
    await refused(own, () => own.open({ subject_token: twin(evidence) }), invalidRequest('evidence_blocked'))
  } finally {
    await own.close()
    await shared.close()
  }
})

test('a token of another broker’s making is nothing here, though its claims are the same', async () => {
  const other = await startWorld()
  try {
    const foreign = await openDeep(other)
    expect(foreign.claims.iss).toBe(world.issuer)
    const request = () => world.continue(foreign.token)
    await refused(world, request, invalidRequest('subject_token_signature'))
    const asUser = () => world.open({ subject_token: foreign.token, subject_token_type: TYPE.id })
    await refused(world, asUser, invalidRequest('subject_token_presenter'))
  } finally {
    await other.close()
  }
})

/** The same JWT under the second valid signature: (r, n − s) for (r, s). */
function twin(token: string): string {
  const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
  const [header = '', payload = '', signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  const other = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
  const twinned = `${header}.${payload}.${other.toString('base64url')}`
  expect(createHash('sha256').update(twinned).digest('hex')).not.toBe(createHash('sha256').update(token).digest('hex'))
  return twinned
}
