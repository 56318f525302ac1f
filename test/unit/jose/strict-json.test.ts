import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { isJsonObject, parseStrictJson } from '../../../src/jose/strict-json.ts'
import { JSON_DEPTH_MAX } from '../../../src/kernel/limits.ts'
import { outcome } from './fixtures.ts'

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`

describe('strict JSON (RFC 8259 section 4, RFC 7493)', () => {
  it.each([
    'null',
    '[]',
    '{}',
    '""',
    '{"a":{"a":[{"a":1},{"a":2}]},"b":"a"}',
    '{"a":"b","b":"a"}',
    '["a","a",{"x":"x"}]',
    '{"text":"quote \\" backslash \\\\ brace { colon : comma ,"}',
    '{"":1,"e":-1.5e3,"t":true,"f":false,"n":null}',
    '{"pair":"\\ud83d\\ude00","plain":"😀"}',
    '[9007199254740991,-9007199254740991,0.1,1e-400]',
    ' {\n"a" :\t[ 1 , 2 ] } ',
  ])('reads %s as every parser does', (text) => {
    expect(parseStrictJson(text)).toEqual(JSON.parse(text))
  })

  it.each([
    ['a duplicate name', '{"sub":"a","sub":"b"}'],
    ['a duplicate hidden by an escape', '{"alg":1,"\\u0061lg":2}'],
    ['a duplicate of which the first is escaped', '{"\\u0061lg":1,"alg":2}'],
    ['a duplicate deep inside', '[{"a":[{"b":1,"c":{},"b":2}]}]'],
    ['a duplicate empty name', '{"":1,"":2}'],
    ['a duplicate after a nested object', '{"a":{"b":1},"a":2}'],
    ['__proto__ as a name', '{"__proto__":{"admin":true}}'],
    ['__proto__ as an escaped name', '{"\\u005f_proto__":1}'],
    ['a number beyond a double (H13)', '{"exp":1e400}'],
    ['a negative number beyond a double', '[-1e400]'],
    ['2^53, which several texts would mean', '{"exp":9007199254740992}'],
    ['a huge integer in exponent form', '[1e300]'],
    ['an escaped lone surrogate', '["\\ud800"]'],
    ['an escaped lone surrogate in a name', '{"\\udc00":1}'],
    ['a lone surrogate', '["\ud800"]'],
    ['trailing data', '{} {}'],
    ['a trailing comma', '{"a":1,}'],
    ['a comment', '{"a":1/* */}'],
    ['a byte order mark', '\ufeff{}'],
    ['nothing', ''],
    ['NaN', '[NaN]'],
    ['a single quote', "{'a':1}"],
    ['a raw newline in a string', '"a\nb"'],
  ])('refuses %s', async (_, text) => {
    expect(await outcome(() => parseStrictJson(text))).toBe('malformed')
  })

  it('accepts nesting to its bound and refuses one more, without using the stack', async () => {
    expect(parseStrictJson(nested(JSON_DEPTH_MAX))).toBeInstanceOf(Array)
    expect(await outcome(() => parseStrictJson(nested(JSON_DEPTH_MAX + 1)))).toBe('malformed')
    expect(await outcome(() => parseStrictJson(nested(200_000)))).toBe('malformed')
  })

  it('does not count brackets inside strings', () => {
    expect(parseStrictJson(`"${'['.repeat(100)}"`)).toBe('['.repeat(100))
  })

  it('leaves Object.prototype alone', () => {
    parseStrictJson('{"constructor":{"prototype":{"polluted":true}}}')
    expect('polluted' in {}).toBe(false)
  })

  it('takes time in proportion to the text', () => {
    const names = Array.from({ length: 40_000 }, (_, index) => `"n${index}":${index}`).join(',')
    const text = `{${names},"s":"${'\\\\'.repeat(100_000)}"}`
    const startedMs = performance.now()
    expect(isJsonObject(parseStrictJson(text))).toBe(true)
    // Quadratic work on 700 KB would take minutes; linear takes some 30 ms.
    expect(performance.now() - startedMs).toBeLessThan(3_000)
  })

  it('shows none of the text in its error', () => {
    for (const text of ['{"hunter2":', '{"hunter2":1,"hunter2":2}', '{"hunter2":1e400}', 'hunter2']) {
      let shown = 'not refused: hunter2'
      try {
        parseStrictJson(text)
      } catch (error) {
        shown = inspect(error, { showHidden: true, depth: 10 })
      }
      expect(shown).not.toContain('hunter2')
    }
  })

  it('tells objects from everything else', () => {
    expect([{}, { a: 1 }].map(isJsonObject)).toEqual([true, true])
    expect([null, [], 'a', 1, true, undefined].some(isJsonObject)).toBe(false)
  })
})
