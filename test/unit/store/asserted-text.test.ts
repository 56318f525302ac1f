/** What is written again to a control slot that has lost something: nothing that was in force is weaker afterwards, or back. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ControlEntry, CutoffSet } from '../../../src/authority/cutoffs.ts'
import { CURRENT_POLICY } from '../../../src/authority/policy-entry.ts'
import { assertedText, entryText, liveEntries, mergedText, slotOf } from '../../../src/store/control-text.ts'

const NOW_MS = 1_000
const times = { atMs: fc.integer({ min: 0, max: 900 }), expiresAtMs: fc.integer({ min: NOW_MS + 1, max: NOW_MS + 5 }) }
const kind = { kind: fc.constant('agent' as const), id: fc.constant('a') }

/** Of one history each number is one write. */
const history = (numbers: fc.Arbitrary<number>) =>
  fc.uniqueArray(
    fc.oneof(
      fc.record({ entry: fc.constant('block' as const), seq: numbers, ...kind, ...times }),
      fc.record({ entry: fc.constant('lift' as const), seq: numbers, ...kind, atMs: times.atMs }),
    ),
    { selector: ({ seq }) => seq, maxLength: 6 },
  )
const odd = fc.integer({ min: 0, max: 8 }).map((n) => 2 * n + 1)
const even = fc.integer({ min: 0, max: 8 }).map((n) => 2 * n)

/** As the store writes them, one after the other. */
function stored(entries: readonly ControlEntry[]): string | undefined {
  const inOrder = entries.toSorted((a, b) => a.seq - b.seq)
  return inOrder.reduce<string | undefined>(
    (text, entry) => mergedText(text, entryText(entry, entry.seq, entry.atMs), NOW_MS),
    undefined,
  )
}

function setOf(entries: readonly ControlEntry[]): CutoffSet {
  const set = new CutoffSet()
  for (const entry of entries) set.apply(entry)
  return set
}

test('blocks and lifts of two histories: blocked is exactly what both together leave blocked, and for as long', () => {
  fc.assert(
    fc.property(history(odd), history(even), (there, here) => {
      const known = setOf(here).entries()
      const text = known.reduce<string | undefined>((held, entry) => assertedText(held, entry), stored(there))
      const read = setOf(text === undefined ? [] : liveEntries('block|agent|a', text, NOW_MS))
      const both = setOf([...there, ...here])
      const [is, should] = [read, both].map((set) => set.blocked('agent', 'a', NOW_MS))
      expect(is === undefined).toBe(should === undefined)
      if (is?.expiresAtMs !== null && should !== undefined) {
        expect(is?.expiresAtMs).toBeGreaterThanOrEqual(should.expiresAtMs ?? 0)
      }
      // Who holds a block that was lifted hears of the lift.
      const late = setOf([...there, ...here].filter(({ entry }) => entry === 'block'))
      if (text !== undefined) for (const entry of liveEntries('block|agent|a', text, NOW_MS)) late.apply(entry)
      expect(late.blocked('agent', 'a', NOW_MS) === undefined).toBe(should === undefined)
    }),
    { numRuns: 2_000 },
  )
})

test('cut-offs keep the strictest of each member, whichever is older; what is there already is not changed', () => {
  const cutoff = fc.record({
    entry: fc.constant('cutoff' as const),
    dimension: fc.constant('agent' as const),
    id: fc.constant('a'),
    seq: fc.integer({ min: 0, max: 9 }),
    ...times,
  })
  fc.assert(
    fc.property(cutoff, cutoff, (there, here) => {
      const text = assertedText(entryText(there, there.seq, there.atMs), here)
      expect(setOf(liveEntries(slotOf(there), text, NOW_MS)).entries()).toEqual(setOf([there, here]).entries())
      expect(assertedText(text, here)).toBe(text)
    }),
  )
})

test('the newer policy stays', () => {
  const policy = (seq: number) =>
    ({ entry: 'policy', id: CURRENT_POLICY, version: `version-${seq}-0123456789`, seq, atMs: 1 }) as const
  const [old, young] = [policy(1), policy(2)].map((entry) => [entry, entryText(entry, entry.seq, entry.atMs)] as const)
  if (old === undefined || young === undefined) throw new Error('two policies')
  expect(assertedText(old[1], young[0])).toBe(young[1])
  expect(assertedText(young[1], old[0])).toBe(young[1])
  expect(assertedText(undefined, old[0])).toBe(old[1])
})
