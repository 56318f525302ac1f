import { describe, expect, test } from 'vitest'
import {
  admits,
  isNarrower,
  meetArgument,
  parseArgumentConstraint,
} from '../../../src/authority/argument-constraint.ts'
import type { ArgumentConstraint } from '../../../src/authority/authority.ts'
import { CONSTRAINT_STRING_CHARS_MAX, ENUM_MEMBERS_MAX } from '../../../src/kernel/limits.ts'
import { refusalOf } from './refusal.ts'

describe('parseArgumentConstraint', () => {
  const refused: readonly [title: string, value: unknown, reason: string, place: string][] = [
    ['an unknown member', { pattern: '^a' }, 'details_unknown', 'arg'],
    ['an inherited name as a member', JSON.parse('{"__proto__":{"const":1}}'), 'details_unknown', 'arg'],
    ['a member in other letter case', { Const: 1 }, 'details_unknown', 'arg'],
    ['a string for an object', 'revenue', 'details_malformed', 'arg'],
    ['null', null, 'details_malformed', 'arg'],
    ['an array', [1], 'details_malformed', 'arg'],
    ['a const that is null', { const: null }, 'details_malformed', 'arg.const'],
    ['a const that is an object', { const: {} }, 'details_malformed', 'arg.const'],
    ['a const beyond the integers that JSON readers agree on', { const: 2 ** 53 }, 'details_malformed', 'arg.const'],
    ['a const with a lone surrogate', { const: '\ud800' }, 'details_malformed', 'arg.const'],
    ['a const of 1025 characters', { const: 'a'.repeat(1025) }, 'details_malformed', 'arg.const'],
    ['an empty enum', { enum: [] }, 'details_malformed', 'arg.enum'],
    ['an enum that is no array', { enum: 'a' }, 'details_malformed', 'arg.enum'],
    ['an enum of objects', { enum: ['a', {}] }, 'details_malformed', 'arg.enum[1]'],
    ['an enum that repeats a value', { enum: ['a', 'a'] }, 'details_malformed', 'arg.enum'],
    ['an enum that repeats 0 as -0', { enum: [0, -0] }, 'details_malformed', 'arg.enum'],
    ['too long an enum', { enum: [...Array(ENUM_MEMBERS_MAX + 1).keys()] }, 'details_malformed', 'arg.enum'],
    ['a minimum as a string', { minimum: '1' }, 'details_malformed', 'arg.minimum'],
    ['an infinite maximum', JSON.parse('{"maximum":1e999}'), 'details_malformed', 'arg.maximum'],
    ['a null maximum', { maximum: null }, 'details_malformed', 'arg.maximum'],
    ['a negative maxLength', { maxLength: -1 }, 'details_malformed', 'arg.maxLength'],
    ['a fractional maxItems', { maxItems: 1.5 }, 'details_malformed', 'arg.maxItems'],
    ['an empty prefix, which restricts nothing', { prefix: '' }, 'details_malformed', 'arg.prefix'],
    ['a prefix that is no text', { prefix: 5 }, 'details_malformed', 'arg.prefix'],
    [
      'a minimum beyond the integers that JSON readers agree on',
      { minimum: -(2 ** 53) },
      'details_malformed',
      'arg.minimum',
    ],
    ['a prefix with ..', { prefix: '/data/../etc' }, 'details_malformed', 'arg.prefix'],
    ['a prefix with a backslash', { prefix: 'C:\\data' }, 'details_malformed', 'arg.prefix'],
    ['a prefix with a percent sign', { prefix: '/data%2f' }, 'details_malformed', 'arg.prefix'],
    ['an empty range', { minimum: 2, maximum: 1 }, 'details_malformed', 'arg'],
    ['a prefix longer than maxLength', { prefix: 'abc', maxLength: 2 }, 'details_malformed', 'arg'],
    ['minimum with prefix', { minimum: 1, prefix: 'a' }, 'details_malformed', 'arg'],
    ['maxItems with maxLength', { maxItems: 1, maxLength: 1 }, 'details_malformed', 'arg'],
    ['const with enum', { const: 1, enum: [1] }, 'details_malformed', 'arg'],
    ['const with maximum', { const: 1, maximum: 2 }, 'details_malformed', 'arg'],
  ]
  test.each(refused)('refuses %s', (_title, value, reason, place) => {
    const refusal = refusalOf(() => parseArgumentConstraint(value, 'arg'))
    expect(refusal.reason).toBe(reason)
    expect(refusal.message.split(' ')[0]).toBe(place)
    // A place alone would not say what to change.
    expect(refusal.message).toMatch(/^\S+ \S/)
  })

  test('says which members do not go together', () => {
    const refusal = refusalOf(() => parseArgumentConstraint({ maxItems: 1, prefix: 'a', minimum: 1 }, 'arg'))
    expect(refusal.message).toBe('arg mixes minimum and prefix and maxItems, which no one value can be held to')
  })

  const kept: readonly ArgumentConstraint[] = [
    {},
    { const: '' },
    { const: false },
    { enum: ['revenue'] },
    { enum: [1, '1', true] },
    { enum: [...Array(ENUM_MEMBERS_MAX).keys()] },
    { const: 'a'.repeat(CONSTRAINT_STRING_CHARS_MAX) },
    { minimum: -1.5 },
    { minimum: 0, maximum: 500 },
    { maxLength: 280 },
    { prefix: '/data/', maxLength: 64 },
    { maxItems: 0 },
  ]
  test.each(kept)('keeps %j as written', (constraint) => {
    expect(parseArgumentConstraint(constraint, 'arg')).toEqual(constraint)
  })

  const settled: readonly [ArgumentConstraint, ArgumentConstraint][] = [
    [{ minimum: 5, maximum: 5 }, { const: 5 }],
    [{ maxLength: 0 }, { const: '' }],
    [{ prefix: 'abc', maxLength: 3 }, { const: 'abc' }],
    [{ prefix: 'a😀', maxLength: 2 }, { const: 'a😀' }],
  ]
  test.each(settled)('gives %j, which admits one value, the form %j', (written, form) => {
    expect(parseArgumentConstraint(written, 'arg')).toEqual(form)
  })

  test('writes -0 as 0, so that equal numbers are spelled the same', () => {
    expect(Object.is(parseArgumentConstraint({ const: -0 }, 'arg').const, 0)).toBe(true)
    expect(Object.is(parseArgumentConstraint({ minimum: -0 }, 'arg').minimum, 0)).toBe(true)
  })
})

