import { describe, expect, test } from 'vitest'
import type { ToolConstraints } from '../../../src/authority/authority.ts'
import {
  argumentsRefusal,
  encodeToolConstraints,
  isUnconstrained,
  meetTool,
  narrowsTool,
  parseToolConstraints,
} from '../../../src/authority/constraints.ts'
import { ARGUMENTS_PER_TOOL_MAX } from '../../../src/kernel/limits.ts'
import { refusalOf } from './refusal.ts'

const tool = (raw: unknown): ToolConstraints => parseToolConstraints(raw, 'tool')

describe('parseToolConstraints', () => {
  test('reads an argument per member, and none as the unconstrained tool', () => {
    expect([...tool({ table: { enum: ['revenue'] }, text: {} })]).toEqual([
      ['table', { enum: ['revenue'] }],
      ['text', {}],
    ])
    expect(tool({}).size).toBe(0)
  })

  test('gives an open set that constrains nothing the form of the unconstrained tool', () => {
    expect(tool({ '*': {} }).size).toBe(0)
    expect(tool({ '*': {}, text: {} }).size).toBe(0)
    expect([...tool({ '*': {}, text: {}, limit: { maximum: 5 } }).keys()]).toEqual(['*', 'limit'])
    expect(isUnconstrained(new Map([['*', {}]]))).toBe(true)
    expect(isUnconstrained(new Map([['text', {}]]))).toBe(false)
  })

  test('refuses a constraint on "*": what is not listed cannot be held to anything', () => {
    expect(refusalOf(() => tool({ '*': { maxLength: 5 } })).reason).toBe('details_malformed')
  })

  test('names the place of what it refuses, in the characters RFC 6749 §5.2 allows', () => {
    const refusal = refusalOf(() => tool({ 'li"m\nit\u202e': { maximum: 'x' } }))
    expect(refusal.message).toBe(`tool.'li?m?it?'.maximum must be a number`)
    expect(refusalOf(() => tool({ limit: { below: 5 } })).missing[0]).toContain('maximum')
  })

  test('says what is wrong, not only where', () => {
    for (const raw of [
      { '': {} },
      { '*': { maxLength: 5 } },
      Object.fromEntries([...Array(65)].map((_, n) => [n, {}])),
    ]) {
      expect(refusalOf(() => tool(raw)).message).toMatch(/^\S+ \S/)
    }
    expect(refusalOf(() => tool({ '*': { maxLength: 5 } })).message).toBe("tool.'*' must be {}")
    expect(tool({ ['a'.repeat(256)]: {} }).size).toBe(1)
  })

  test('refuses names that are empty, ill-formed or too long, and too many of them', () => {
    for (const name of ['', '\ud800', 'a'.repeat(257)]) {
      expect(refusalOf(() => tool({ [name]: {} })).reason).toBe('details_malformed')
    }
    const many = (count: number) => Object.fromEntries([...Array(count).keys()].map((index) => [`a${index}`, {}]))
    expect(tool(many(ARGUMENTS_PER_TOOL_MAX)).size).toBe(ARGUMENTS_PER_TOOL_MAX)
    expect(refusalOf(() => tool(many(ARGUMENTS_PER_TOOL_MAX + 1))).reason).toBe('details_malformed')
  })

  test('holds arguments called __proto__ and constructor like any other, in and out', () => {
    const text = '{"__proto__":{"const":1},"constructor":{"const":2}}'
    const constraints = tool(JSON.parse(text))
    expect(argumentsRefusal(constraints, JSON.parse('{"__proto__":1,"constructor":2}'))).toBeUndefined()
    expect(argumentsRefusal(constraints, JSON.parse('{"__proto__":3,"constructor":2}'))).toContain(
      `'__proto__' must be 1`,
    )
    expect(argumentsRefusal(constraints, {})).toContain('is missing')
    expect(JSON.stringify(encodeToolConstraints(constraints))).toBe(text)
  })
})

