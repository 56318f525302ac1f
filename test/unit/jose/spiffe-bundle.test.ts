import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { JWT_SVID_ALGORITHMS, parseSpiffeBundle } from '../../../src/jose/spiffe-bundle.ts'
import { JWKS_KEYS_MAX } from '../../../src/kernel/limits.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { outcome, testKey } from './fixtures.ts'

type Members = Record<string, unknown>

/** The bundle that draft-ietf-oauth-spiffe-client-auth-02 section 6.1.1 prints. */
const PUBLISHED = {
  keys: [
    {
      use: 'x509-svid',
      kty: 'EC',
      crv: 'P-384',
      x: '9XBzty8W_ex4Xr0RdzUBgie_okdaUTheSF0PQvVAaTsXaP1J7yv0Dhlaw45I7Cv9',
      y: 'HP21HOmMxIlZ0XeqsOl9sM5H57HBQWu0bINXfw4jdeHdB5vk1XyNyBQQxeUpSxhn',
      x5c: [
        'MIIB2DCCAV6gAwIBAgIURJ20yIzal3ZT9NXkdwrsm0selwwwCgYIKoZIzj0EAwQwHjELMAkGA1UEBhMCVVMxDzANBgNVBAoMBlNQSUZGRTAeFw0yMzA1MTUwMjA1MDZaFw0yODA1MTMwMjA1MDZaMB4xCzAJBgNVBAYTAlVTMQ8wDQYDVQQKDAZTUElGRkUwdjAQBgcqhkjOPQIBBgUrgQQAIgNiAAT1cHO3Lxb97HhevRF3NQGCJ7+iR1pROF5IXQ9C9UBpOxdo/UnvK/QOGVrDjkjsK/0c/bUc6YzEiVnRd6qw6X2wzkfnscFBa7Rsg1d/DiN14d0Hm+TVfI3IFBDF5SlLGGejXTBbMB0GA1UdDgQWBBSSiuNgxqqnz2r/jRcWsARqphwQ/zAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAZBgNVHREEEjAQhg5zcGlmZmU6Ly9sb2NhbDAKBggqhkjOPQQDBANoADBlAjEA54Q8hfhEd4qVycwbLNzOm/HQrp1n1+a2xc88iU036FMPancR1PLqgsODPfWyttdRAjAKIodUi4eYiMa9+I2rVbj8gOxJAFn0hLLEF3QDmXtGPpARs9qC+KbiklTu5Fpik2Q=',
      ],
    },
    {
      use: 'jwt-svid',
      kty: 'EC',
      kid: '6d02Vc2oU62mXVH5nlggHGLmfIhrlnNW',
      crv: 'P-256',
      x: 'S2V42XlFjNp30CFmOidbWQT9IpZHqJ8JuuJgDBvkdZA',
      y: 'vN0y5TK36VRxZo_E3Gc7S5c0jIRIaHZ53f2UiJ1NFto',
    },
    {
      use: 'wit-svid',
      kty: 'EC',
      kid: 'b7f3K2oPz8nQvT1xYl9gHGLmfIhrlnXY',
      crv: 'P-256',
      x: '18wHLeIgW9wVN6VD1Txgpqy2LszYkMf6J8njVAibvhM',
      y: '-V4dS4UaLMgP_4fY4j8ir7cl1TXlFdAgcx55o7TkcSA',
    },
  ],
  spiffe_sequence: 10,
  spiffe_refresh_hint: 300,
}
const [X509 = {}, JWT = {}] = PUBLISHED.keys as unknown as readonly Members[]
const CERTIFICATE = (X509['x5c'] as string[])[0] ?? ''
const authorities = (...keys: unknown[]) => parseSpiffeBundle({ keys }).x509Authorities
const jwtKeys = (...keys: unknown[]) => parseSpiffeBundle({ keys }).jwtKeys
const reason = (document: unknown) => outcome(() => parseSpiffeBundle(document))

describe('the published bundle', () => {
  const bundle = parseSpiffeBundle(PUBLISHED)

  it('holds one authority of each kind we know', () => {
    expect([bundle.sequence, bundle.refreshHintSeconds]).toEqual([10, 300])
    expect(bundle.jwtKeys.size).toBe(1)
    expect(bundle.jwtKeys.select('6d02Vc2oU62mXVH5nlggHGLmfIhrlnNW', 'ES256')).toBeDefined()
    expect(bundle.x509Authorities.map(({ subjectAltName }) => subjectAltName)).toEqual(['URI:spiffe://local'])
  })

  it('lets no key pass for another kind of SVID (Trust Domain and Bundle §4.2.2)', () => {
    for (const kid of ['b7f3K2oPz8nQvT1xYl9gHGLmfIhrlnXY']) expect(bundle.jwtKeys.select(kid, 'ES256')).toBeUndefined()
    expect(bundle.jwtKeys.select(undefined, 'ES384')).toBeUndefined()
  })
})

