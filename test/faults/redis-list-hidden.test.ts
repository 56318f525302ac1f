/** Lists for people name what a revocation has killed: nobody may push another session out of sight by coming again and again. */
import { expect, test } from 'vitest'
import { RedisIndexes } from '../../src/store/redis-indexes.ts'
import { RedisKeys } from '../../src/store/redis-keys.ts'
import { RedisServer } from '../../src/store/redis-server.ts'
import { HOUR_MS } from '../contract/store-contract.ts'
import { startRedis } from '../support/redis.ts'

test('a session that is listed thousands of times hides no other, to whoever lists and to whoever counts', async () => {
  const server = await startRedis()
  const link = new RedisServer({ url: server.url }, 'errand-test')
  try {
    await link.open()
    const lists = new RedisIndexes(link, new RedisKeys('acme'))
    const now = Date.now()
    await lists.addAll('sessions:agent:x', new Map([['ses_other', now + HOUR_MS]]))
    for (let times = 0; times < 3_500; times++) {
      await lists.addAll('sessions:agent:x', new Map([['ses_one', now + HOUR_MS]]))
    }
    expect((await lists.list('sessions:agent:x', now, 200)).toSorted()).toEqual(['ses_one', 'ses_other'])
    expect(await lists.list('sessions:agent:x', now, 1)).toHaveLength(1)
    expect(await lists.count('sessions:agent:x', now, 20_000)).toBe(2)
  } finally {
    link.close()
    await server.stop()
  }
})