describe('admits', () => {
  const cases: readonly [ArgumentConstraint, admitted: readonly unknown[], refused: readonly unknown[]][] = [
    [{}, [undefined, null, 1, 'a', [], {}], []],
    [{ const: '5' }, ['5'], [5, ['5'], '5 ', undefined, null]],
    [{ const: 0 }, [0, -0], [false, '', null, '0']],
    [{ enum: [1, 'a', true] }, [1, 'a', true], [2, '1', 'true', [1], undefined]],
    [{ minimum: 1 }, [1, 1.5, 1e300], [0.999, '1', Number.NaN, Number.POSITIVE_INFINITY, [2], null, 5n]],
    [{ maximum: 500 }, [500, -1e300], [500.001, '5', Number.NEGATIVE_INFINITY, Number.NaN]],
    [{ maxLength: 2 }, ['', 'ab', '😀😀'], ['abc', '😀😀😀', ['a'], 12, { length: 1 }]],
    [{ maxItems: 2 }, [[], [1, 2]], [[1, 2, 3], 'ab', { length: 1 }]],
    [
      { prefix: '/data/' },
      ['/data/', '/data/x', '/data/a.b'],
      ['/dat', ' /data/', '/data/../etc', '/data/..', '/data/\\..', '/data/%2e%2e/', ['/data/'], '/DATA/x'],
    ],
    [{ prefix: '/data.' }, ['/data.x'], ['/data./etc'.replace('./', '../')]],
  ]
  test.each(cases)('%j', (constraint, admitted, refused) => {
    for (const value of admitted) expect(admits(constraint, value), String(value)).toBe(true)
    for (const value of refused) expect(admits(constraint, value), String(value)).toBe(false)
  })
})

