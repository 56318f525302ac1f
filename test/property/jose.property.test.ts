/** For all inputs: a value or a JwtError, nothing else; what was signed verifies; what was touched does not. */
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ALGORITHM_NAMES } from '../../src/jose/algorithms.ts'
import { decodeBase64url, encodeBase64url } from '../../src/jose/base64url.ts'
import { peekIssuer } from '../../src/jose/decode-jws.ts'
import { importPublicJwk, thumbprint } from '../../src/jose/jwk.ts'
import { JwtError } from '../../src/jose/jwt-error.ts'
import { parseKeySet } from '../../src/jose/key-set.ts'
import { signJwt } from '../../src/jose/sign-jwt.ts'
import { verifyBytes } from '../../src/jose/signature.ts'
import { parseStrictJson } from '../../src/jose/strict-json.ts'
import { verifyJwt } from '../../src/jose/verify-jwt.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { forge, goodClaims, goodRules, NOW, testKey } from '../unit/jose/fixtures.ts'

const key = testKey('ES256', 'k')
const HEADER = { alg: 'ES256', kid: 'k', typ: 'at+jwt' }

/** Runs it; true for a value or a JwtError. Any other throw is rethrown and fails the property. */
async function isTotal(act: () => unknown): Promise<boolean> {
  try {
    await act()
  } catch (error) {
    if (!(error instanceof JwtError)) throw error
  }
  return true
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.json(),
  fc.stringMatching(/^[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}$/),
)
const headerLike = fc.record(
  {
    alg: fc.oneof(fc.constantFrom(...ALGORITHM_NAMES, 'none', 'HS256'), fc.jsonValue()),
    kid: fc.oneof(fc.constant('k'), fc.jsonValue()),
    typ: fc.oneof(fc.constant('at+jwt'), fc.jsonValue()),
    crit: fc.jsonValue(),
    cty: fc.jsonValue(),
  },
  { requiredKeys: [] },
)
const jwkLike = fc.record(
  {
    kty: fc.oneof(fc.constantFrom('EC', 'RSA', 'OKP', 'oct'), fc.jsonValue()),
    crv: fc.oneof(fc.constantFrom('P-256', 'P-384', 'P-521', 'Ed25519', 'X25519'), fc.jsonValue()),
    alg: fc.oneof(fc.constantFrom(...ALGORITHM_NAMES), fc.jsonValue()),
    x: fc.oneof(fc.constant(key.jwk.x), fc.uint8Array({ minLength: 32, maxLength: 32 }).map(encodeBase64url), anyText),
    y: fc.oneof(fc.constant(key.jwk.y), fc.uint8Array({ minLength: 32, maxLength: 32 }).map(encodeBase64url), anyText),
    n: fc.oneof(fc.uint8Array({ minLength: 254, maxLength: 260 }).map(encodeBase64url), anyText),
    e: fc.oneof(fc.constant('AQAB'), fc.uint8Array({ maxLength: 6 }).map(encodeBase64url)),
    kid: fc.jsonValue(),
    use: fc.oneof(fc.constant('sig'), fc.jsonValue()),
    d: fc.jsonValue(),
  },
  { requiredKeys: ['kty'] },
)