describe('a JWT authority', () => {
  it('of RSA stands for every algorithm it may sign SVIDs with, and EdDSA is none of them (JWT-SVID §2.1)', () => {
    const { jwk } = testKey('RS256', 'r')
    const keys = jwtKeys({ kty: 'RSA', n: jwk['n'], e: jwk['e'], kid: 'r', use: 'jwt-svid' })
    const rsa = JWT_SVID_ALGORITHMS.filter((name) => keys.select('r', name) !== undefined)
    expect(rsa).toEqual(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])
    expect(jwtKeys({ ...testKey('Ed25519', 'o').jwk, alg: undefined, use: 'jwt-svid' }).size).toBe(0)
  })

  it('without a kid, of an unknown type, weak or broken, is not trusted; the others are', () => {
    const odd = [{ kid: undefined }, { kty: 'future' }, { kty: undefined }, { crv: 'P-999' }, { x: 'AAAA' }, { kid: 7 }]
    expect(jwtKeys(...odd.map((change, n) => ({ ...JWT, kid: `k${n}`, ...change })), JWT).size).toBe(1)
  })

  it('whose kid another has condemns the bundle; two kinds of SVIDs may share one', async () => {
    expect(await reason({ keys: [JWT, { ...JWT, x: JWT['x'] }] })).toBe('key')
    expect(jwtKeys(JWT, { ...JWT, use: 'wit-svid' }, { ...JWT, use: undefined }).size).toBe(1)
  })
})

describe('an X.509 authority', () => {
  it('is its one certificate, whatever stands beside it', () => {
    expect(authorities(X509)[0]?.raw.toString('base64')).toBe(CERTIFICATE)
    expect(authorities({ use: 'x509-svid', x5c: [CERTIFICATE] })).toHaveLength(1)
  })

  it('with a kid, without its certificate, with two, or with one that is not whole, is not trusted', () => {
    const cut = Buffer.from(CERTIFICATE, 'base64').subarray(0, 100).toString('base64')
    const more = Buffer.concat([Buffer.from(CERTIFICATE, 'base64'), Buffer.from('more')]).toString('base64')
    const url = CERTIFICATE.replaceAll('+', '-').replaceAll('/', '_')
    const pem = new X509Certificate(Buffer.from(CERTIFICATE, 'base64')).toString()
    const wrong: readonly unknown[] = [
      undefined,
      CERTIFICATE,
      [],
      [7],
      [''],
      [cut],
      [more],
      [url],
      [` ${CERTIFICATE}`],
      [Buffer.from(pem).toString('base64')],
      [CERTIFICATE, CERTIFICATE],
    ]
    for (const x5c of wrong) expect(authorities({ ...X509, x5c }), JSON.stringify(x5c)).toEqual([])
    expect(authorities({ ...X509, kid: 'x' })).toEqual([])
  })

  it('that is no certification authority is not trusted: a workload would vouch for others', async () => {
    const authority = await makeAuthority()
    const der = (pem: string) => new X509Certificate(pem).raw.toString('base64')
    const { certificate } = await authority.issue({})
    expect(authorities({ use: 'x509-svid', x5c: [der(certificate)] })).toEqual([])
    expect(authorities({ use: 'x509-svid', x5c: [der(authority.certificate)] })).toHaveLength(1)
  })

  it('written twice condemns the bundle', async () => {
    expect(await reason({ keys: [X509, X509] })).toBe('key')
  })
})

describe('the document', () => {
  it.each([
    ['no object', []],
    ['no keys', {}],
    ['keys that are no list', { keys: {} }],
    ['a key that is no object', { keys: ['k'] }],
    ['too many keys', { keys: Array.from({ length: JWKS_KEYS_MAX + 1 }, () => ({})) }],
    ['a private JWT authority', { keys: [{ ...JWT, d: 'AAAA' }] }],
    ['a private X.509 authority', { keys: [{ ...X509, d: 'AAAA' }] }],
    ['a sequence in words', { ...PUBLISHED, spiffe_sequence: '10' }],
    ['a sequence below zero', { ...PUBLISHED, spiffe_sequence: -1 }],
    ['a sequence of null', { ...PUBLISHED, spiffe_sequence: null }],
    ['a hint in fractions', { ...PUBLISHED, spiffe_refresh_hint: 1.5 }],
  ])('with %s is refused', async (_, document) => {
    expect(await reason(document)).toBe('key')
  })

  it('without usable keys is a bundle that trusts nobody; one without numbers is whole', () => {
    for (const keys of [[], [{}], [{ use: 'future', kty: 'oct', k: 'x' }]]) {
      const bundle = parseSpiffeBundle({ keys })
      expect([bundle.jwtKeys.size, bundle.x509Authorities, bundle.sequence]).toEqual([0, [], undefined])
    }
  })
})
