/** What was acknowledged and is nowhere any more is written again, whatever else is acknowledged meanwhile. */
import { afterEach, expect, test, vi } from 'vitest'
import { Acknowledged } from '../../../../src/audit/log/acknowledged.ts'
import { EMPTY_HEAD } from '../../../../src/audit/log/head.ts'
import { Kept, KeptBytes } from '../../../../src/kernel/kept-bytes.ts'
import { ACKNOWLEDGED_BYTES_MAX, ACKNOWLEDGED_KEPT_MS } from '../../../../src/kernel/log-limits.ts'
import type { AcknowledgedRecord } from '../../../../src/store/record-watcher.ts'

const recordAt = (n: number, record = `record ${n}`): AcknowledgedRecord => ({
  outbox: 's0',
  position: `1-${String(n).padStart(10, '0')}-one.${n}`,
  key: 'key',
  record,
  contents: [{ digest: `digest ${n}`, text: `text ${n}` }],
})
const log = { read: async (names: readonly string[]) => names.map(() => undefined) }

afterEach(() => {
  vi.restoreAllMocks()
})

test('also what has to be forgotten for want of room while it is looked for', async () => {
  const written: AcknowledgedRecord[] = []
  const acknowledged: Acknowledged = new Acknowledged({
    holds: async () => {
      // All that was remembered before goes, and its place is taken.
      acknowledged.acknowledged(recordAt(100, 'x'.repeat(ACKNOWLEDGED_BYTES_MAX - 100)))
      return new Set()
    },
    appendAgain: async (lost) => void written.push(lost),
  })
  const lost = Array.from({ length: 50 }, (_, n) => recordAt(n))
  for (const one of lost) acknowledged.acknowledged(one)
  acknowledged.doubted()
  expect(await acknowledged.makeGood(log, EMPTY_HEAD)).toBe(50)
  expect(written).toEqual(lost)
  expect(acknowledged.count).toBe(1)
})

test('what comes and goes while losses are made good takes no room beyond its bound', async () => {
  const [kept, forgotten] = [vi.spyOn(KeptBytes.prototype, 'keepTexts'), vi.spyOn(Kept.prototype, 'forget')]
  const held = () => kept.mock.calls.length - forgotten.mock.calls.length
  const large = 'x'.repeat(ACKNOWLEDGED_BYTES_MAX / 2)
  let most = 0
  const acknowledged: Acknowledged = new Acknowledged({
    holds: async () => {
      for (let n = 10; n < 18; n++) acknowledged.acknowledged(recordAt(n, large))
      most = held()
      return new Set()
    },
    appendAgain: async () => undefined,
  })
  for (const n of [1, 2]) acknowledged.acknowledged(recordAt(n))
  acknowledged.doubted()
  expect(await acknowledged.makeGood(log, EMPTY_HEAD)).toBe(2)
  // The two that may have to be written again, and the last.
  expect([most, held(), acknowledged.count]).toEqual([3, 1, 1])
})

test('what takes the place of one that is made good stays', async () => {
  const acknowledged: Acknowledged = new Acknowledged({
    holds: async () => {
      acknowledged.acknowledged(recordAt(1, 'other'))
      return new Set()
    },
    appendAgain: async () => undefined,
  })
  acknowledged.acknowledged(recordAt(1))
  acknowledged.doubted()
  await acknowledged.makeGood(log, EMPTY_HEAD)
  expect(acknowledged.textOf('s0', recordAt(1).position)).toBe('other')
})

test('what could not be written is due again', async () => {
  const written: AcknowledgedRecord[] = []
  const acknowledged = new Acknowledged({
    holds: async () => new Set(),
    appendAgain: async (lost) => {
      if (written.length === 1) {
        written.length = 0
        throw new Error('away')
      }
      written.push(lost)
    },
  })
  for (const n of [1, 2, 3]) acknowledged.acknowledged(recordAt(n))
  acknowledged.doubted()
  await expect(acknowledged.makeGood(log, EMPTY_HEAD)).rejects.toThrow('away')
  expect(acknowledged.isDoubted).toBe(true)
  await expect(acknowledged.makeGood(log, EMPTY_HEAD)).rejects.toThrow('away')
  expect(await acknowledged.makeGood(log, EMPTY_HEAD)).toBe(1)
  expect([written, acknowledged.count]).toEqual([[recordAt(3)], 0])
})

test('what a checkpoint covers is forgotten a while later, and what came after it is not', async () => {
  const acknowledged = new Acknowledged({ holds: async () => new Set(), appendAgain: async () => undefined })
  const covers = (n: number, nowMs: number) =>
    acknowledged.cover({ size: n, cursors: new Map([['s0', recordAt(n).position]]) }, nowMs)
  const known = () => [1, 2, 3, 4].filter((n) => acknowledged.textOf('s0', recordAt(n).position) === `record ${n}`)
  for (const n of [1, 2]) acknowledged.acknowledged(recordAt(n))
  covers(3, 0)
  // Read by the sequencer before this process was told that it is written.
  for (const n of [3, 4]) acknowledged.acknowledged(recordAt(n))
  covers(4, ACKNOWLEDGED_KEPT_MS - 1)
  expect(known()).toEqual([1, 2, 3, 4])
  covers(4, ACKNOWLEDGED_KEPT_MS)
  expect(known()).toEqual([4])
  covers(4, 2 * ACKNOWLEDGED_KEPT_MS)
  expect([known(), acknowledged.count]).toEqual([[], 0])
})