describe('any input gives a value or a JwtError', () => {
  it('JSON, base64url, tokens', async () => {
    await fc.assert(
      fc.asyncProperty(anyText, async (text) => {
        await isTotal(() => parseStrictJson(text))
        await isTotal(() => decodeBase64url(text, 'it'))
        await isTotal(() => peekIssuer(new Secret(text)))
        return isTotal(() => verifyJwt(new Secret(text), goodRules(key)))
      }),
      { numRuns: 500 },
    )
  })

  it('tokens whose signature holds, with any header and claims', async () => {
    const payload = fc.oneof(
      fc.json(),
      fc.dictionary(fc.constantFrom('iss', 'aud', 'exp', 'nbf', 'iat', 'sub', 'jti'), fc.jsonValue()).map(goodClaims),
    )
    await fc.assert(
      fc.asyncProperty(headerLike, payload, async (header, claims) => {
        const token = await forge(key, header, claims)
        return isTotal(() => verifyJwt(token, goodRules(key)))
      }),
      { numRuns: 400 },
    )
  })

  it('JWKs, key sets, thumbprints, and signatures of any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(jwkLike, fc.jsonValue()),
        fc.option(fc.constantFrom(...ALGORITHM_NAMES, 'none'), { nil: undefined }),
        fc.uint8Array({ maxLength: 260 }),
        async (jwk, alg, signature) => {
          await isTotal(async () => {
            const imported = importPublicJwk(jwk, alg)
            expect(await verifyBytes(imported.alg, imported.key, 'm', signature)).toBe(false)
          })
          await isTotal(() => thumbprint(jwk))
          return isTotal(() => parseKeySet({ keys: [jwk, key.jwk] }, ALGORITHM_NAMES))
        },
      ),
      { numRuns: 400 },
    )
  })
})