describe('argumentsRefusal', () => {
  const post = tool({ channel: { const: '#finance' }, limit: { maximum: 500 }, text: {} })

  test('allows a call with every constrained argument in bounds, and free arguments given or not', () => {
    expect(argumentsRefusal(post, { channel: '#finance', limit: 500 })).toBeUndefined()
    expect(argumentsRefusal(post, { channel: '#finance', limit: -1, text: { any: 'thing' } })).toBeUndefined()
  })

  test('names the argument and what it must be, and never echoes the value given', () => {
    const refusal = argumentsRefusal(post, { channel: '#secret-value', limit: 1 })
    expect(refusal).toBe(`argument 'channel' must be '#finance'`)
    expect(argumentsRefusal(post, { channel: '#finance', limit: 1, 'drop"': 1 })).toBe(
      `argument 'drop?' is not among those allowed`,
    )
    expect(argumentsRefusal(post, { channel: '#finance' })).toBe(
      `argument 'limit' is missing: it must be a number of at most 500`,
    )
  })

  test('does not count what an object inherits as given', () => {
    const inherited = Object.create({ channel: '#finance', limit: 1 }) as Record<string, unknown>
    expect(argumentsRefusal(post, inherited)).toBe('arguments must be an object')
    expect(argumentsRefusal(tool({ toString: { maxLength: 9 } }), {})).toContain('is missing')
  })

  test('refuses hidden and symbol-named arguments at a closed tool', () => {
    const hidden = Object.defineProperty({ channel: '#finance', limit: 1 }, 'sudo', { value: true, enumerable: false })
    expect(argumentsRefusal(post, hidden)).toContain(`'sudo'`)
    expect(argumentsRefusal(post, { channel: '#finance', limit: 1, [Symbol('x')]: 1 })).toContain('named by text')
  })

  test('refuses anything but a plain object, at an unconstrained tool too', () => {
    for (const args of [[], null, 'x', 1, new Map(), new Date()] as unknown as Record<string, unknown>[]) {
      expect(argumentsRefusal(new Map(), args)).toBe('arguments must be an object')
    }
    expect(argumentsRefusal(new Map(), { any: 1 })).toBeUndefined()
  })

  test('lets "*" admit what is not listed, and nothing else: a listed argument stays bound', () => {
    const open = tool({ '*': {}, limit: { maximum: 5 } })
    expect(argumentsRefusal(open, { limit: 5, other: 1, '*': 2 })).toBeUndefined()
    expect(argumentsRefusal(open, { other: 1 })).toContain(`'limit' is missing`)
    expect(argumentsRefusal(open, { limit: 6, other: 1 })).toContain(`'limit' must be`)
    expect(argumentsRefusal(tool({ limit: { maximum: 5 } }), { limit: 5, '*': 2 })).toContain(`'*' is not among`)
  })

  test('shortens what it says of a long enum', () => {
    const refusal = argumentsRefusal(tool({ n: { enum: [...Array(100).keys()] } }), { n: -1 })
    expect(refusal).toBe(`argument 'n' must be one of 0, 1, 2, 3, 4, 5, 6, 7 and 92 more`)
  })
})

