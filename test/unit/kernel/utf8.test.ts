import fc from 'fast-check'
import { expect, test } from 'vitest'
import { utf8BytesMax } from '../../../src/kernel/utf8.ts'

test('no text has more bytes in UTF-8, whatever is in it, and one of three bytes a unit has as many', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(utf8BytesMax(text))
    }),
  )
  // A lone surrogate is written as U+FFFD.
  for (const text of ['€', '\ud800', '€\udfff']) expect(Buffer.byteLength(text)).toBe(utf8BytesMax(text))
})
