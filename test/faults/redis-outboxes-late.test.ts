/** The log and the outboxes behind it, where a Redis or its replica does not answer (H73): each call ends in time, and nothing is half-written. */
import { afterEach, expect, test } from 'vitest'
import { STORE_DEADLINE_MS } from '../../src/kernel/store-limits.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type OutboxEntry, type Store, StoreUnavailable } from '../../src/store/ports.ts'
import type { RedisServers } from '../../src/store/redis-servers.ts'
import { readOn } from '../contract/log-contract.ts'
import { isBack, whenAvailable } from '../support/patience.ts'
import { startRedis } from '../support/redis.ts'
import { eventually, startReplicatedRedis } from '../support/redis-replicas.ts'
import { expectWhole, pieces } from './log-appends.ts'

/** Of the outbox that all is written to here. */
const KEY = 'one'

const stores: Store[] = []
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  for (const close of closing.splice(0)) await close()
})

async function open(servers: RedisServers): Promise<Store> {
  const store = await openStore({ kind: 'redis', ...servers, org: 'acme' })
  stores.push(store)
  return store
}

const texts = (entries: readonly OutboxEntry[]) => entries.map(({ record }) => record)

test('an append to the log at a server that hangs ends at its deadline, and was performed whole or not at all', async () => {
  const redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  closing.push(() => redis.stop())
  const store = await open({ url: redis.url })
  await store.log.append(undefined, '1', pieces(1))
  redis.pause()
  const begun = performance.now()
  const calls = [
    () => store.log.append('1', '2', pieces(2)),
    () => store.log.read(['all']),
    () => store.audit.pending(new Map(), 10),
    () => store.audit.append(KEY, 'record'),
  ]
  const results = await Promise.allSettled(calls.map((call) => call()))
  for (const result of results) {
    expect(result.status === 'rejected' && result.reason).toBeInstanceOf(StoreUnavailable)
  }
  expect(performance.now() - begun).toBeLessThan(4 * STORE_DEADLINE_MS)
  redis.resume()
  await eventually('it answers', () => isBack(store))
  expect([1, 2]).toContain(await whenAvailable(() => expectWhole(store)))
})

test('what no replica has yet is read by nobody, and no append is acknowledged without them', async () => {
  const args = ['--min-replicas-to-write', '1']
  const servers = await startReplicatedRedis({ replicas: 1, sentinels: 1, downAfterMs: 60_000, args })
  const [, replica] = servers.members
  const sentinel = { name: servers.name, hosts: servers.hosts, tls: false }
  try {
    await servers.replicated()
    await eventually('it opens', async () => {
      await open({ sentinel, replicas: 1 })
      return true
    })
    const store = stores.at(-1) as Store
    const cursors = new Map<string, string>()
    await eventually('it has replicas', () => store.audit.append(KEY, 'on both').then(() => true))
    await eventually('it is read', async () => texts(await readOn(store, cursors)).includes('on both'))
    replica?.redis.pause()
    await expect(store.audit.append(KEY, 'on one')).rejects.toThrow(StoreUnavailable)
    await expect(store.audit.pending(cursors, 10)).rejects.toThrow(StoreUnavailable)
    await expect(store.log.append(undefined, 'head', [])).rejects.toThrow(StoreUnavailable)
    replica?.redis.resume()
    await eventually('both have it', async () => texts(await readOn(store, cursors)).includes('on one'))
  } finally {
    await servers.stop()
  }
})
