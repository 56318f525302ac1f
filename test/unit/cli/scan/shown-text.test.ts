import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hiddenIn, shown, shownJson } from '../../../../src/cli/scan/shown-text.ts'

const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u
const anyText = fc.string({ unit: 'binary' })

test('whatever a server says, what is shown holds nothing that steers a terminal or is not seen, on one line', () => {
  fc.assert(fc.property(anyText, (text) => !UNSEEN.test(shown(text))))
  expect(shown('a\u001b[31mb\u202Ec\u{E0041}\n')).toBe('a\\u{1b}[31mb\\u{202e}c\\u{e0041}\\u{a}')
  expect(shown('x'.repeat(10), 4)).toBe('xxxx…')
})

test('JSON shows the same, and still means what it meant', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const written = shownJson({ text, [text]: [text] })
      expect(UNSEEN.test(written.replaceAll('\n', ''))).toBe(false)
      expect(JSON.parse(written)).toEqual({ text, [text]: [text] })
    }),
  )
})

test('what is hidden is found in names and values, at any depth, each once', () => {
  expect(hiddenIn({ a: ['x\u200Bx', { 'b\u200B\u202E': 1 }] })).toEqual(['200b', '202e'])
  expect(hiddenIn({ a: ['plain\n', 1, null, true] })).toEqual([])
})
