import { setTimeout as sleep, setImmediate as turnOfLoop } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Door } from '../../../src/admission/door.ts'
import { StrangersTurns } from '../../../src/admission/strangers-turns.ts'
import { STRANGERS_WAITING_MAX } from '../../../src/kernel/limits.ts'

function begin(turns: StrangersTurns, count: number, door: Door = 'token') {
  const begun: number[] = []
  const all = Array.from({ length: count }, async (_, index) => {
    await turns.take(door)
    begun.push(index)
  })
  return { begun, all: Promise.all(all) }
}

test('one is begun in each turn of the event loop, in the order they came; then the next ones are, too', async () => {
  const turns = new StrangersTurns()
  const { begun, all } = begin(turns, 5)
  await Promise.resolve()
  expect(begun).toEqual([])
  const seen: number[] = []
  for (let turn = 0; turn < 5; turn += 1) {
    await turnOfLoop()
    seen.push(begun.length)
  }
  for (const [index, count] of seen.entries()) expect(count).toBeLessThanOrEqual(index + 1)
  await all
  expect(begun).toEqual([0, 1, 2, 3, 4])
  await begin(turns, 2).all
})

test('each door has a turn of its own: a queue at one does not lengthen another', async () => {
  const turns = new StrangersTurns()
  const flood = begin(turns, 1_000)
  await begin(turns, 1, 'revoke').all
  expect(flood.begun.length).toBeLessThan(5)
  await flood.all
})

test('while a known client is being answered they are begun at their pace; at once when all of those have ended', async () => {
  const turns = new StrangersTurns()
  turns.knownBegun()
  turns.knownBegun()
  const { begun, all } = begin(turns, 200)
  for (let turn = 0; turn < 20; turn += 1) await turnOfLoop()
  expect(begun.length).toBeLessThan(20)
  await expect.poll(() => begun.length).toBeGreaterThan(2)
  turns.knownEnded()
  expect(begun.length).toBeLessThan(200)
  turns.knownEnded()
  await all
})

test('a known client that is never done does not keep strangers out', async () => {
  const turns = new StrangersTurns()
  turns.knownBegun()
  const { all } = begin(turns, 10)
  await Promise.race([all, sleep(5_000).then(() => Promise.reject(new Error('they wait for good')))])
})

test('no more wait than for the signatures behind it: whoever comes then is sent away at once, at that door alone', async () => {
  const turns = new StrangersTurns()
  turns.knownBegun()
  const waiting = Array.from({ length: STRANGERS_WAITING_MAX }, () => turns.take('token'))
  expect(await turns.take('token')).toBe(false)
  const elsewhere = turns.take('revoke')
  turns.knownEnded()
  expect(await elsewhere).toBe(true)
  expect(new Set(await Promise.all(waiting))).toEqual(new Set([true]))
  expect(await turns.take('token')).toBe(true)
})
