/** Lists for people name what a revocation has killed: nobody may push another session out of sight by coming again and again. */
import { expect, test, vi } from 'vitest'
import { RedisIndexes } from '../../src/store/redis-indexes.ts'
import { RedisKeys } from '../../src/store/redis-keys.ts'
import { RedisServer } from '../../src/store/redis-server.ts'
import { HOUR_MS } from '../contract/store-contract.ts'
import { whenAvailable } from '../support/patience.ts'
import { startRedis } from '../support/redis.ts'

vi.mock('../../src/kernel/store-limits.ts', async (original) =>
  (await import('../support/patient-limits.ts')).patientLimits(original),
)

test('a session that is listed thousands of times hides no other, to whoever lists and to whoever counts', async () => {
  const server = await startRedis()
  const link = new RedisServer({ url: server.url }, 'errand-test')
  try {
    await link.open()
    const lists = new RedisIndexes(link, new RedisKeys('acme'))
    const now = Date.now()
    await lists.addAll(new Map([['sessions:agent:x', new Map([['ses_other', now + HOUR_MS]])]]))
    for (let times = 0; times < 3_500; times++) {
      await whenAvailable(() => lists.addAll(new Map([['sessions:agent:x', new Map([['ses_one', now + HOUR_MS]])]])))
    }
    expect((await lists.list('sessions:agent:x', now, 200)).toSorted()).toEqual(['ses_one', 'ses_other'])
    expect(await lists.list('sessions:agent:x', now, 1)).toHaveLength(1)
    expect(await lists.count('sessions:agent:x', now, 20_000)).toBe(2)
  } finally {
    link.close()
    await server.stop()
  }
})

test('lists of one shard that are written together, however long, each have their own and nobody else’s', async () => {
  const server = await startRedis()
  const link = new RedisServer({ url: server.url }, 'errand-test')
  try {
    await link.open()
    const keys = new RedisKeys('acme')
    const lists = new RedisIndexes(link, keys)
    const now = Date.now()
    const names = Array.from({ length: 2_000 }, (_, n) => `sessions:user:${n}`)
    const together = names.filter((name) => keys.shard(name) === keys.shard('sessions:user:0')).slice(0, 8)
    expect(together).toHaveLength(8)
    // 500 entries are written at a time: these end before, at and behind such a border.
    const lengths = [1, 499, 500, 501, 1_200, 3, 250, 250]
    const membersOf = (at: number) => Array.from({ length: lengths[at] ?? 0 }, (_, n) => `ses_${at}_${n}`)
    const expiring = (at: number) => new Map(membersOf(at).map((member) => [member, now + HOUR_MS]))
    await lists.addAll(new Map(together.map((name, at) => [name, expiring(at)])))
    for (const [at, name] of together.entries()) {
      expect(new Set(await lists.list(name, now, 2_000)), name).toEqual(new Set(membersOf(at)))
    }
  } finally {
    link.close()
    await server.stop()
  }
})
