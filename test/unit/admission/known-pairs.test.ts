import { expect, test } from 'vitest'
import { KnownPairs } from '../../../src/admission/known-pairs.ts'
import { KNOWN_MS, KNOWN_PAIRS_MAX, KNOWN_PAIRS_PER_CLIENT_MAX, KNOWN_REFRESH_MS } from '../../../src/kernel/limits.ts'

const pair = (source: string, client: string) => ({ source, client, claimed: `jwt ${client}` })
const RATE = { perSecond: 1, burst: 2 }

test('a pair is known for so long after its last success, and its source is home to somebody as long', () => {
  const known = new KnownPairs(RATE)
  expect([known.find('s', 'jwt a', 0), known.isHome('s')]).toEqual([undefined, false])
  known.remember(pair('s', 'a'), 0)
  expect(known.find('s', 'jwt a', KNOWN_MS)).toBeDefined()
  expect(known.isHome('s')).toBe(true)
  expect(known.find('s', 'jwt b', 0)).toBeUndefined()
  expect(known.find('t', 'jwt a', 0)).toBeUndefined()
  expect(known.find('s', 'jwt a', KNOWN_MS + 1)).toBeUndefined()
  expect([known.isHome('s'), known.size]).toEqual([false, 0])
})

test('a further success keeps it known, with the bucket it had', () => {
  const known = new KnownPairs(RATE)
  known.remember(pair('s', 'a'), 0)
  const bucket = known.find('s', 'jwt a', 0)?.bucket
  known.remember(pair('s', 'a'), KNOWN_REFRESH_MS)
  expect(known.find('s', 'jwt a', KNOWN_MS + KNOWN_REFRESH_MS)?.bucket).toBe(bucket)
  expect(known.size).toBe(1)
})

test('a client that rotates its sources pushes out only its own', () => {
  const known = new KnownPairs(RATE)
  known.remember(pair('home', 'good'), 0)
  for (let source = 0; source < 3 * KNOWN_PAIRS_PER_CLIENT_MAX; source += 1) {
    known.remember(pair(`source-${source}`, 'rotating'), source)
  }
  expect(known.size).toBe(KNOWN_PAIRS_PER_CLIENT_MAX + 1)
  expect(known.find('home', 'jwt good', 1_000)).toBeDefined()
  expect(known.find('source-0', 'jwt rotating', 1_000)).toBeUndefined()
  expect(known.isHome('source-0')).toBe(false)
})

test('the memory is bounded whatever happens, and what has run out makes room first', () => {
  const known = new KnownPairs(RATE)
  for (let client = 0; client < KNOWN_PAIRS_MAX + 100; client += 1) known.remember(pair('s', `c-${client}`), client)
  expect(known.size).toBe(KNOWN_PAIRS_MAX)
  expect(known.find('s', 'jwt c-0', KNOWN_PAIRS_MAX)).toBeUndefined()
  const later = KNOWN_PAIRS_MAX + 100 + KNOWN_MS
  for (let client = 0; client < KNOWN_PAIRS_MAX; client += 1) known.remember(pair('s', `late-${client}`), later + 1)
  expect(known.size).toBeLessThanOrEqual(KNOWN_PAIRS_MAX)
  expect(known.find('s', 'jwt late-0', later)).toBeDefined()
})
