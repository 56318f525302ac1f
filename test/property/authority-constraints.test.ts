/** The laws of constraints: narrower is exact, meet is the greatest lower bound, and the parser is total. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseArgumentConstraint } from '../../src/authority/argument-constraint.ts'
import type { ToolConstraints } from '../../src/authority/authority.ts'
import {
  argumentsRefusal,
  encodeToolConstraints,
  isUnconstrained,
  meetTool,
  narrowsTool,
  parseToolConstraints,
} from '../../src/authority/constraints.ts'
import { Rejection } from '../../src/kernel/rejection.ts'
import {
  callArguments,
  callsWithin,
  picks,
  rawConstraint,
  toolConstraints,
  toolConstraintsOver,
  toolPair,
  UNIVERSE,
} from './authority-arbitraries.ts'

type Args = Readonly<Record<string, unknown>>

const allows = (constraints: ToolConstraints, args: Args) => argumentsRefusal(constraints, args) === undefined
const isBelow = (child: ToolConstraints, parent: ToolConstraints) => narrowsTool(child, parent) === undefined
const isEquivalent = (a: ToolConstraints | undefined, b: ToolConstraints | undefined) =>
  a === undefined || b === undefined ? a === b : isBelow(a, b) && isBelow(b, a)

/** Each argument absent, or any value of the universe. */
const ABSENT = Symbol('absent')
const CHOICES: Readonly<Record<string, readonly unknown[]>> = {
  x: [ABSENT, ...UNIVERSE],
  y: [ABSENT, ...UNIVERSE],
  z: [ABSENT, 1],
}

function call(choice: Readonly<Record<string, unknown>>): Args {
  return Object.fromEntries(Object.entries(choice).filter(([, value]) => value !== ABSENT))
}

/** Some call that is allowed: every parsed constraint admits one. */
function anyAllowed(constraints: ToolConstraints): Record<string, unknown> {
  for (const x of CHOICES.x ?? []) {
    for (const y of CHOICES.y ?? []) {
      if (allows(constraints, call({ x, y }))) return { x, y, z: ABSENT }
    }
  }
  throw new Error('a parsed tool admits no call of the universe')
}

/** What a tool allows is a product over its arguments: moving one argument at a time reaches every difference. */
function callsAround(base: Readonly<Record<string, unknown>>): Args[] {
  return Object.entries(CHOICES).flatMap(([name, values]) => values.map((value) => call({ ...base, [name]: value })))
}

