/** One text for one meaning, and never one for two: what an approver has read is what the retry is compared by. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalArguments } from '../../src/calls/approvals/canonical-arguments.ts'
import { parseStrictJson } from '../../src/jose/strict-json.ts'
import { Rejection } from '../../src/kernel/rejection.ts'

type Arguments = Record<string, unknown>

const name = fc.string({ unit: 'binary', maxLength: 6 }).filter((text) => text !== '__proto__')
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.constantFrom('1', 'é', 'e\u0301', 'a', '\u0430', '\u200b', '', ' '),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }),
    fc.constantFrom(0, -0, 1, 0.1, 1e21 / 1e21),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(name, tie('any'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).any
const given = fc.dictionary(name, value, { maxKeys: 4, noNullPrototype: true })

/** As another writer might: other order, white space, escapes, other ways of writing the same number. */
function written(one: unknown, pick: () => number): string {
  const gap = pick() % 3 === 0 ? ' ' : ''
  if (Array.isArray(one)) return `[${gap}${one.map((member) => written(member, pick)).join(`${gap},`)}]`
  if (typeof one === 'object' && one !== null) {
    const members = Object.entries(one)
    const turned = pick() % 2 === 0 ? members : members.toReversed()
    return `{${turned.map(([key, member]) => `${spelt(key, pick)}:${gap}${written(member, pick)}`).join(',')}}`
  }
  if (typeof one === 'string') return spelt(one, pick)
  if (typeof one === 'number' && Number.isInteger(one) && Math.abs(one) < 1e6 && pick() % 2 === 0) {
    return pick() % 2 === 0 ? `${one}.0` : `${one}e0`
  }
  return Object.is(one, -0) ? '-0' : JSON.stringify(one)
}

function spelt(text: string, pick: () => number): string {
  if (pick() % 2 === 0) return JSON.stringify(text)
  return `"${[...Array(text.length).keys()].map((at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`
}

/** Compares as JSON does: there is one zero. */
function isSame(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(one)), JSON.parse(JSON.stringify(other)))
}

describe('canonical arguments', () => {
  test('are one text, however they were written', () => {
    fc.assert(
      fc.property(given, fc.array(fc.nat(), { minLength: 64, maxLength: 64 }), (args, picks) => {
        let at = 0
        const pick = () => picks[at++ % picks.length] ?? 0
        const again = parseStrictJson(written(args, pick)) as Arguments
        expect(canonicalArguments(again)).toEqual(canonicalArguments(args))
      }),
    )
  })

  test('are another text for any other value, and read back they are the value', () => {
    fc.assert(
      fc.property(given, given, (one, other) => {
        const { text, digest } = canonicalArguments(one)
        expect(isSame(JSON.parse(text), one)).toBe(true)
        expect(digest === canonicalArguments(other).digest).toBe(isSame(one, other))
      }),
    )
  })

  test('one changed member is another digest', () => {
    fc.assert(
      fc.property(given, name, value, (args, key, changed) => {
        const other = { ...args, [key]: changed }
        fc.pre(!isSame(args, other))
        expect(canonicalArguments(other).digest).not.toBe(canonicalArguments(args).digest)
      }),
    )
  })

  test.each<[string, Arguments]>([
    ['a lone surrogate', { a: '\ud800' }],
    ['a lone surrogate in a name', { '\udfff': 1 }],
    ['a number beyond doubles', { a: Number.POSITIVE_INFINITY }],
    ['no number', { a: Number.NaN }],
    ['an integer that is no longer exact', { a: 2 ** 53 }],
    ['nothing', { a: undefined }],
    ['a function', { a: () => 1 }],
    ['too deep', { a: [...Array(30)].reduce((inner: unknown) => [inner], 1) }],
    ['too long', { a: 'x'.repeat(8 * 1024) }],
    ['too long in bytes', { a: 'é'.repeat(4 * 1024) }],
  ])('refuse what cannot be compared or read: %s', (_what, args) => {
    expect(() => canonicalArguments(args)).toThrow(Rejection)
    try {
      canonicalArguments(args)
    } catch (error) {
      expect((error as Rejection).reason).toBe('approval_arguments')
    }
  })
})
