import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { nearestName } from '../../../src/kernel/nearest-name.ts'
import { decodeStrictly, parseYamlText, place, strictObject } from '../../../src/registry/strict-document.ts'
import { problemsOf } from './document.ts'

describe('YAML is read strictly', () => {
  test.each([
    ['a duplicate key', 'a: 1\na: 2', /f\.yaml: Map keys must be unique/],
    ['an alias', 'a: &x [1]\nb: *x', /f\.yaml: aliases/],
    ['an unknown tag', 'a: !secret x', /f\.yaml: Unresolved tag/],
    ['a second document', 'a: 1\n---\nb: 1', /f\.yaml: Source contains multiple documents/],
    ['a key that is a list', '? [a]\n: 1', /f\.yaml: With stringKeys/],
    ['broken syntax', 'a: [1', /f\.yaml: /],
  ])('%s is refused', (_what, text, message) => {
    const problems = problemsOf(() => parseYamlText(text, 'f.yaml'))
    expect(problems.some((problem) => message.test(problem))).toBe(true)
  })

  test('a bomb of nested aliases is refused before it expands', () => {
    const levels = Array.from({ length: 30 }, (_, n) => `l${n + 1}: &l${n + 1} [*l${n}, *l${n}, *l${n}]`)
    const started = performance.now()
    expect(problemsOf(() => parseYamlText(['l0: &l0 x', ...levels].join('\n'), 'f.yaml'))).toHaveLength(1)
    expect(performance.now() - started).toBeLessThan(2000)
  })

  test('merge keys and YAML 1.1 booleans mean nothing special', () => {
    expect(parseYamlText('<<: {a: 1}\nb: yes\nc: 0o17', 'f.yaml')).toEqual({ '<<': { a: 1 }, b: 'yes', c: 15 })
  })

  test('a syntax problem does not quote the line it is on', () => {
    const problems = problemsOf(() => parseYamlText('password: hunter2: x\n', 'f.yaml'))
    expect(problems.length).toBeGreaterThan(0)
    expect(problems.join()).not.toContain('hunter2')
  })
})

describe('a strict object', () => {
  const schema = strictObject({ tools: z.string(), list: z.array(strictObject({ name: z.string() })).default([]) })
  const problemsIn = (document: unknown): string[] => {
    const problems: string[] = []
    expect(decodeStrictly(schema, document, 'f.yaml', problems)).toBeUndefined()
    return problems
  }

  test('names an unknown key by its path and suggests the nearest known one', () => {
    expect(problemsIn({ tools: 'x', tols: 1, list: [{ name: 'a' }, { name: 'b', nmae: 'c' }] })).toEqual([
      'f.yaml: list[1].nmae: unknown key; did you mean name?',
      'f.yaml: tols: unknown key; did you mean tools?',
    ])
  })

  test('lists the known keys where none is near', () => {
    expect(problemsIn({ tools: 'x', elephant: 1 })).toEqual(['f.yaml: elephant: unknown key; known here: tools, list'])
  })

  test('reports every problem, not only the first', () => {
    expect(problemsIn({ list: [{}, { name: 3 }], extra: 1 })).toHaveLength(4)
  })

  test('refuses __proto__ as a key at any depth, which zod records would skip silently', () => {
    const document = JSON.parse('{"tools":"x","list":[{"name":{"__proto__":{"name":"a"}}}]}')
    expect(problemsIn(document)).toEqual(['f.yaml: list[0].name.__proto__: may not be used as a name'])
  })

  test('says that a missing member is required', () => {
    expect(problemsIn({})).toEqual(['f.yaml: tools: required'])
  })
})

test('a place is written as people write paths', () => {
  expect(place('f.yaml', ['agents', 2, 'manifest', 0, 'tool'])).toBe('f.yaml: agents[2].manifest[0].tool')
  expect(place('f.yaml', [])).toBe('f.yaml')
})

test('the nearest name is near, or none', () => {
  expect(nearestName('warehose', ['warehouse', 'slack'])).toBe('warehouse')
  expect(nearestName('Query', ['query'])).toBe('query')
  expect(nearestName('calendar', ['warehouse', 'slack'])).toBeUndefined()
  expect(nearestName('x', [])).toBeUndefined()
})
