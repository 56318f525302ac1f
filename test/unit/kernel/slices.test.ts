/** Long work lets others have their turn, comes to the same end, and leaves no heap of young objects to be moved at once. */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { getHeapSpaceStatistics } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { atOnce, each, inSlices, mapped, type Sliced } from '../../../src/kernel/slices.ts'
import { collectYoung, collectYoungSooner } from '../../../src/kernel/young-objects.ts'

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_used_size ?? 0
}

function youngRoom(): number {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  return (young?.space_used_size ?? 0) + (young?.space_available_size ?? 0)
}

/** V8 makes room for them where many live on. */
function makeRoom(bytes: number): void {
  const kept: unknown[] = []
  while (youngBytes() < bytes && kept.length < 2_000_000) kept.push({ n: kept.length })
  kept.length = 0
  collectYoung()
  collectYoung()
}

/** With what nobody keeps. */
function fillYoung(bytes: number): number {
  for (let n = 0; n < 1_000_000 && youngBytes() < bytes; n += 1) JSON.parse('[[1],[2],[3],[4],[5],[6],[7],[8]]')
  return youngBytes()
}

/** Busy for about a millisecond. */
function toil(): void {
  for (const until = performance.now() + 1; performance.now() < until; );
}

function* sums(count: number): Sliced<number> {
  let sum = 0
  yield* each(Array.from({ length: count }).keys(), (n) => {
    toil()
    sum += n
  })
  return sum
}

test('whoever waits has a turn after a few steps, and the end is the same', async () => {
  let turns = 0
  const others = async () => {
    for (; turns < 5; turns += 1) await sleep(0)
  }
  const [sum] = await Promise.all([inSlices(sums(100)), others()])
  expect(sum).toBe(4_950)
  expect(turns).toBe(5)
  expect(atOnce(sums(10))).toBe(45)
})

test('what goes wrong in a step is thrown to whoever waits for the end', async () => {
  function* failing(): Sliced<never> {
    yield
    throw new Error('a step')
  }
  await expect(inSlices(failing())).rejects.toThrow('a step')
})

test('each and mapped take one step for each', () => {
  const seen: number[] = []
  expect([...each([1, 2, 3], (n) => seen.push(n))]).toHaveLength(3)
  expect(seen).toEqual([1, 2, 3])
  expect([...mapped([1, 2, 3], (n) => n)]).toHaveLength(3)
  expect(atOnce(mapped([1, 2, 3], (n) => n * 2))).toEqual([2, 4, 6])
})

test('young objects are collected as soon as they are a few megabytes, and not before', () => {
  const bytes = 4 * 1024 * 1024
  makeRoom(2 * bytes)
  expect(fillYoung(bytes)).toBeGreaterThanOrEqual(bytes)
  collectYoung()
  expect(youngBytes()).toBeLessThan(bytes / 2)
  const few = fillYoung(bytes / 2)
  collectYoung()
  expect(youngBytes()).toBeGreaterThanOrEqual(few)
  // Nobody else was given the means.
  expect([typeof Reflect.get(globalThis, 'gc'), runInNewContext('typeof gc')]).toEqual(['undefined', 'undefined'])
})

test('they are collected sooner than V8 would where half of their room is taken, and not before', () => {
  makeRoom(8 * 1024 * 1024)
  const room = youngRoom()
  const few = fillYoung(room / 4)
  collectYoungSooner()
  expect(youngBytes()).toBeGreaterThanOrEqual(few)
  expect(fillYoung(room * 0.6)).toBeGreaterThan(room / 2)
  collectYoungSooner()
  expect(youngBytes()).toBeLessThan(room / 2)
})
