/**
 * Wycheproof's JOSE vectors through our own importer and verifier: not one invalid vector may be accepted, and every valid
 * one that is refused stands below with the reason.
 */
import { describe, expect, it } from 'vitest'
import { ALGORITHM_NAMES } from '../../src/jose/algorithms.ts'
import { decodeBase64url } from '../../src/jose/base64url.ts'
import { decodeJws } from '../../src/jose/decode-jws.ts'
import { importPublicJwk } from '../../src/jose/jwk.ts'
import { JwtError } from '../../src/jose/jwt-error.ts'
import { KeySet, parseKeySet } from '../../src/jose/key-set.ts'
import { verifyJws } from '../../src/jose/verify-jws.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { readVectors } from './vectors-folder.ts'

const PROJECT = 'https://github.com/C2SP/wycheproof (testvectors_v1)'

interface Vector {
  readonly tcId: number
  readonly comment: string
  readonly jws: unknown
  readonly result: 'valid' | 'invalid'
}

interface Group {
  readonly comment: string
  readonly public?: { readonly keys?: unknown }
  readonly private: { readonly keys?: unknown }
  readonly tests: readonly Vector[]
}

interface Case extends Vector {
  readonly group: string
  readonly key: { readonly keys?: unknown }
}

const SYMMETRIC = 'HMAC: symmetric algorithms do not exist here (RFC 8725 section 3.1)'
const SYMMETRIC_SET = 'a set with symmetric keys is refused whole'
const OTHER_ALG = 'the JWK is for PS256, the token says PS384: one key, one algorithm (RFC 8725 section 3.1)'
const ES521 = 'ES521 is not an algorithm; P-521 signs ES512 (RFC 7518 section 3.4)'

/** Valid by Wycheproof, refused by us, by design. */
const REFUSED_BY_DESIGN: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  'json_web_signature_test.json': {
    1: SYMMETRIC,
    346: OTHER_ALG,
    347: ES521,
    348: SYMMETRIC,
    350: OTHER_ALG,
    351: ES521,
    352: SYMMETRIC,
    357: SYMMETRIC,
    358: SYMMETRIC,
    359: SYMMETRIC,
    372: SYMMETRIC,
    373: SYMMETRIC,
    376: SYMMETRIC,
    377: SYMMETRIC,
  },
  'json_web_key_test.json': { 2: SYMMETRIC_SET, 13: SYMMETRIC_SET, 14: SYMMETRIC_SET, 15: SYMMETRIC_SET },
  // Its other groups are JWE, which Errand does not read.
  'json_web_crypto_test.json': { 1: SYMMETRIC, 48: SYMMETRIC_SET },
}

/** How many vectors of each file are JWS: a file that silently lost its cases would otherwise pass. */
const COUNTS: Readonly<Record<string, number>> = {
  'json_web_signature_test.json': 401,
  'json_web_key_test.json': 26,
  'json_web_crypto_test.json': 49,
}

function casesOf(file: string): readonly Case[] | undefined {
  const document = readVectors(`wycheproof/${file}`, PROJECT) as { testGroups: readonly Group[] } | undefined
  return document?.testGroups.flatMap((group) =>
    group.tests
      .filter((vector) => vector.jws !== undefined)
      .map((vector) => ({ ...vector, group: group.comment, key: group.public ?? group.private })),
  )
}

async function verdict({ key, jws }: Case): Promise<string> {
  try {
    const keys = key.keys === undefined ? KeySet.of([importPublicJwk(key)]) : parseKeySet(key, ALGORITHM_NAMES)
    await verifyJws(decodeJws(new Secret(typeof jws === 'string' ? jws : JSON.stringify(jws))), {
      keys,
      algorithms: ALGORITHM_NAMES,
    })
    return 'valid'
  } catch (error) {
    if (error instanceof JwtError) return 'invalid'
    throw error
  }
}

describe.each(Object.keys(COUNTS))('Wycheproof %s', (file) => {
  const cases = casesOf(file)
  const byDesign = REFUSED_BY_DESIGN[file] ?? {}

  it.skipIf(cases === undefined)('is complete', () => {
    expect(cases?.length).toBe(COUNTS[file])
  })

  for (const one of cases ?? []) {
    const reason = byDesign[one.tcId]
    const expected = reason === undefined ? one.result : 'invalid'
    it(`#${one.tcId} ${one.group} ${one.comment}: ${expected}${reason === undefined ? '' : ` (${reason})`}`, async () => {
      expect(await verdict(one)).toBe(expected)
      // An exception for a vector that is invalid anyway would hide nothing, and so has no place in the list.
      if (reason !== undefined) expect(one.result).toBe('valid')
    })
  }
})

describe('Wycheproof keys that must not be imported', () => {
  const refused = [
    ...['jws_rsa_roca_key', 'keysize_too_small', 'exponentOne', 'wrong_algorithm', 'invalid_algorithm', 'invalid_use'],
    ...['invalid_point', 'wrong_curve', 'wrong_kty'],
  ]
  const cases = casesOf('json_web_key_test.json')?.filter(({ group }) => refused.includes(group))

  it.skipIf(cases === undefined)('are all there', () => {
    expect(cases?.map(({ group }) => group).sort()).toEqual(refused.sort())
  })

  for (const { tcId, group, key } of cases ?? []) {
    it(`#${tcId} ${group}: the key itself is refused, before any token`, () => {
      const jwks = Array.isArray(key.keys) ? key.keys : [key]
      for (const jwk of jwks) expect(() => importPublicJwk(jwk)).toThrow(JwtError)
    })
  }
})

// The group's keys are symmetric, so the verifier refuses all of it; its spellings are tried on the decoder alone.
describe('Wycheproof base64 spellings', () => {
  const cases = casesOf('json_web_signature_test.json')?.filter(({ group }) => group === 'base64')
  /** Called valid for decoders that skip foreign characters; ours does not. */
  const lenient = [372, 373]
  /** Letter for letter the same token as 357, which is valid: the padding they are named after was lost upstream. */
  const sameAs357 = [367, 370]

  it.skipIf(cases === undefined)('are all there', () => {
    expect(cases?.length).toBe(21)
    const text = (id: number): unknown => cases?.find(({ tcId }) => tcId === id)?.jws
    expect(sameAs357.map(text)).toEqual([text(357), text(357)])
  })

  for (const { tcId, comment, jws, result } of cases ?? []) {
    const canonical = sameAs357.includes(tcId) || (result === 'valid' && !lenient.includes(tcId))
    it(`#${tcId} ${comment}: ${canonical ? 'decodes' : 'is refused'}`, () => {
      const parts = String(jws).split('.')
      const decode = (): unknown => parts.map((part) => decodeBase64url(part, 'a part'))
      if (canonical) expect(decode).not.toThrow()
      else expect(decode).toThrow(JwtError)
    })
  }
})
