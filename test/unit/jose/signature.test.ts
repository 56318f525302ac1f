import { createECDH, generateKeyPairSync, sign as rawSign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { derFromP1363, p1363FromDer } from '../../../src/jose/ecdsa-form.ts'
import { signBytes, verifyBytes } from '../../../src/jose/signature.ts'
import { outcome, testKey } from './fixtures.ts'

const LENGTHS: readonly (readonly [string, number])[] = [
  ['ES256', 64],
  ['ES384', 96],
  ['ES512', 132],
  ['RS256', 256],
  ['RS384', 256],
  ['RS512', 256],
  ['PS256', 256],
  ['PS384', 256],
  ['PS512', 256],
  ['Ed25519', 64],
]
const ORDER_P256 = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex')

describe('signing and verifying', () => {
  it.each(LENGTHS)('%s makes signatures of %i bytes that only its key and its message fit', async (alg, length) => {
    const key = testKey(alg)
    const signature = await signBytes(alg, key.privateKey, 'message')
    expect(signature.length).toBe(length)
    expect(await verifyBytes(alg, key.publicKey, Buffer.from('message'), signature)).toBe(true)
    expect(await verifyBytes(alg, key.publicKey, 'massage', signature)).toBe(false)
    expect(await verifyBytes(alg, testKey(alg).publicKey, 'message', signature)).toBe(false)
  })

  it.each(LENGTHS)('%s refuses signatures of another length', async (alg, length) => {
    const key = testKey(alg)
    const signature = Buffer.from(await signBytes(alg, key.privateKey, 'message'))
    const wrong = [
      Buffer.alloc(0),
      signature.subarray(1),
      signature.subarray(0, length - 1),
      Buffer.concat([signature, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(1), signature]),
      Buffer.concat([signature, signature]),
    ]
    for (const one of wrong) expect(await verifyBytes(alg, key.publicKey, 'message', one)).toBe(false)
  })

  it.each(LENGTHS)('%s refuses all zeros and all ones of the right length', async (alg, length) => {
    const { publicKey } = testKey(alg)
    expect(await verifyBytes(alg, publicKey, 'message', Buffer.alloc(length))).toBe(false)
    expect(await verifyBytes(alg, publicKey, 'message', Buffer.alloc(length, 0xff))).toBe(false)
  })

  it('refuses DER where JOSE wants r and s (H20)', async () => {
    const { privateKey, publicKey } = testKey('ES256')
    for (let round = 0; round < 20; round += 1) {
      const der = rawSign('sha256', Buffer.from('message'), privateKey)
      expect(await verifyBytes('ES256', publicKey, 'message', der)).toBe(false)
    }
  })

  it('does not verify one algorithm with another: PS for RS, other hashes (H03)', async () => {
    const { privateKey, publicKey } = testKey('RS256')
    const signature = await signBytes('RS256', privateKey, 'message')
    for (const alg of ['PS256', 'RS384', 'RS512', 'PS512']) {
      expect(await verifyBytes(alg, publicKey, 'message', signature)).toBe(false)
    }
  })

  it('fixes the length of the PSS salt (RFC 7518 section 3.5)', async () => {
    const { privateKey, publicKey } = testKey('PS256')
    const padding = 6 // RSA_PKCS1_PSS_PADDING
    const of = (saltLength: number): Buffer =>
      rawSign('sha256', Buffer.from('message'), { key: privateKey, padding, saltLength })
    expect(await verifyBytes('PS256', publicKey, 'message', of(32))).toBe(true)
    expect(await verifyBytes('PS256', publicKey, 'message', of(0))).toBe(false)
    expect(await verifyBytes('PS256', publicKey, 'message', of(64))).toBe(false)
  })

  it('refuses keys of another type, curve or half, before any cryptography', async () => {
    const p384 = testKey('ES384')
    const p256 = testKey('ES256')
    const x25519 = generateKeyPairSync('x25519')
    const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
    const attempts = [
      () => verifyBytes('ES256', p384.publicKey, 'm', Buffer.alloc(64, 1)),
      () => verifyBytes('RS256', p256.publicKey, 'm', Buffer.alloc(256, 1)),
      () => verifyBytes('ES256', p256.privateKey, 'm', Buffer.alloc(64, 1)),
      () => verifyBytes('Ed25519', x25519.publicKey, 'm', Buffer.alloc(64, 1)),
      // A bare rsa-pss key would silently sign PSS under the name of RS256.
      () => signBytes('RS256', pss.privateKey, 'm'),
      () => signBytes('ES384', p256.privateKey, 'm'),
      () => signBytes('ES256', p256.publicKey, 'm'),
    ]
    for (const attempt of attempts) expect(await outcome(attempt)).toBe('key')
  })

  it.each(['none', 'HS256', '', '__proto__'])('knows no algorithm %j (H01, H02)', async (alg) => {
    const { privateKey, publicKey } = testKey('ES256')
    expect(await outcome(() => signBytes(alg, privateKey, 'm'))).toBe('algorithm')
    expect(await outcome(() => verifyBytes(alg, publicKey, 'm', Buffer.alloc(64)))).toBe('algorithm')
  })
})

describe('the two forms of an ECDSA signature', () => {
  const one = `${'00'.repeat(31)}01`

  it.each([
    ['r = 0', '00'.repeat(32) + one],
    ['s = 0', one + '00'.repeat(32)],
    ['both 0 (CVE-2022-21449)', '00'.repeat(64)],
    ['r = n', ORDER_P256 + one],
    ['s = n', one + ORDER_P256],
    ['r = 2^256 - 1', 'ff'.repeat(32) + one],
    ['63 bytes', '01'.repeat(63)],
    ['65 bytes', '01'.repeat(65)],
    ['nothing', ''],
  ])('%s is no signature (H20)', (_, hex) => {
    expect(derFromP1363(bytes(hex), 'P-256')).toBeUndefined()
  })

  it.each([
    ['P-256', 'prime256v1', 32],
    ['P-384', 'secp384r1', 48],
    ['P-521', 'secp521r1', 66],
  ] as const)('the bound of %s is its order, as the crypto library knows it', (crv, name, length) => {
    const padded = (value: bigint): Buffer => bytes(value.toString(16).padStart(length * 2, '0'))
    // A private key is a number below the order: bisect for the largest one.
    let [accepted, refused] = [1n, (1n << BigInt(length * 8)) - 1n]
    while (refused - accepted > 1n) {
      const middle = (accepted + refused) / 2n
      try {
        createECDH(name).setPrivateKey(padded(middle))
        accepted = middle
      } catch {
        refused = middle
      }
    }
    const both = (value: bigint): Buffer => Buffer.concat([padded(value), padded(value)])
    expect(derFromP1363(both(accepted), crv)).toBeInstanceOf(Buffer)
    expect(derFromP1363(both(refused), crv)).toBeUndefined()
  })

  it('writes minimal DER integers (X.690 section 8.3)', () => {
    const half = `80${'00'.repeat(31)}`
    expect(derFromP1363(bytes(one + half), 'P-256')?.toString('hex')).toBe(`3026020101022100${half}`)
    const last = `${ORDER_P256.slice(0, -1)}0`
    expect(derFromP1363(bytes(last + last), 'P-256')?.toString('hex')).toBe(`3046022100${last}022100${last}`)
  })

  it('keeps every signature on the way there and back, also those with leading zeros', () => {
    for (const [crv, length] of [
      ['P-256', 32],
      ['P-384', 48],
      ['P-521', 66],
    ] as const) {
      for (let zeros = 0; zeros < length; zeros += 1) {
        const integer = Buffer.alloc(length)
        // Below every order: 0x00f0… for P-521, whose order starts with 0x01ff; 0x7f… elsewhere.
        integer.fill(0xf1, zeros)
        if (zeros === 0) integer[0] = crv === 'P-521' ? 0x00 : 0x7f
        const raw = Buffer.concat([integer, integer])
        const der = derFromP1363(raw, crv)
        expect(der === undefined ? undefined : p1363FromDer(der, crv).toString('hex')).toBe(raw.toString('hex'))
      }
    }
  })

  it('does not make a signature of what is not DER', () => {
    expect(() => p1363FromDer(bytes('3006030101020101'), 'P-256')).toThrow()
    expect(() => p1363FromDer(bytes(`3043023f${'01'.repeat(63)}`), 'P-256')).toThrow()
    expect(() => p1363FromDer(Buffer.alloc(0), 'P-256')).toThrow()
  })
})