describe('isNarrower', () => {
  const cases: readonly [child: ArgumentConstraint, parent: ArgumentConstraint, expected: boolean][] = [
    [{ minimum: 2, maximum: 5 }, { minimum: 1, maximum: 10 }, true],
    [{ minimum: 1, maximum: 100 }, { minimum: 1, maximum: 10 }, false],
    [{ minimum: 2 }, { minimum: 1, maximum: 10 }, false],
    [{ maximum: 5 }, { minimum: 1 }, false],
    [{ minimum: 1 }, { minimum: 2 }, false],
    [{ minimum: 2 }, { minimum: 2 }, true],
    [{ minimum: 2 }, { const: 2 }, false],
    [{}, { enum: [1, 2] }, false],
    [{ maxLength: 5 }, { prefix: 'a' }, false],
    [{ const: 5 }, { minimum: 5, maximum: 6 }, true],
    [{ const: 7 }, { minimum: 5, maximum: 6 }, false],
    [{ const: '5' }, { minimum: 5 }, false],
    [{ enum: ['a', 'b'] }, { enum: ['c', 'b', 'a'] }, true],
    [{ enum: ['a', 'd'] }, { enum: ['c', 'b', 'a'] }, false],
    [{ const: 'a' }, { enum: ['a', 'b'] }, true],
    [{ enum: ['a'] }, { const: 'a' }, true],
    [{ prefix: '/data/x' }, { prefix: '/data/' }, true],
    [{ prefix: '/dat' }, { prefix: '/data/' }, false],
    [{ const: '/data/x' }, { prefix: '/data/' }, true],
    [{ const: '/data/../etc' }, { prefix: '/data/' }, false],
    [{ prefix: '/data/' }, { maxLength: 10 }, false],
    [{ prefix: '/data/', maxLength: 9 }, { maxLength: 10 }, true],
    [{ const: 'abc' }, { maxLength: 2 }, false],
    [{ maxItems: 1 }, { maxItems: 2 }, true],
    [{ maxItems: 3 }, { maxItems: 2 }, false],
    [{}, { maxLength: 10 }, false],
    [{ maxLength: 10 }, {}, true],
    [{}, {}, true],
  ]
  test.each(cases)('%j under %j: %s', (child, parent, expected) => {
    expect(isNarrower(child, parent)).toBe(expected)
  })
})

describe('meetArgument', () => {
  const cases: readonly [ArgumentConstraint, ArgumentConstraint, ArgumentConstraint | undefined][] = [
    [{ minimum: 1, maximum: 10 }, { minimum: 5 }, { minimum: 5, maximum: 10 }],
    [{ maximum: 5 }, { minimum: 5 }, { const: 5 }],
    [{ maximum: 4 }, { minimum: 5 }, undefined],
    [{ enum: ['a', 'b', 'c'] }, { enum: ['c', 'b'] }, { enum: ['b', 'c'] }],
    [{ enum: ['a', 'b'] }, { enum: ['c'] }, undefined],
    [{ enum: ['a', 'b'] }, { const: 'b' }, { const: 'b' }],
    [{ enum: [1, 5, 'a'] }, { minimum: 2 }, { const: 5 }],
    [{ prefix: 'a' }, { prefix: 'ab' }, { prefix: 'ab' }],
    [{ prefix: 'a' }, { prefix: 'b' }, undefined],
    [{ prefix: 'ab' }, { prefix: 'ab', maxLength: 5 }, { prefix: 'ab', maxLength: 5 }],
    [{ enum: ['a'] }, { maxLength: 5 }, { enum: ['a'] }],
    [{ maxLength: 3 }, { maxLength: 5 }, { maxLength: 3 }],
    [{ prefix: 'ab' }, { maxLength: 9 }, { prefix: 'ab', maxLength: 9 }],
    [{ prefix: 'ab' }, { maxLength: 1 }, undefined],
    [{ minimum: 1 }, { maxLength: 1 }, undefined],
    [{}, { maxItems: 1 }, { maxItems: 1 }],
    [{}, {}, {}],
  ]
  test.each(cases)('%j and %j leave %j', (a, b, expected) => {
    expect(meetArgument(a, b)).toStrictEqual(expected)
    expect(meetArgument(b, a) === undefined).toBe(expected === undefined)
  })
})
