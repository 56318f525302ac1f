/** What is read again is the same object, and only what is the same to the last bit: all else is read as for the first time. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { atOnce } from '../../../../src/kernel/slices.ts'
import { NOTHING_KNOWN, Recognition } from '../../../../src/registry/reading/known-entries.ts'
import { assembled, piecesOf } from '../../../../src/registry/reading/pieces.ts'
import { readDocument } from '../../../../src/registry/reading/reading-thread.ts'

/** As the thread takes it apart and the broker puts it together. */
function handedOver(document: unknown, known = NOTHING_KNOWN) {
  const recognition = new Recognition(known.digests)
  const pieces = [...piecesOf(document, (entry) => recognition.placeOf(entry))]
  const entries: unknown[] = []
  const made = atOnce(assembled(structuredClone(pieces), known.entries, entries))
  const fresh = pieces.reduce((count, [, some, places]) => count + (places === undefined ? 0 : some.length), 0)
  return { made, fresh, known: { digests: recognition.digests(), entries } }
}

/** Nothing is lost. */
const saidByJson = (value: unknown) => isDeepStrictEqual(JSON.parse(JSON.stringify([value])), [value])

/** Values that some spelling has in common. */
const hazard = fc.constantFrom(
  0,
  -0,
  1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  null,
  undefined,
  '',
  '1',
  'null',
  [],
  {},
  [null],
)
const entry = fc.oneof(
  hazard,
  fc.record({ id: hazard }, { noNullPrototype: true }),
  fc.record({ id: fc.constant('x'), at: hazard }, { noNullPrototype: true }),
  fc.jsonValue(),
)
const list = fc
  .array(entry, { minLength: 1, maxLength: 8 })
  .chain((some) =>
    fc.array(fc.nat(some.length - 1), { minLength: 101, maxLength: 240 }).map((at) => at.map((n) => some[n])),
  )

test('a document in which some is known is the document, and nothing known is handed over again', () => {
  fc.assert(
    fc.property(list, list, list, (kept, gone, added) => {
      const first = handedOver({ grants: [...kept, ...gone] })
      const next = { grants: [...added, ...kept], agents: kept }
      const second = handedOver(next, first.known)
      expect(second.made).toStrictEqual(next)
      const again = [...kept, ...kept]
      expect(second.fresh).toBeLessThanOrEqual(added.length + again.length - again.filter(saidByJson).length)
      const alone = handedOver(next).made
      expect(alone).toStrictEqual(next)
      const { agents } = second.made as { readonly agents: readonly unknown[] }
      for (const [index, one] of agents.entries()) {
        if (typeof one === 'object' && one !== null && saidByJson(one))
          expect(first.known.entries).toContain(agents[index])
      }
    }),
    { numRuns: 60 },
  )
})

test('of a long text that is read twice, what has not changed is the same object; what was wrong in between changes nothing', async () => {
  const text = (changed: string) => {
    const grants = Array.from({ length: 4_000 }, (_, n) => ({
      id: n === 7 ? changed : `grant-${n}`,
      more: 'x'.repeat(40),
    }))
    return Buffer.from(JSON.stringify({ grants }))
  }
  type Read = { readonly grants: readonly object[] }
  const first = (await readDocument((take) => take(text('a')), 'json', 'first')) as Read
  await expect(readDocument((take) => take(Buffer.from(`${' '.repeat(200_000)}{`)), 'json', 'broken')).rejects.toThrow(
    'not JSON',
  )
  const second = (await readDocument((take) => take(text('b')), 'json', 'second')) as Read
  expect(second.grants[7]).toMatchObject({ id: 'b' })
  const others = second.grants.filter((grant, n) => grant !== first.grants[n])
  expect(others).toEqual([second.grants[7]])
})