describe('strict JSON', () => {
  const honest = fc.jsonValue({ maxDepth: 6, stringUnit: 'grapheme' }).filter((value) => {
    const text = JSON.stringify(value)
    return text.isWellFormed() && !text.includes('__proto__') && !/\de\+\d|\d{16}/.test(text)
  })

  it('reads honest documents as JSON.parse does, however they are spaced', () => {
    fc.assert(
      fc.property(honest, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space)
        expect(parseStrictJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  it('comes to one verdict on a text, whether it is written as JSON.stringify writes or not', () => {
    const trap = fc.constantFrom(
      '"a":1,',
      '{"a":1,"a":1}',
      '1e400',
      '1e+21',
      '9007199254740992',
      '"__proto__":1',
      '[',
      '\\',
      '\ud800',
    )
    const edited = fc
      .tuple(fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }), fc.nat(), trap, fc.boolean())
      .map(([value, at, text, plain]) => {
        const honestText = JSON.stringify(value)
        const cut = at % (honestText.length + 1)
        return plain ? honestText : `${honestText.slice(0, cut)}${text}${honestText.slice(cut)}`
      })
    const verdict = (text: string): unknown => {
      try {
        return { value: parseStrictJson(text) }
      } catch (error) {
        return error instanceof JwtError ? error.code : error
      }
    }
    fc.assert(
      fc.property(edited, (text) => {
        // The space is what JSON.stringify would not have written.
        expect(verdict(text)).toEqual(verdict(`${text} `))
      }),
      { numRuns: 2_000 },
    )
  })

  it('refuses any object that repeats a member, wherever it stands and however it is escaped', () => {
    const inEscapes = (name: string): string =>
      `"${[...name].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`
    const name = fc.stringMatching(/^[a-z"\\ {}:,]{0,6}$/)
    fc.assert(
      fc.property(name, honest, honest, fc.boolean(), fc.nat(5), (member, first, second, escaped, depth) => {
        const again = escaped ? inEscapes(member) : JSON.stringify(member)
        const twice = `{${JSON.stringify(member)}:${JSON.stringify(first)},"other":0,${again}:${JSON.stringify(second)}}`
        const text = `${'{"in":['.repeat(depth)}${twice}${']}'.repeat(depth)}`
        expect(() => parseStrictJson(text)).toThrow(JwtError)
      }),
    )
  })
})

describe('base64url', () => {
  it('has one spelling per value', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.nat(),
        fc.constantFrom(...'AQgw_-=+/ \n.'),
        (bytes, at, char) => {
          const text = encodeBase64url(bytes)
          expect(new Uint8Array(decodeBase64url(text, 'it'))).toEqual(bytes)
          const index = at % (text.length + 1)
          const other = text.slice(0, index) + char + text.slice(index + 1)
          if (other === text) return
          try {
            expect(new Uint8Array(decodeBase64url(other, 'it'))).not.toEqual(bytes)
          } catch (error) {
            expect(error).toBeInstanceOf(JwtError)
          }
        },
      ),
    )
  })
})

describe('signatures', () => {
  const keys = ['ES256', 'ES512', 'RS256', 'PS256', 'Ed25519'].map((alg) => testKey(alg))
  const claimSet = fc
    .dictionary(fc.stringMatching(/^x_[a-z]{1,8}$/), fc.jsonValue({ maxDepth: 3, stringUnit: 'grapheme' }))
    .filter((claims) => {
      const text = JSON.stringify(claims)
      return text.isWellFormed() && !text.includes('__proto__') && !/\de\+\d|\d{16}/.test(text)
    })

  it('verify what was signed, with any claims', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...keys), claimSet, async (by, extra) => {
        const claims = goodClaims(extra)
        const token = new Secret(await signJwt(by.signing, 'at+jwt', claims))
        const jwt = await verifyJwt(token, goodRules(by))
        expect(jwt.claims).toEqual(JSON.parse(JSON.stringify(claims)))
        expect(jwt.expiresAt).toBe(NOW + 300)
      }),
      { numRuns: 100 },
    )
  })

  it('break with any single bit of header, payload or signature', async () => {
    const tokens = await Promise.all(keys.map(async (by) => ({ by, text: (await forge(by, headerOf(by))).reveal() })))
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...tokens), fc.nat(2), fc.nat(), async ({ by, text }, part, bit) => {
        const parts = text.split('.')
        const bytes = Buffer.from(parts[part] ?? '', 'base64url')
        const at = bit % (bytes.length * 8)
        bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7))
        parts[part] = encodeBase64url(bytes)
        const attempt = verifyJwt(new Secret(parts.join('.')), goodRules(by))
        await expect(attempt).rejects.toBeInstanceOf(JwtError)
        // A flipped header or payload may fail earlier, as no JSON; a flipped signature must fail as one.
        if (part === 2) await expect(attempt).rejects.toMatchObject({ code: 'signature' })
      }),
      { numRuns: 400 },
    )
  })

  it('break with any character changed, added or removed', async () => {
    const text = (await forge(key, HEADER)).reveal()
    const edit = fc.constantFrom<'change' | 'add' | 'remove'>('change', 'add', 'remove')
    await fc.assert(
      fc.asyncProperty(
        edit,
        fc.nat(text.length - 1),
        fc.constantFrom(...'AZaz09-_.= \n\u0000é'),
        async (how, at, char) => {
          const rest = text.slice(how === 'add' ? at : at + 1)
          const other = text.slice(0, at) + (how === 'remove' ? '' : char) + rest
          if (other === text) return
          await expect(verifyJwt(new Secret(other), goodRules(key))).rejects.toBeInstanceOf(JwtError)
        },
      ),
      { numRuns: 400 },
    )
  })

  it('are refused without a word of the token in the error', async () => {
    const marker = 'hunter2hunter2'
    const claims = fc.constantFrom('iss', 'aud', 'exp', 'nbf', 'iat', 'sub', 'jti', 'nested')
    const value = fc.constantFrom<unknown>(marker, [marker, marker], { [marker]: marker }, `${marker}\n`)
    await fc.assert(
      fc.asyncProperty(claims, value, fc.boolean(), async (claim, wrong, inHeader) => {
        const header = inHeader ? { ...HEADER, kid: marker, typ: marker } : HEADER
        const token = await forge(key, header, goodClaims({ [claim]: wrong }))
        const error: unknown = await verifyJwt(token, goodRules(key)).catch((thrown: unknown) => thrown)
        const shown = error instanceof Error ? inspect(error, { showHidden: true, depth: 20 }) : ''
        expect(shown).not.toContain(marker)
        expect(shown).not.toContain(token.reveal().slice(-20))
      }),
      { numRuns: 100 },
    )
  })
})

function headerOf(by: ReturnType<typeof testKey>): Record<string, unknown> {
  return { alg: by.signing.alg, kid: by.signing.kid, typ: 'at+jwt' }
}
