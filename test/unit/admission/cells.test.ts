import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Cells, type Rate } from '../../../src/admission/cells.ts'
import { RateSketch } from '../../../src/admission/rate-sketch.ts'

const rates = fc.record({
  perSecond: fc.double({ min: 0.01, max: 5_000, noNaN: true }),
  burst: fc.integer({ min: 1, max: 50 }),
})

/** Of the admissions that stayed, the most within any window, held against what the rate allows for it. */
function expectWithin(kept: readonly number[], { perSecond, burst }: Rate): void {
  for (let first = 0; first < kept.length; first += 1) {
    for (let last = first; last < kept.length; last += 1) {
      const seconds = ((kept[last] ?? 0) - (kept[first] ?? 0)) / 1000
      expect(last - first + 1).toBeLessThanOrEqual(burst + perSecond * seconds + 1e-6)
    }
  }
}

describe('a bucket', () => {
  const ONLY = [0]

  test('lets its burst through at once, then one at each interval, and knocking does not prolong the wait', () => {
    const bucket = new Cells({ perSecond: 2, burst: 3 }, 1)
    const admitted = (nowMs: number) => {
      const is = bucket.reserve(ONLY, nowMs)
      if (is) bucket.count(ONLY, nowMs)
      return is
    }
    expect([0, 0, 0, 0].map(admitted)).toEqual([true, true, true, false])
    expect(bucket.waitMs(ONLY, 100)).toBeCloseTo(400)
    for (let at = 100; at < 500; at += 10) expect(admitted(at)).toBe(false)
    expect([500, 500, 1000].map(admitted)).toEqual([true, false, true])
  })

  test('a place in work is nobody else’s, and what is released costs nothing', () => {
    const bucket = new Cells({ perSecond: 0.01, burst: 2 }, 1)
    expect([1, 2, 3].map(() => bucket.reserve(ONLY, 0))).toEqual([true, true, false])
    bucket.release(ONLY)
    bucket.release(ONLY)
    expect([1, 2, 3].map(() => bucket.reserve(ONLY, 0))).toEqual([true, true, false])
    bucket.count(ONLY, 0)
    bucket.count(ONLY, 0)
    expect(bucket.reserve(ONLY, 99_000)).toBe(false)
    expect(bucket.reserve(ONLY, 100_000)).toBe(true)
  })
})

/** Steps of several keys: time passes, a request arrives, an earlier one ends, counted or released. */
const steps = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    after: fc.integer({ min: 0, max: 2_000 }),
    ends: fc.option(fc.record({ which: fc.nat({ max: 10 }), counted: fc.boolean() })),
  }),
  { maxLength: 150 },
)

describe('property: within any time t, never more than burst + rate × t of a key are admitted and counted', () => {
  test.each([1, 2, 65_536])('with %i cells per row', (perRow) => {
    fc.assert(
      fc.property(rates, steps, (rate, script) => {
        const sketch = new RateSketch(rate, perRow)
        const inWork: { key: string; places: readonly number[]; at: number }[] = []
        const counted = new Map<string, number[]>()
        let now = 0
        const end = ({ key, places, at }: (typeof inWork)[0], isCounted: boolean) => {
          if (!isCounted) return sketch.release(places)
          sketch.count(places, now)
          counted.set(key, [...(counted.get(key) ?? []), at])
        }
        for (const { key, after, ends } of script) {
          now += after
          const places = sketch.reserve(key, now)
          if (places !== undefined) inWork.push({ key, places, at: now })
          const [ended] = ends === null ? [] : inWork.splice(ends.which, 1)
          if (ended !== undefined && ends !== null) end(ended, ends.counted)
        }
        for (const one of inWork) end(one, true)
        for (const times of counted.values()) {
          expectWithin(
            times.toSorted((a, b) => a - b),
            rate,
          )
        }
      }),
      { numRuns: perRow > 2 ? 20 : 300 },
    )
  })
})

describe('a sketch', () => {
  test('rotating through a million names resets no bucket and empties no neighbour’s', () => {
    const sketch = new RateSketch({ perSecond: 0.01, burst: 3 })
    const fails = (key: string) => {
      const places = sketch.reserve(key, 0)
      if (places !== undefined) sketch.count(places, 0)
      return places !== undefined
    }
    for (let turn = 0; turn < 3; turn += 1) expect(fails('attacker')).toBe(true)
    for (let name = 0; name < 1_000_000; name += 1) if (name % 100 === 0) fails(`rotated-${name}`)
    expect(fails('attacker')).toBe(false)
    const refused = Array.from({ length: 1_000 }, (_, neighbour) => fails(`neighbour-${neighbour}`)).filter(
      (admitted) => !admitted,
    )
    expect(refused.length).toBeLessThan(5)
  })

  test('two processes put a name in different places: they cannot be computed from outside', () => {
    const rate = { perSecond: 1, burst: 1 }
    const collisions = (sketch: RateSketch) => {
      sketch.reserve('victim', 0)
      return Array.from({ length: 64 }, (_, name) => sketch.waitMs(`name-${name}`, 0) > 0)
    }
    const runs = Array.from({ length: 8 }, () => JSON.stringify(collisions(new RateSketch(rate, 2))))
    expect(new Set(runs).size).toBeGreaterThan(1)
  })
})
