/** What is asserted again after a loss is what is in force, however much there is and was. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { CONTROL_ENTRIES_MAX } from '../../src/store/bounds.ts'
import { assertAgain } from '../../src/store/redis-assertion.ts'
import { writeControl } from '../../src/store/redis-control-write.ts'
import { RedisKeys } from '../../src/store/redis-keys.ts'
import { readSnapshot } from '../../src/store/redis-readings.ts'
import { RedisServer } from '../../src/store/redis-server.ts'
import { HOUR_MS } from '../contract/store-contract.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'

vi.mock('../../src/kernel/store-limits.ts', async (original) =>
  (await import('../support/patient-limits.ts')).patientLimits(original),
)

const keys = new RedisKeys('acme')
let server: RunningRedis
let link: RedisServer
beforeEach(async () => {
  server = await startRedis()
  link = new RedisServer({ url: server.url }, 'errand-test')
  await link.open()
})
afterEach(async () => {
  link.close()
  await server.stop()
})

/** @returns the number of the last write */
async function cutOff(count: number, lastsMs: number): Promise<number> {
  const expiresAtMs = Date.now() + lastsMs
  let last = 0
  for (let at = 0; at < count; at += CONTROL_ENTRIES_MAX) {
    const ids = Array.from({ length: Math.min(CONTROL_ENTRIES_MAX, count - at) }, (_, n) => `jti_${at + n}`)
    const writes = ids.map((id) => ({ entry: 'cutoff', dimension: 'node', id, expiresAtMs }) as const)
    last = (await writeControl(writes, 0, { link, keys }))?.seq ?? 0
  }
  return last
}

const MANY = CONTROL_ENTRIES_MAX + 100

test('cut-offs that have ended, and are still stored, keep nobody from coming back', async () => {
  const seq = await cutOff(MANY, 500)
  await sleep(600)
  await assertAgain({ seq, entries: [] }, link, keys)
  expect((await readSnapshot(link, keys)).seq).toBeGreaterThan(seq)
})

test('more of others than one write takes are given new numbers in several', async () => {
  const seq = await cutOff(MANY, HOUR_MS)
  await assertAgain({ seq, entries: [] }, link, keys)
  const { entries } = await readSnapshot(link, keys)
  expect(entries.filter((entry) => entry.seq > seq)).toHaveLength(MANY)
})
