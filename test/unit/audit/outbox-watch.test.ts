import { beforeEach, describe, expect, test } from 'vitest'
import { OutboxWatch } from '../../../src/audit/outbox-watch.ts'
import { type OutboxUsage, StoreUnavailable } from '../../../src/store/ports.ts'

let records: number
let said: OutboxUsage[]
let watch: OutboxWatch
beforeEach(() => {
  records = 0
  said = []
  watch = new OutboxWatch({ usage: async () => ({ records, limit: 1_000 }) }, (usage) => said.push(usage))
})

async function look(...fills: readonly number[]): Promise<readonly number[]> {
  for (const fill of fills) {
    records = fill
    await watch.look()
  }
  return said.map((usage) => usage.records)
}

describe('an outbox that fills up', () => {
  test('is no news below eight tenths', async () => {
    expect(await look(0, 500, 799)).toEqual([])
  })

  test('is told from eight tenths on, once, and again at each further tenth', async () => {
    expect(await look(799, 800, 801, 899, 900, 950, 1_000)).toEqual([800, 900, 1_000])
    expect(said[0]).toEqual({ records: 800, limit: 1_000 })
  })

  test('is not told again for a store that keeps a little more than its limit, or wavers at a tenth', async () => {
    expect(await look(1_050, 1_150, 999, 1_000)).toEqual([1_050])
  })

  test('is told at once by a broker that starts with it full', async () => {
    expect(await look(1_000)).toEqual([1_000])
  })
})

test('a store that does not answer is looked at again, and nothing is thrown', async () => {
  let down = true
  const usage = async () => {
    if (down) throw new StoreUnavailable('usage does not answer')
    return { records: 1_000, limit: 1_000 }
  }
  watch = new OutboxWatch({ usage }, (full) => said.push(full))
  await expect(watch.look()).resolves.toBeUndefined()
  expect(said).toEqual([])
  down = false
  await watch.look()
  expect(said).toHaveLength(1)
})
