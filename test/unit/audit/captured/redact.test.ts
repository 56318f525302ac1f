/** What looks like a credential, or is named as secret, is in nothing that is captured. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { withoutCredentials, withoutSecrets } from '../../../../src/audit/captured/redact.ts'

const random = (bytes: number) => randomBytes(bytes).toString('base64url')
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const JWT = `eyJhbGciOiJFUzI1NiJ9.${random(40)}.${random(64)}`
const D = privateKey.export({ format: 'jwk' }).d ?? ''

describe('what looks like a credential', () => {
  test.each([
    ['a JWT', JWT, 'jwt'],
    ['a JWE, of five parts', `eyJhbGciOiJkaXIifQ..${random(16)}.${random(30)}.${random(16)}`, 'jwt'],
    ['a bearer token', `Bearer ${random(20)}`, 'authorization'],
    ['one in lower case, as some log it', `bearer ${random(20)}`, 'authorization'],
    ['basic credentials', `Basic ${Buffer.from('agent:secret-of-it').toString('base64')}`, 'authorization'],
    ['a private key', privateKey.export({ format: 'pem', type: 'pkcs8' }).toString().trim(), 'private_key'],
    ['a short bearer token', 'Bearer abc123def', 'authorization'],
    ['a private JWK', `"d":"${D}"`, 'private_jwk'],
    ['one within JSON', `\\"d\\": \\"${D}\\"`, 'private_jwk'],
    ['an API key of this broker', `errand_ak_${random(30)}`, 'errand_key'],
    ['a client secret of this broker', `errand_secret_${random(30)}`, 'errand_key'],
    ['an access key id', 'AKIAIOSFODNN7EXAMPLE', 'vendor_key'],
    ['a vendor’s key', `ghp_${random(30)}`, 'vendor_key'],
  ])('%s is taken out, wherever it stands', (_what, credential, name) => {
    for (const [before, after] of [
      ['', ''],
      ['see "', '", and so on'],
      ['(', ')'],
      ['a line\n', '\nanother'],
    ] as const) {
      const left = withoutCredentials(before + credential + after)
      expect(left).toContain(`[redacted: ${name}]`)
      expect(left.startsWith(before) && left.endsWith(after)).toBe(true)
      expect(left).not.toContain(credential.slice(-12).replace(/\\?"$/, ''))
    }
  })

  test('a private key that was cut off takes what is behind it with it', () => {
    expect(withoutCredentials('key: -----BEGIN EC PRIVATE KEY-----\nMHcCAQEE')).toBe('key: [redacted: private_key]')
  })

  test('a private key with headers, whose names have hyphens, goes with all of them (RFC 1421 §4.6)', () => {
    const headers = 'Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF'
    const kind = 'RSA PRIVATE'
    const pem = `-----BEGIN ${kind} KEY-----\n${headers}\n\nMIIEpAIBAAKCAQEAzebra+/=\n-----END ${kind} KEY-----`
    expect(withoutCredentials(`a ${pem} b`)).toBe('a [redacted: private_key] b')
  })

  test('several of one text all go', () => {
    const left = withoutCredentials(`${JWT} and Bearer ${random(20)} and ${JWT}`)
    expect(left).toBe('[redacted: jwt] and [redacted: authorization] and [redacted: jwt]')
  })

  test('what people write about credentials stays', () => {
    for (const text of [
      'the bearer of this letter',
      'a basic understanding',
      'a JWT begins with eyJ',
      'a private key',
      'skew',
    ]) {
      expect(withoutCredentials(text)).toBe(text)
    }
  })

  test('none comes together by taking another out', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('eyJ', 'Bearer ', JWT, '.', 'errand_ak_', 'abcdefghijkl', '-----'), { maxLength: 12 }),
        (parts) => {
          const left = withoutCredentials(parts.join(''))
          expect(withoutCredentials(left)).toBe(left)
        },
      ),
    )
  })

  test('whoever writes the text does not choose how long it takes', () => {
    const long = 64 * 1024
    const hostile = [
      '-eyJ',
      'eyJ',
      'eyJaaaaaaaaa',
      '-----BEGIN PRIVATE KEY',
      'Bearer ',
      '"d":"a',
      'errand_ak_',
      'sk-',
      'AKIA',
    ]
    const beganAt = performance.now()
    for (const part of hostile) withoutCredentials(part.repeat(long / part.length))
    expect(performance.now() - beganAt).toBeLessThan(2_000)
  })
})

describe('what the manifest names as secret', () => {
  test.each([
    ['a member', ['/pin'], { pin: 1234, to: 'x' }, { pin: '[redacted]', to: 'x' }],
    ['one below', ['/card/cvc'], { card: { cvc: 1, n: 2 } }, { card: { cvc: '[redacted]', n: 2 } }],
    ['an element', ['/list/1'], { list: [1, 2, 3] }, { list: [1, '[redacted]', 3] }],
    [
      'every element',
      ['/list/*/cvc'],
      { list: [{ cvc: 1 }, { cvc: 2, n: 3 }] },
      { list: [{ cvc: '[redacted]' }, { cvc: '[redacted]', n: 3 }] },
    ],
    ['an object as a whole', ['/card'], { card: { cvc: 1 } }, { card: '[redacted]' }],
    ['a name with a slash and a tilde', ['/a~1b~0c'], { 'a/b~c': 1, a: 2 }, { 'a/b~c': '[redacted]', a: 2 }],
    ['what is not there', ['/other/pin'], { pin: 1 }, { pin: 1 }],
  ])('%s goes, and nothing else', (_what, pointers, given, left) => {
    expect(withoutSecrets(given, pointers)).toEqual(left)
  })

  test('credentials go from every text of the arguments, names included', () => {
    const left = withoutSecrets({ deep: [{ note: `use ${JWT}` }], [`${JWT}`]: 1 }, [])
    expect(JSON.stringify(left)).not.toContain(JWT.slice(-20))
    expect(left).toEqual({ deep: [{ note: 'use [redacted: jwt]' }], '[redacted: jwt]': 1 })
  })
})
