/** A key of a Redis Cluster that has moved: what the replicas of its new primary have says nothing of what the one before was told. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RedisCluster } from '../../src/store/redis-cluster.ts'
import { CONTROL } from '../../src/store/redis-link.ts'
import { type RunningCluster, startRedisCluster } from '../support/redis-cluster.ts'
import { ask, eventually } from '../support/redis-replicas.ts'

const KEY = '{control}:acme:seq'
let cluster: RunningCluster
beforeAll(async () => {
  cluster = await startRedisCluster({ downAfterMs: 5_000 })
})
afterAll(() => cluster?.stop())

test('whether replicas have a write is not asked of another server than has answered it', async () => {
  const link = new RedisCluster({ cluster: cluster.urls.slice(0, 2), replicas: 1 }, 'errand-test', {
    tags: [CONTROL],
    follows: true,
  })
  try {
    await link.open()
    expect(await link.command(['SET', KEY, '1'])).toBe('OK')
    await eventually('its replica has it', () => stands(link))
    const primary = await cluster.primaryOf(KEY)
    const replica = cluster.members.indexOf(primary as NonNullable<typeof primary>) + 3
    await eventually('a replica in its place', async () => {
      await ask(cluster.members[replica]?.redis.port ?? 0, ['CLUSTER', 'FAILOVER'])
      await sleep(1_000)
      return String(await ask(primary?.redis.port ?? 0, ['ROLE'])).startsWith('slave')
    })
    expect(await stands(link)).toBe(false)
    await eventually('the other, which is asked from now on', () => stands(link))
  } finally {
    link.close()
  }
})

test('nothing is done at a node that a slot is moving to, while replicas are asked of the one it leaves', async () => {
  const link = new RedisCluster({ cluster: cluster.urls.slice(0, 2), replicas: 1 }, 'errand-test', { tags: [CONTROL] })
  try {
    await link.open()
    await eventually('its replica has it', async () => {
      await link.command(['SET', KEY, '1'])
      return stands(link)
    })
    const from = await cluster.primaryOf(KEY)
    const to = cluster.members.slice(0, 3).find((member) => member !== from)
    if (from === undefined || to === undefined) throw new Error('a cluster has primaries')
    const slot = Number(await ask(from.redis.port, ['CLUSTER', 'KEYSLOT', KEY]))
    await ask(to.redis.port, ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id])
    await ask(from.redis.port, ['CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id])
    await ask(from.redis.port, ['MIGRATE', '127.0.0.1', to.redis.port, '', 0, 5_000, 'KEYS', KEY])
    const isDone = await link.command(['SET', KEY, '2']).then(
      () => true,
      () => false,
    )
    expect(isDone && (await stands(link))).toBe(false)
    expect(isDone).toBe(false)
  } finally {
    link.close()
  }
})

const stands = (link: RedisCluster) =>
  link.standing(KEY).then(
    () => true,
    () => false,
  )
