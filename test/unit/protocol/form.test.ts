import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FORM_PARAMETERS_MAX } from '../../../src/kernel/limits.ts'
import { Form } from '../../../src/protocol/form.ts'
import { refusalOf } from '../authority/refusal.ts'

const reasonOf = (body: string, query: string[] = []) => refusalOf(() => Form.parse(body, query)).reason

describe('a form', () => {
  it('decodes percent-encoding and plus signs, once', () => {
    const form = Form.parse('a=1+2&b=%C3%A9%20%2B&c=%2525&d=x=y&%65=name')
    expect(['a', 'b', 'c', 'd', 'e'].map((name) => form.get(name))).toEqual(['1 2', 'é +', '%25', 'x=y', 'name'])
  })

  it('takes an empty value, and a name without one, as absent', () => {
    const form = Form.parse('a=&b&resource=&resource=x&resource=')
    expect([form.get('a'), form.get('b'), form.get('c')]).toEqual([undefined, undefined, undefined])
    expect(form.all('resource')).toEqual(['x'])
    expect(form.all('audience')).toEqual([])
    for (const name of ['a', 'b', 'c']) expect(refusalOf(() => form.require(name)).reason).toBe('parameter_missing')
  })

  it('finds no parameter that was not sent, whatever objects inherit', () => {
    const form = Form.parse('')
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
      expect(form.get(name)).toBeUndefined()
    expect(Form.parse('__proto__=x').get('__proto__')).toBe('x')
  })

  it('refuses a repetition of everything but resource and audience', () => {
    for (const body of [
      'a=1&a=1',
      'a=1&a=',
      'a=&a=1',
      'a&a',
      'scope=x&%73cope=y',
      '=1&=2',
      '__proto__=1&__proto__=2',
    ]) {
      expect(reasonOf(body)).toBe('parameter_duplicated')
    }
    const form = Form.parse('resource=a&audience=c&resource=b&resource=a')
    expect([form.all('resource'), form.all('audience')]).toEqual([['a', 'b', 'a'], ['c']])
    expect(reasonOf('Resource=a&Resource=b')).toBe('parameter_duplicated')
  })

  it('refuses a name that stands in the query as well, and reads nothing of the query', () => {
    expect(reasonOf('a=1', ['a'])).toBe('parameter_duplicated')
    expect(reasonOf('resource=x', ['b', 'resource'])).toBe('parameter_duplicated')
    expect(Form.parse('a=1', ['b']).get('b')).toBeUndefined()
  })

  it('refuses what is not a form: bad encodings, and more parameters than fit', () => {
    for (const body of ['a=%', 'a=%4', 'a=%zz', '%=a', 'a=%ff', 'a=%c3%28', 'a=%ed%a0%80']) {
      expect([body, reasonOf(body)]).toEqual([body, 'body_malformed'])
    }
    const many = (count: number) => Array.from({ length: count }, (_, index) => `p${index}=1`).join('&')
    expect(Form.parse(many(FORM_PARAMETERS_MAX)).get('p0')).toBe('1')
    expect(reasonOf(many(FORM_PARAMETERS_MAX + 1))).toBe('body_malformed')
    expect(reasonOf('&'.repeat(FORM_PARAMETERS_MAX))).toBe('body_malformed')
  })

  it('never shows a value in its refusals', () => {
    for (const body of ['token=eyJhbGciOi&token=eyJhbGciOi', 'token=eyJhbGciOi%4']) {
      expect(refusalOf(() => Form.parse(body)).message).not.toContain('eyJ')
    }
  })

  it('gives back whatever honest encoders write', () => {
    const names = fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1 }), { maxLength: 20 })
    fc.assert(
      fc.property(
        names,
        fc.array(fc.string({ unit: 'grapheme' }), { minLength: 20, maxLength: 20 }),
        (keys, values) => {
          const pairs = keys.map((key, index): [string, string] => [key, values[index] ?? ''])
          const form = Form.parse(new URLSearchParams(pairs).toString())
          for (const [key, value] of pairs) expect(form.get(key)).toBe(value === '' ? undefined : value)
        },
      ),
    )
  })
})
