/** What a refused call is told: exactly the arguments that are wrong, what would do, and never a value that came with the call. */
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { argumentsRefusal, failingArguments, parseToolConstraints } from '../../src/authority/constraints.ts'
import { guidance } from '../../src/authority/guidance.ts'
import { callArguments, toolConstraints } from './authority-arbitraries.ts'

const declared = { purpose: 'Summarise Q3 revenue', tools: new Map([['query', new Map()]]) }

describe('the arguments named', () => {
  test('are none if and only if the call is allowed', () => {
    fc.assert(
      fc.property(toolConstraints, callArguments, (constraints, args) => {
        expect(failingArguments(constraints, args).length === 0).toBe(argumentsRefusal(constraints, args) === undefined)
      }),
    )
  })

  test('are those that have to change: with an allowed value for each, or without it, the call is allowed', () => {
    const constraints = parseToolConstraints(
      { table: { const: 'revenue' }, limit: { maximum: 500 }, note: {} },
      'query',
    )
    const values: Readonly<Record<string, unknown>> = { table: 'revenue', limit: 1 }
    const names = ['table', 'limit', 'note', 'columns', '__proto__']
    const call = fc.dictionary(fc.constantFrom(...names), fc.constantFrom('revenue', 'salaries', 1, 501, '*'))
    fc.assert(
      fc.property(call, (args) => {
        const failing = failingArguments(constraints, args)
        const kept = Object.entries(args).filter(([name]) => !failing.includes(name))
        const given = failing.filter((name) => Object.hasOwn(values, name)).map((name) => [name, values[name]])
        expect(argumentsRefusal(constraints, Object.fromEntries([...kept, ...given]))).toBeUndefined()
      }),
    )
  })
})

describe('guidance', () => {
  test('says nothing of values, whatever they are', () => {
    const secret = 'never-to-be-repeated'
    fc.assert(
      fc.property(
        toolConstraints,
        fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.constant(secret)),
        (allowed, args) => {
          expect(JSON.stringify(guidance({ tool: 'query', arguments: args }, declared, allowed))).not.toContain(secret)
        },
      ),
    )
  })

  it('is bounded, and in plain characters, whatever the names are', () => {
    const names = Array.from({ length: 500 }, (_, index) => `\u001b[2J\u202e${index}`.padEnd(4000, 'x'))
    const args = Object.fromEntries(names.map((name) => [name, 1]))
    const told = JSON.stringify(guidance({ tool: names[0] ?? '', arguments: args }, declared, new Map([['a', {}]])))
    expect(told.length).toBeLessThan(40_000)
    expect(told).toMatch(/^[\x20-\x7e]*$/)
  })

  it('offers no narrower call where nothing is allowed, and none where the arguments are not what is wrong', () => {
    expect(guidance({ tool: 'drop_table', arguments: {} }, declared, undefined)).not.toHaveProperty('narrow_to')
    expect(guidance({ tool: 'query', arguments: { x: 1 } }, declared, new Map())).not.toHaveProperty('narrow_to')
  })

  it('says of a call without arguments which it needs', () => {
    const allowed = parseToolConstraints({ table: { const: 'revenue' } }, 'query')
    expect(guidance({ tool: 'query', arguments: undefined }, declared, allowed)).toEqual({
      declared: { purpose: 'Summarise Q3 revenue', tools: { query: {} } },
      asked: { tool: 'query' },
      narrow_to: { tool: 'query', constraints: { table: { const: 'revenue' } }, arguments: ['table'] },
    })
  })
})
