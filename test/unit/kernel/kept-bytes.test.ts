import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Kept, KeptBytes } from '../../../src/kernel/kept-bytes.ts'

/** Bytes, or texts side by side. */
const one = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 200 }).map((text) => Buffer.from(text)),
  fc.integer({ min: 0, max: 300_000 }).map((length) => Buffer.alloc(length, 'x')),
  fc.array(
    fc.string({ unit: 'grapheme', maxLength: 200 }).map((text) => text.toWellFormed()),
    { maxLength: 5 },
  ),
)

test('what is kept comes back as it was, in whatever order others are forgotten', () => {
  const step = fc.oneof({ weight: 3, arbitrary: one }, { weight: 2, arbitrary: fc.nat() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const shelf = new KeptBytes()
      const held: { readonly what: Buffer | readonly string[]; readonly kept: Kept }[] = []
      for (const next of steps) {
        if (typeof next === 'number') held.splice(next % Math.max(1, held.length), 1)[0]?.kept.forget()
        else
          held.push({ what: next, kept: Array.isArray(next) ? shelf.keepTexts(next) : shelf.keepBytes(next as Buffer) })
        for (const { what, kept } of held) {
          if (Buffer.isBuffer(what)) expect(kept.length === what.length && kept.bytes.equals(what)).toBe(true)
          else expect(what.map((_, n) => kept.textAt(n))).toEqual(what)
        }
      }
    }),
  )
})

test('what was forgotten is not read any more, and what was read stays what it was', () => {
  const shelf = new KeptBytes()
  const kept = shelf.keepBytes(Buffer.from('a record'))
  const { bytes } = kept
  kept.forget()
  kept.forget()
  const other = shelf.keepBytes(Buffer.from('another!'))
  for (const read of [() => kept.bytes, () => kept.textAt(0)]) expect(read).toThrow('forgotten')
  expect([bytes.toString(), other.bytes.toString()]).toEqual(['a record', 'another!'])
})