describe('narrowsTool', () => {
  const overXY = toolConstraintsOver(fc.constantFrom('x', 'y'))

  test('says narrower if and only if no call of the universe is allowed to the child and refused to the parent', () => {
    const seen = { narrower: 0, wider: 0 }
    fc.assert(
      fc.property(overXY, overXY, fc.boolean(), (parent, other, narrowed) => {
        const child = narrowed ? (meetTool(parent, other) ?? other) : other
        const calls = callsAround(anyAllowed(child))
        const expected = calls.every((args) => !allows(child, args) || allows(parent, args))
        expect(isBelow(child, parent)).toBe(expected)
        seen[expected ? 'narrower' : 'wider']++
      }),
      { numRuns: 1500 },
    )
    expect(Math.min(seen.narrower, seen.wider)).toBeGreaterThan(300)
  })

  test('is sound: what a narrower child allows, the parent allows', () => {
    let applicable = 0
    fc.assert(
      fc.property(toolPair, callArguments, picks, ([parent, child], anyCall, picked) => {
        if (!isBelow(child, parent)) return
        for (const args of [anyCall, ...callsWithin(child, picked)]) {
          if (!allows(child, args)) continue
          applicable++
          expect(allows(parent, args)).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
    expect(applicable).toBeGreaterThan(500)
  })

  test('is reflexive and transitive', () => {
    let applicable = 0
    fc.assert(
      fc.property(toolPair, toolConstraints, fc.boolean(), ([a, b], other, narrowed) => {
        const c = narrowed ? (meetTool(b, other) ?? b) : other
        expect(narrowsTool(a, a)).toBeUndefined()
        if (isBelow(c, b) && isBelow(b, a)) {
          applicable++
          expect(narrowsTool(c, a)).toBeUndefined()
        }
      }),
      { numRuns: 1000 },
    )
    expect(applicable).toBeGreaterThan(200)
  })

  test('is antisymmetric up to equivalence: two tools that narrow each other allow the same calls', () => {
    let applicable = 0
    fc.assert(
      fc.property(toolPair, callArguments, ([a, b], args) => {
        if (!isEquivalent(a, b)) return
        applicable++
        expect(allows(a, args)).toBe(allows(b, args))
      }),
      { numRuns: 1000 },
    )
    expect(applicable).toBeGreaterThan(100)
  })
})

describe('meetTool', () => {
  test('allows exactly the calls that both allow', () => {
    const seen = { both: 0, nothing: 0 }
    fc.assert(
      fc.property(toolConstraints, toolConstraints, callArguments, (a, b, args) => {
        const met = meetTool(a, b)
        const inBoth = allows(a, args) && allows(b, args)
        if (met !== undefined) expect(allows(met, args)).toBe(inBoth)
        // With nothing left, the call without arguments may still have been allowed by both: it has no spelling.
        else if (Object.keys(args).length > 0) expect(inBoth).toBe(false)
        seen[met === undefined ? 'nothing' : 'both']++
      }),
      { numRuns: 2000 },
    )
    expect(Math.min(seen.both, seen.nothing)).toBeGreaterThan(200)
  })

  test('is below both', () => {
    fc.assert(
      fc.property(toolConstraints, toolConstraints, (a, b) => {
        const met = meetTool(a, b)
        if (met === undefined) return
        expect(narrowsTool(met, a)).toBeUndefined()
        expect(narrowsTool(met, b)).toBeUndefined()
      }),
      { numRuns: 1000 },
    )
  })

  test('is idempotent, commutative and associative up to equivalence', () => {
    const meetMaybe = (a: ToolConstraints | undefined, b: ToolConstraints | undefined) =>
      a === undefined || b === undefined ? undefined : meetTool(a, b)
    let left = 0
    fc.assert(
      fc.property(toolConstraints, toolConstraints, toolConstraints, (a, b, c) => {
        expect(meetTool(a, a)).toEqual(a)
        expect(isEquivalent(meetTool(a, b), meetTool(b, a))).toBe(true)
        const one = meetMaybe(meetTool(a, b), c)
        expect(isEquivalent(one, meetMaybe(a, meetTool(b, c)))).toBe(true)
        if (one !== undefined && !isUnconstrained(one)) left++
      }),
      { numRuns: 1500 },
    )
    expect(left).toBeGreaterThan(200)
  })

  test('gives the child back when the child is narrower already', () => {
    fc.assert(
      fc.property(toolPair, ([parent, child]) => {
        if (isBelow(child, parent)) expect(isEquivalent(meetTool(child, parent), child)).toBe(true)
      }),
    )
  })
})

describe('parsing', () => {
  test('answers any JSON with constraints or a Rejection, and never with another throw', () => {
    const nearby = fc.dictionary(fc.string({ maxLength: 3 }), fc.oneof(rawConstraint, fc.jsonValue({ maxDepth: 3 })))
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), nearby), (value) => {
        try {
          parseToolConstraints(value, 'tool')
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Rejection)
          expect(['details_malformed', 'details_unknown']).toContain((thrown as Rejection).reason)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('undoes encoding, for any argument name', () => {
    const names = fc.oneof(
      fc.constantFrom('__proto__', 'constructor', 'toString'),
      fc.string({ minLength: 1, unit: 'grapheme' }),
    )
    fc.assert(
      fc.property(toolConstraintsOver(names), (constraints) => {
        const text = JSON.stringify(encodeToolConstraints(constraints))
        expect(parseToolConstraints(JSON.parse(text), 'tool')).toEqual(constraints)
      }),
    )
  })

  test('gives sets that are equal one form, whatever their spelling', () => {
    fc.assert(
      fc.property(rawConstraint, rawConstraint, (a, b) => {
        const parsed = [a, b].flatMap((raw) => {
          try {
            return [parseArgumentConstraint(raw, 'argument')]
          } catch {
            return []
          }
        })
        const [first, second] = parsed
        if (first === undefined || second === undefined) return
        const toolA = new Map([['x', first]])
        const toolB = new Map([['x', second]])
        const isSame = [ABSENT, ...UNIVERSE].every((x) => allows(toolA, call({ x })) === allows(toolB, call({ x })))
        expect(isEquivalent(toolA, toolB)).toBe(isSame)
      }),
      { numRuns: 3000 },
    )
  })
})
