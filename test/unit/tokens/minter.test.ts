import { beforeAll, describe, expect, test } from 'vitest'
import { decodeJwt } from '../../../src/jose/decode-jws.ts'
import { verifyJwt } from '../../../src/jose/verify-jwt.ts'
import type { PrincipalId } from '../../../src/kernel/ids.ts'
import { KeyRing } from '../../../src/keys/key-ring.ts'
import { ADMIN_ROLES } from '../../../src/model/admin-role.ts'
import type { MintedToken } from '../../../src/model/minted.ts'
import { Minter } from '../../../src/tokens/minter.ts'
import { JOSE_HEADER } from '../../support/jose-header.ts'
import { authority, ISSUER, NOW, reasonOf, SESSION, WAREHOUSE } from '../sessions/fixtures.ts'
import { apiOrder, JTI, order, SETTINGS, testRing } from './fixtures.ts'

let ring: KeyRing
let minter: Minter
beforeAll(async () => {
  ring = await testRing(['ES256', 'RS256'])
  minter = new Minter(ring, SETTINGS)
})

async function verifies(minted: MintedToken, cls: 'access' | 'internal'): Promise<boolean> {
  const { header, claims } = decodeJwt(minted.token)
  try {
    await verifyJwt(minted.token, {
      keys: ring.verificationKeys(cls, NOW),
      algorithms: ['ES256', 'RS256'],
      typ: [header.typ],
      issuer: ISSUER,
      audience: { sole: String(claims['aud']) },
      requiredClaims: ['sub', 'jti'],
      now: NOW,
      skewSeconds: 30,
      lifetimeSecondsMax: 3600,
    })
    return true
  } catch {
    return false
  }
}

describe('each kind by its own typ and key class', () => {
  const management = () =>
    minter.management({ operator: 'operator:root' as PrincipalId, roles: ADMIN_ROLES, now: NOW, expiresAt: NOW + 600 })
  test.each([
    ['access', () => minter.access(order(), 'ES256'), 'at+jwt', 'access'],
    ['session', () => minter.session(order({ audience: ISSUER })), 'errand-session+jwt', 'internal'],
    ['delegation', () => minter.delegation(order({ audience: 'scribe' }), JTI), 'errand-delegation+jwt', 'internal'],
    ['API', () => minter.api(apiOrder()), 'at+jwt', 'access'],
    ['management', management, 'errand-management+jwt', 'internal'],
  ] as const)('%s', async (_kind, mint, typ, cls) => {
    const minted = await mint()
    expect(decodeJwt(minted.token).header.typ).toBe(typ)
    expect(await verifies(minted, cls)).toBe(true)
    expect(await verifies(minted, cls === 'access' ? 'internal' : 'access')).toBe(false)
  })

  test('internal tokens are signed by keys that are never published', async () => {
    const published = ring.jwks(NOW).keys.map((key) => key['kid'])
    expect(published).toContain(decodeJwt((await minter.access(order(), 'ES256')).token).header.kid)
    for (const minted of [await minter.session(order()), await management()]) {
      expect(published).not.toContain(decodeJwt(minted.token).header.kid)
    }
  })
})

test('an access token is signed in the algorithm its resource asks for', async () => {
  for (const alg of ['ES256', 'RS256'] as const) {
    expect(decodeJwt((await minter.access(order(), alg)).token).header.alg).toBe(alg)
  }
})

test('without a key for it nothing is minted', async () => {
  expect(await reasonOf(minter.access(order(), 'Ed25519'))).toBe('keys_not_ready')
  const empty = new Minter(new KeyRing([]), SETTINGS)
  expect(await reasonOf(empty.session(order()))).toBe('keys_not_ready')
  expect(await reasonOf(empty.api(apiOrder()))).toBe('keys_not_ready')
})

test('what is said beside the token is what is in it', async () => {
  const minted = await minter.access(order(), 'ES256')
  const { claims } = decodeJwt(minted.token)
  expect(minted).toMatchObject({ jti: claims['jti'], issuedAt: NOW, expiresAt: NOW + 300, scopes: ['mcp:tools:read'] })
  expect(claims).toMatchObject({ sub: 'user:corp:alice', aud: WAREHOUSE, sid: SESSION, exp: NOW + 300 })
  expect(minted.details).toEqual(claims['authorization_details'])
  const api = await minter.api(apiOrder())
  expect(api).toMatchObject({ scopes: ['revocations', 'sessions'], details: [] })
  expect(decodeJwt(api.token).claims).not.toHaveProperty('sid')
})

test('a delegation has the id it was given, every other token a fresh one', async () => {
  expect((await minter.delegation(order(), JTI)).jti).toBe(JTI)
  const ids = await Promise.all([1, 2, 3].map(async () => (await minter.access(order(), 'ES256')).jti))
  expect(new Set(ids).size).toBe(3)
})

test('a token cannot print itself', async () => {
  const minted = await minter.access(order(), 'ES256')
  expect(`${minted.token}${JSON.stringify(minted)}`).not.toMatch(JOSE_HEADER)
})

test('an order whose token would outlive its authority is a fault, and gives no token', async () => {
  const late = order({ authority: authority({}, { notAfter: NOW + 100 }), expiresAt: NOW + 300 })
  await expect(minter.access(late, 'ES256')).rejects.toThrow('life exceeds')
  await expect(minter.session(late)).rejects.toThrow('life exceeds')
})

test('an order for more than fits through a proxy is refused', async () => {
  const values = Array.from({ length: 250 }, (_, at) => `table-${at}-${'x'.repeat(30)}`)
  const large = order({ authority: authority({ table: { enum: values } }) })
  expect(await reasonOf(minter.access(large, 'ES256'))).toBe('token_too_large')
})
