import { describe, expect, it } from 'vitest'
import { encodeBase64url } from '../../../src/jose/base64url.ts'
import { decodeJws, decodeJwt, peekIssuer } from '../../../src/jose/decode-jws.ts'
import { TOKEN_CHARS_MAX } from '../../../src/kernel/limits.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { outcome } from './fixtures.ts'

const HEADER = { alg: 'ES256', kid: 'k', typ: 'at+jwt' }
const part = (value: unknown): string => encodeBase64url(typeof value === 'string' ? value : JSON.stringify(value))
const token = (header: unknown, payload: unknown = { iss: 'https://i.example' }, signature = 'AQID'): Secret =>
  new Secret(`${part(header)}.${part(payload)}.${signature}`)
const refusal = (text: string): Promise<string> => outcome(() => decodeJwt(new Secret(text)))

describe('taking a token apart (RFC 7515 section 7.1)', () => {
  it('gives header, claims, signing input and signature as they were', () => {
    const secret = token(HEADER, { a: [1] })
    const jwt = decodeJwt(secret)
    expect(jwt.header).toEqual({ alg: 'ES256', kid: 'k', typ: 'at+jwt' })
    expect(jwt.claims).toEqual({ a: [1] })
    expect(`${jwt.signingInput}.AQID`).toBe(secret.reveal())
    expect([...jwt.signature]).toEqual([1, 2, 3])
  })

  it('ignores header members it does not know, as RFC 7515 section 4 wants', () => {
    expect(decodeJwt(token({ ...HEADER, x5t: 'abc', nonce: 'n', cty: 'json' })).header).toEqual(HEADER)
  })

  it('measures before it looks: a token over the bound is refused whatever it is (H16)', async () => {
    const [a, b] = [part(HEADER), part({})]
    const fill = TOKEN_CHARS_MAX - a.length - b.length - 2
    const even = fill - (fill % 4)
    expect(await refusal(`${a}.${b}.${'A'.repeat(even)}`)).toBe('accepted')
    expect(await refusal(`${a}.${b}.${'A'.repeat(fill + 1)}`)).toBe('too_large')
    expect(await refusal('.'.repeat(1_000_000))).toBe('too_large')
    expect(await refusal('x'.repeat(65_537))).toBe('too_large')
  })

  it.each([
    ['nothing', ''],
    ['one part (H16)', part(HEADER)],
    ['two parts', `${part(HEADER)}.${part({})}`],
    ['four parts (H16)', `${part(HEADER)}.${part({})}.AQID.AQID`],
    ['six parts (H16)', `${part(HEADER)}.${part({})}.AQID.AQID.AQID.AQID`],
    ['five parts, the shape of a JWE (H10)', `${part({ alg: 'ES256', enc: 'A256GCM' })}.a.b.c.d`],
    ['dots only', '..'],
    ['no header', `.${part({})}.AQID`],
    ['no payload', `${part(HEADER)}..AQID`],
    ['no signature', `${part(HEADER)}.${part({})}.`],
    ['a space in front', ` ${part(HEADER)}.${part({})}.AQID`],
    ['a line break at the end', `${part(HEADER)}.${part({})}.AQID\n`],
    ['a padded signature', `${part(HEADER)}.${part({})}.AQI=`],
    ['trailing bits in the signature', `${part(HEADER)}.${part({})}.AQJ`],
    ['JSON serialisation', JSON.stringify({ payload: part({}), protected: part(HEADER), signature: 'AQID' })],
  ])('refuses %s', async (_, text) => {
    expect(await refusal(text)).toBe('malformed')
  })

  it.each([
    'none',
    'None',
    'nOnE',
    '',
    'HS256',
    'HS512',
    'dir',
    'RSA-OAEP',
    'ES256K',
    '__proto__',
    'es256',
  ])('refuses alg %j (H01, H02)', async (alg) => {
    expect(await outcome(() => decodeJws(token({ ...HEADER, alg })))).toBe('algorithm')
    // Without a signature, as `none` has it.
    expect(await outcome(() => decodeJws(token({ ...HEADER, alg }, {}, '')))).toBe('algorithm')
  })

  it.each([undefined, null, 1, true, ['ES256'], { alg: 'ES256' }])('refuses %j as alg', async (alg) => {
    expect(await outcome(() => decodeJws(token({ ...HEADER, alg })))).toBe('algorithm')
  })

  it.each<[string, Record<string, unknown>]>([
    ['an embedded key (H04)', { jwk: { kty: 'EC' } }],
    ['an address to fetch keys from (H05)', { jku: 'https://attacker.example/jwks' }],
    ['an address to fetch a certificate from (H05)', { x5u: 'http://169.254.169.254/' }],
    ['a certificate chain (H06)', { x5c: ['MIIB'] }],
    ['a critical extension (H09)', { crit: ['x'], x: 1 }],
    ['an empty crit (H09)', { crit: [] }],
    ['b64 false with crit (H09)', { crit: ['b64'], b64: false }],
    ['b64 false without crit (H09)', { b64: false }],
    ['b64 true (H09)', { b64: true }],
    ['a token inside a token (H10)', { cty: 'JWT' }],
    ['a token inside a token, spelled out (H10)', { cty: 'application/jwt' }],
    ['compression (H10)', { zip: 'DEF' }],
    ['encryption (H10)', { enc: 'A256GCM' }],
    ['a member that is present but null', { jwk: null }],
    ['a numeric kid', { kid: 1 }],
    ['an empty kid', { kid: '' }],
    ['a null kid', { kid: null }],
    ['a kid of 257 characters', { kid: 'k'.repeat(257) }],
    ['a kid that forges a log line', { kid: 'k\nadmin' }],
    ['a numeric typ', { typ: 1 }],
    ['an empty typ', { typ: '' }],
    ['a typ of 257 characters', { typ: 't'.repeat(257) }],
    ['a typ that only lower-cases to ours', { typ: 'at+\u212awt' }],
    ['a typ with a space', { typ: ' JWT' }],
  ])('refuses %s', async (_, change) => {
    expect(await outcome(() => decodeJws(token({ ...HEADER, ...change })))).toBe('malformed')
  })

  it.each<[string, unknown, unknown]>([
    ['a duplicate alg', '{"alg":"ES256","alg":"none"}', {}],
    ['a duplicate claim', HEADER, '{"sub":"alice","sub":"admin"}'],
    ['exp = 1e400 (H13)', HEADER, '{"exp":1e400}'],
    ['a list as claims', HEADER, '[]'],
    ['null as claims', HEADER, 'null'],
    ['text as claims', HEADER, '"iss"'],
    ['a list as header', '["ES256"]', {}],
    ['a byte order mark', '\ufeff{"alg":"ES256"}', {}],
    ['no JSON', 'alg=ES256', {}],
  ])('refuses %s', async (_, header, payload) => {
    expect(await outcome(() => decodeJwt(token(header, payload)))).toBe('malformed')
  })

  it('refuses text that is not UTF-8, which would decode to one replacement for many values', async () => {
    const bytes = encodeBase64url(Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]))
    expect(await refusal(`${part(HEADER)}.${bytes}.AQID`)).toBe('malformed')
  })

  it.each([
    ['at+jwt', 'at+jwt'],
    ['AT+JWT', 'at+jwt'],
    ['application/at+jwt', 'at+jwt'],
    ['Application/AT+JWT', 'at+jwt'],
    ['JWT', 'jwt'],
    ['application/a/b', 'application/a/b'],
    ['text/at+jwt', 'text/at+jwt'],
    ['application/', 'application/'],
  ])('reads typ %s as %s (RFC 7515 section 4.1.9)', (typ, expected) => {
    expect(decodeJws(token({ ...HEADER, typ })).header.typ).toBe(expected)
  })

  it('says so when there is no typ and no kid', () => {
    expect(decodeJws(token({ alg: 'ES256' })).header).toEqual({ alg: 'ES256', kid: undefined, typ: undefined })
  })
})

describe('looking up whose rules a token must pass', () => {
  it('gives the issuer as written', () => {
    expect(peekIssuer(token(HEADER, { iss: 'https://i.example/' }))).toBe('https://i.example/')
  })

  it.each([undefined, '', null, 1, ['https://i.example'], {}])('refuses %j as issuer', async (iss) => {
    expect(await outcome(() => peekIssuer(token(HEADER, { iss })))).toBe('issuer')
  })

  it('refuses what does not decode', async () => {
    expect(await outcome(() => peekIssuer(new Secret('a.b')))).toBe('malformed')
    expect(await outcome(() => peekIssuer(token({ alg: 'none' })))).toBe('algorithm')
  })
})
