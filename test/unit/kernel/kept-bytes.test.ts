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

test('texts that just have room at the end of a block are whole there, one byte more is whole elsewhere, and so is what no block holds', () => {
  for (const left of [20, 21, 22, 23]) {
    const shelf = new KeptBytes()
    const before = shelf.keepBytes(Buffer.alloc(256 * 1024 - left, 'x'))
    // Behind its length, 20 bytes.
    const kept = [shelf.keepTexts(['é'.repeat(8)]), shelf.keepTexts(['é€'.repeat(3)]), shelf.keepTexts(['last'])]
    expect(kept.map((one) => one.textAt(0))).toEqual(['é'.repeat(8), 'é€'.repeat(3), 'last'])
    expect(before.bytes.every((byte) => byte === 0x78)).toBe(true)
  }
  const long = 'é'.repeat(200_000)
  expect(new KeptBytes().keepTexts([long, 'behind']).textAt(1)).toBe('behind')
  expect(new KeptBytes().keepTexts(['before', long]).textAt(1)).toBe(long)
})
