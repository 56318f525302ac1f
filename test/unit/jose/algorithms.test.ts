import { describe, expect, it } from 'vitest'
import { ALGORITHM_NAMES, algorithmOfCurve, findAlgorithm } from '../../../src/jose/algorithms.ts'
import { isName } from '../../../src/jose/name.ts'
import { NAME_CHARS_MAX } from '../../../src/kernel/limits.ts'

describe('the registry of algorithms (RFC 8725 section 3.1)', () => {
  it('holds these and no others', () => {
    expect([...ALGORITHM_NAMES].sort()).toEqual(
      'ES256 ES384 ES512 Ed25519 EdDSA PS256 PS384 PS512 RS256 RS384 RS512'.split(' '),
    )
  })

  it.each([
    'none',
    'None',
    'nOnE',
    '',
    'HS256',
    'HS384',
    'HS512',
    'es256',
    'ES256K',
    'RSA1_5',
    'RSA-OAEP',
    'dir',
  ])('does not know %j', (name) => expect(findAlgorithm(name)).toBeUndefined())

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('does not find the inherited %s', (name) => {
    expect(findAlgorithm(name)).toBeUndefined()
  })

  it('takes EdDSA for the old name of Ed25519 (RFC 9864)', () => {
    expect(findAlgorithm('EdDSA')).toBe(findAlgorithm('Ed25519'))
    expect(findAlgorithm('EdDSA')?.name).toBe('Ed25519')
  })

  it('knows the one algorithm of each curve, and none for a missing one', () => {
    const names = ['P-256', 'P-384', 'P-521', 'Ed25519', 'Ed448', 'secp256k1', undefined, null, 256]
    expect(names.map((crv) => algorithmOfCurve(crv)?.name)).toEqual([
      ...['ES256', 'ES384', 'ES512', 'Ed25519'],
      ...Array(5).fill(undefined),
    ])
  })
})

describe('names chosen by strangers', () => {
  it('are accepted up to their bound', () => {
    expect(['a', 'user@example.com', 'ü 日本', 'x'.repeat(NAME_CHARS_MAX)].every(isName)).toBe(true)
  })

  it.each([
    ['empty', ''],
    ['too long', 'x'.repeat(NAME_CHARS_MAX + 1)],
    ['forging a log line', 'alice\nadmin logged in'],
    ['moving the cursor', 'a\u001b[2K'],
    ['C1 control', 'a\u0085b'],
    ['line separator', 'a\u2028b'],
    ['NUL', 'admin\u0000'],
    ['not a string', 7],
    ['null', null],
    ['a list', ['a']],
  ])('are refused when %s', (_, value) => expect(isName(value)).toBe(false))
})
