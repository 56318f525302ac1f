import fc from 'fast-check'
import { expect, it } from 'vitest'
import { HeldRecord } from '../../../../src/audit/log/held-record.ts'
import { KeptBytes } from '../../../../src/kernel/kept-bytes.ts'

it('gives back its text and those beside it, letter by letter, as a store would', () => {
  // Halves of characters, too, of which two side by side would be one.
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.constantFrom('', '\n', '\ud83d', '\ude00'))
  fc.assert(
    fc.property(
      text,
      fc.uniqueArray(fc.tuple(fc.uuid(), text), { selector: ([digest]) => digest }),
      (record, beside) => {
        const contents = beside.map(([digest, one]) => ({ digest, text: one }))
        const held = new HeldRecord({ outbox: 's1', position: '1-0', key: 'k', record, contents }, new KeptBytes())
        const stored = contents.map((content) => ({ ...content, text: content.text.toWellFormed() }))
        const kept = { outbox: 's1', position: '1-0', key: 'k', record: record.toWellFormed(), contents: stored }
        expect(held.whole).toEqual(kept)
        const [, second] = contents
        expect(held.contents((digest) => digest === second?.digest)).toEqual(stored.slice(1, 2))
      },
    ),
  )
})

it('of a stranger has no key, as it had none', () => {
  const record = { outbox: 'strangers', position: '1-0-a', key: undefined, record: '{}', contents: [] }
  expect(new HeldRecord(record, new KeptBytes()).whole).toEqual(record)
})
