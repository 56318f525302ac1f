/** Checklist I 96: the same live answer, signed, for servers that do not believe the way it comes. */
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JsonDoor } from '../../src/sdk/broker/http.ts'
import { createVerifier } from '../../src/sdk/verify/verifier.ts'
import { granted, openDeep, type Walk, walk } from '../support/hops.ts'
import { startWorld, WAREHOUSE, type World } from '../support/world.ts'

const SIGNED = 'application/token-introspection+jwt'
let world: World
let hops: Walk
beforeAll(async () => {
  world = await startWorld()
  hops = await walk(world)
})
afterAll(() => world.close())

const asked = (token: string, accept: string, server = 'warehouse-server') =>
  world.broker.app.request('/introspect', {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: accept },
    body: new URLSearchParams({ ...world.authentication(server), token } as Record<string, string>),
  })

describe('RFC 9701 §4 who asks for a signed answer gets one', () => {
  test.each([
    SIGNED,
    `${SIGNED};q=0.9, application/json;q=0.1`,
    'Application/Token-Introspection+JWT',
  ])('Accept: %s', async (accept) => {
    const answer = await asked(hops.access.token, accept)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, SIGNED])
    expect([answer.headers.get('cache-control'), answer.headers.get('vary')]).toEqual(['no-store', 'Accept'])
  })

  test.each([
    '*/*',
    'application/json',
    'application/*',
    `${SIGNED};q=0`,
    '',
  ])('and who does not, does not: Accept: %s', async (accept) => {
    const answer = await asked(hops.access.token, accept)
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(await answer.json()).toMatchObject({ active: true })
  })

  test('a refusal is plain JSON (RFC 9701 §5 with RFC 6749 §5.2)', async () => {
    const answer = await world.broker.app.request('/introspect', {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: SIGNED },
      body: new URLSearchParams({ token: hops.access.token }),
    })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([401, 'application/json'])
  })
})

describe('RFC 9701 §5 the answer', () => {
  const verified = async (token: string, server = 'warehouse-server') => {
    const text = await (await asked(token, SIGNED, server)).text()
    const keys = createLocalJWKSet((await world.request('/jwks')).body)
    const options = { issuer: world.issuer, audience: server, typ: 'token-introspection+jwt' }
    return { text, ...(await jwtVerify(text, keys, options)) }
  }

  test('is signed by a published key, for the caller alone, with what plain JSON says inside', async () => {
    const { payload } = await verified(hops.access.token)
    const plain = (await world.introspect(hops.access.token)).body
    expect(payload['token_introspection']).toEqual(plain)
    expect(payload.aud).toBe('warehouse-server')
    expect(payload.iat).toBe(world.now())
  })

  test('has neither sub nor exp of its own, so that it cannot pass for the token it is about', async () => {
    const { payload, text } = await verified(hops.access.token)
    expect(Object.keys(payload).sort()).toEqual(['aud', 'iat', 'iss', 'token_introspection'])
    expect((await world.introspect(text)).body).toEqual({ active: false })
  })

  test('is signed by a key that signs no access token', async () => {
    const { text } = await verified(hops.access.token)
    expect(decodeProtectedHeader(text).kid).not.toBe(decodeProtectedHeader(hops.access.token).kid)
  })

  test.each([
    ['of another server', () => hops.access.token, 'slack-server'],
    ['that is garbage', () => 'garbage', 'warehouse-server'],
  ])('about a token %s says {"active":false} and no more', async (_which, token, server) => {
    expect((await verified(token(), server)).payload['token_introspection']).toEqual({ active: false })
  })

  test('RFC 9701 §7 the metadata names its algorithm', async () => {
    const { body } = await world.request('/.well-known/oauth-authorization-server')
    expect(body.introspection_signing_alg_values_supported).toEqual(['ES256'])
  })
})

test('a verifier that takes signed answers only believes this broker’s, and refuses what was revoked', async () => {
  const door: JsonDoor = async ({ url, form, accept }) => {
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded', Accept: accept ?? 'application/json' }
    const init = form === undefined ? {} : { method: 'POST', headers, body: form }
    return (await world.broker.app.request(new URL(url).pathname, init)).text()
  }
  const introspection = {
    clientId: 'warehouse-server',
    sign: async (claims: Readonly<Record<string, unknown>>) => world.assertion('warehouse-server', claims),
    signedAnswers: true,
  }
  const verifier = createVerifier({
    issuer: world.issuer,
    resource: WAREHOUSE,
    door,
    clock: world.clock,
    introspection,
  })
  const session = await openDeep(world)
  const { token } = await granted(world.continue(session.token))
  expect((await verifier.verify(token)).session).toBe(session.claims.sid)
  await world.revoke(session.token)
  await expect(verifier.verify(token)).rejects.toMatchObject({ kind: 'invalid' })
})