describe('narrowsTool', () => {
  const cases: readonly [child: unknown, parent: unknown, expected: string | undefined][] = [
    [{ a: { const: 1 } }, {}, undefined],
    [{}, { a: { const: 1 } }, 'not listed'],
    [{ '*': {}, a: { const: 1 } }, { a: { const: 1 } }, 'not listed'],
    [{ a: { const: 1 } }, { '*': {}, a: { const: 1 } }, undefined],
    [{ a: { const: 1 }, b: {} }, { '*': {}, a: { const: 1 } }, undefined],
    [{ a: { const: 1 }, b: {} }, { a: { const: 1 } }, `'b'`],
    [{ b: {} }, { a: {}, b: {} }, undefined],
    [{ b: {} }, { a: { const: 1 }, b: {} }, `drops the constraint on 'a'`],
    [{ a: {} }, { a: { maxLength: 3 } }, `more for 'a'`],
    [{ a: { maxLength: 3 } }, { a: {} }, undefined],
    [{ '*': {} }, { '*': {}, a: { const: 1 } }, `drops the constraint on 'a'`],
    [{ '*': {}, a: { const: 1 }, b: { const: 2 } }, { '*': {}, a: { enum: [1, 2] } }, undefined],
  ]
  test.each(cases)('%j under %j: %s', (child, parent, expected) => {
    const reason = narrowsTool(tool(child), tool(parent))
    if (expected === undefined) expect(reason).toBeUndefined()
    else expect(reason).toContain(expected)
  })

  test('sees through a form that the parser does not give', () => {
    expect(narrowsTool(new Map(), new Map([['*', {}]]))).toBeUndefined()
    expect(narrowsTool(new Map([['*', {}]]), new Map())).toBeUndefined()
    expect(narrowsTool(new Map([['*', {}]]), new Map([['a', {}]]))).toContain('not listed')
  })
})

describe('meetTool', () => {
  const cases: readonly [unknown, unknown, unknown][] = [
    [{}, { a: { const: 1 } }, { a: { const: 1 } }],
    [
      { a: { maximum: 5 }, b: {} },
      { a: { minimum: 1 }, b: { maxLength: 3 } },
      { a: { minimum: 1, maximum: 5 }, b: { maxLength: 3 } },
    ],
    [{ a: { const: 1 }, b: {} }, { a: {}, c: {} }, { a: { const: 1 } }],
    [
      { a: { const: 1 }, b: {} },
      { '*': {}, b: { const: 2 } },
      { a: { const: 1 }, b: { const: 2 } },
    ],
    [{ a: { const: 1 } }, { '*': {}, b: { const: 2 } }, undefined],
    [
      { '*': {}, a: { const: 1 } },
      { '*': {}, b: { const: 2 } },
      { '*': {}, a: { const: 1 }, b: { const: 2 } },
    ],
    [{ a: { const: 1 } }, { a: { const: 2 } }, undefined],
    [{ a: { const: 1 } }, { b: {} }, undefined],
  ]
  test.each(cases)('%j and %j leave %j', (a, b, expected) => {
    const met = meetTool(tool(a), tool(b))
    expect(met).toEqual(expected === undefined ? undefined : tool(expected))
  })

  test('never answers the empty map, which allows everything, where only the call without arguments is left', () => {
    expect(meetTool(tool({ a: {} }), tool({ b: {} }))).toBeUndefined()
  })

  test('is undefined beyond the bound on arguments: what could not be read back is not granted', () => {
    const half = (letter: string) =>
      tool(
        Object.fromEntries([['*', {}], ...[...Array(40).keys()].map((index) => [`${letter}${index}`, { const: 1 }])]),
      )
    expect(meetTool(half('a'), half('b'))).toBeUndefined()
    expect(meetTool(half('a'), half('a'))?.size).toBe(41)
  })
})

test('the unconstrained tool leaves the other as it is, on either side; and as many arguments as one tool may have', () => {
  const limited = tool({ limit: { maximum: 5 } })
  expect(meetTool(limited, tool({}))).toEqual(limited)
  expect(meetTool(tool({}), limited)).toEqual(limited)
  const open = (names: readonly string[]) =>
    tool({ '*': {}, ...Object.fromEntries(names.map((name) => [name, { const: 1 }])) })
  const names = (from: number, to: number) => [...Array(to - from).keys()].map((n) => `a${n + from}`)
  expect(meetTool(open(names(0, 30)), open(names(30, 63)))?.size).toBe(64)
  expect(meetTool(open(names(0, 30)), open(names(30, 64)))).toBeUndefined()
})
