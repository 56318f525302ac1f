import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Kept, KeptBytes } from '../../../src/kernel/kept-bytes.ts'

test('what is kept comes back as it was, in whatever order others are forgotten', () => {
  const one = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 200 }).map((text) => text.toWellFormed()),
    fc.integer({ min: 0, max: 300_000 }).map((length) => 'x'.repeat(length)),
  )
  const step = fc.oneof({ weight: 3, arbitrary: one }, { weight: 2, arbitrary: fc.nat() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const shelf = new KeptBytes()
      const held: { readonly text: string; readonly kept: Kept }[] = []
      for (const [n, next] of steps.entries()) {
        if (typeof next === 'number') held.splice(next % Math.max(1, held.length), 1)[0]?.kept.forget()
        else held.push({ text: next, kept: n % 2 === 0 ? shelf.keepText(next) : shelf.keepBytes(Buffer.from(next)) })
        for (const { text, kept } of held) {
          expect(kept.length).toBe(Buffer.byteLength(text))
          expect(kept.text === text && kept.bytes.equals(Buffer.from(text))).toBe(true)
        }
      }
    }),
  )
})

test('what was forgotten is not read any more, and what was read stays what it was', () => {
  const shelf = new KeptBytes()
  const kept = shelf.keepText('a record')
  const { bytes } = kept
  kept.forget()
  kept.forget()
  const other = shelf.keepText('another!')
  expect(() => kept.text).toThrow('forgotten')
  expect([bytes.toString(), other.text]).toEqual(['a record', 'another!'])
})
