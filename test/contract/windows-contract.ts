/** The contract of windows: so many places for so long, whoever asks for them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { newNonce } from '../../src/kernel/ids.ts'
import type { Store } from '../../src/store/ports.ts'

/** @param odd a name that a careless encoding would bend */
export function windowsContract(store: () => Store, odd: string): void {
  const HOUR_MS = 3_600_000

  it('take a place in every window named or in none, each owner by itself, and say which is full and for how long', async () => {
    const { windows } = store()
    const owner = newNonce()
    const both = [
      { name: 'read', limit: 3 },
      { name: 'write', limit: 1 },
    ]
    expect(await windows.take(owner, 'a', both, HOUR_MS)).toBeUndefined()
    const refused = await windows.take(owner, 'b', both, HOUR_MS)
    expect(refused?.full).toBe('write')
    expect(refused?.waitMs).toBeGreaterThan(HOUR_MS - 60_000)
    expect(refused?.waitMs).toBeLessThanOrEqual(HOUR_MS)
    // The refusal took nothing of the other window.
    for (const id of ['c', 'd']) expect(await windows.take(owner, id, both.slice(0, 1), HOUR_MS)).toBeUndefined()
    expect((await windows.take(owner, 'e', both.slice(0, 1), HOUR_MS))?.full).toBe('read')
    expect(await windows.take(newNonce(), 'a', both, HOUR_MS)).toBeUndefined()
  })

  it('hold one place for one id, however often it asks, and give it back when it is released', async () => {
    const { windows } = store()
    const owner = newNonce()
    const one = [{ name: odd, limit: 1 }]
    const names = one.map(({ name }) => name)
    for (let again = 0; again < 3; again++) expect(await windows.take(owner, 'a', one, HOUR_MS)).toBeUndefined()
    await windows.release(owner, 'b', names)
    expect((await windows.take(owner, 'b', one, HOUR_MS))?.full).toBe(names[0])
    await windows.release(owner, 'a', [...names, 'never taken'])
    expect(await windows.take(owner, 'b', one, HOUR_MS)).toBeUndefined()
  })

  it('say how many of their places are taken', async () => {
    const { windows } = store()
    const owner = newNonce()
    const [read, write] = ['read', 'write']
    expect(await windows.count(owner, [read, write], HOUR_MS)).toEqual([0, 0])
    for (const id of ['a', 'b', 'b']) await windows.take(owner, id, [{ name: read, limit: 3 }], HOUR_MS)
    expect(await windows.count(owner, [read, write], HOUR_MS)).toEqual([2, 0])
    await windows.release(owner, 'a', [read])
    expect(await windows.count(owner, [write, read], HOUR_MS)).toEqual([0, 1])
    expect(await windows.count(newNonce(), [read], HOUR_MS)).toEqual([0])
    await sleep(2)
    expect(await windows.count(owner, [read], 1)).toEqual([0])
  })

  it('are free again when their time is over, each place by itself', async () => {
    const { windows } = store()
    const two = [{ name: 'w', limit: 2 }]
    for (let lengthMs = 1_000; ; lengthMs *= 2) {
      const owner = newNonce()
      const begunMs = Date.now()
      expect(await windows.take(owner, 'a', two, lengthMs)).toBeUndefined()
      await sleep(lengthMs / 2)
      expect(await windows.take(owner, 'b', two, lengthMs)).toBeUndefined()
      const refused = await windows.take(owner, 'c', two, lengthMs)
      // A machine that took so long that the first was over again takes longer ones.
      if (Date.now() - begunMs >= lengthMs) continue
      expect(refused?.waitMs).toBeLessThanOrEqual(lengthMs / 2)
      await sleep((refused?.waitMs ?? 0) + 2)
      expect(await windows.take(owner, 'c', two, lengthMs)).toBeUndefined()
      return
    }
  })

  it('never give more places than there are to those who ask at once', async () => {
    const { windows } = store()
    const owner = newNonce()
    const five = [{ name: 'w', limit: 5 }]
    const asked = await Promise.all(Array.from({ length: 40 }, (_, id) => windows.take(owner, `${id}`, five, HOUR_MS)))
    expect(asked.filter((refused) => refused === undefined)).toHaveLength(5)
  })
}
