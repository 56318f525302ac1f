import { describe, expect, test } from 'vitest'
import { SeenTokens } from '../../../../src/sdk/verify/seen-tokens.ts'

const DIGEST = 'x'.repeat(42)

describe('what was seen', () => {
  test('is known by its whole digest, and by no other that begins like it', () => {
    const seen = new SeenTokens<string>(8)
    seen.add(`${DIGEST}a`, 'this')
    expect(seen.get(`${DIGEST}a`)).toBe('this')
    expect([`${DIGEST}b`, DIGEST, `${DIGEST}aa`, ''].map((digest) => seen.get(digest))).toEqual(
      Array(4).fill(undefined),
    )
  })

  test('gives way to what is seen later, the longest unused first', () => {
    const seen = new SeenTokens<number>(4)
    for (let n = 0; n < 3; n += 1) seen.add(`${n}`, n)
    expect(seen.get('0')).toBeUndefined()
    expect(seen.get('1')).toBe(1)
    expect(seen.get('2')).toBe(2)
    seen.add('3', 3)
    expect(seen.get('3')).toBe(3)
    // Three were asked for again, and there is room for two of them.
    expect(seen.get('1')).toBeUndefined()
    expect(seen.get('2')).toBe(2)
  })

  test('and is in use stays, however many others come once', () => {
    const seen = new SeenTokens<number>(100)
    for (let n = 0; n < 50; n += 1) seen.add(`used-${n}`, n)
    for (let n = 0; n < 50; n += 1) seen.get(`used-${n}`)
    for (let n = 0; n < 10_000; n += 1) seen.add(`flood-${n}`, n)
    for (let n = 0; n < 50; n += 1) expect(seen.get(`used-${n}`)).toBe(n)
  })

  test('is replaced by what is said of it anew', () => {
    const seen = new SeenTokens<string>(4)
    seen.add('a', 'old')
    seen.get('a')
    seen.add('a', 'new')
    expect(seen.get('a')).toBe('new')
    seen.add('b', 'old')
    seen.add('b', 'new')
    expect(seen.get('b')).toBe('new')
  })
})
