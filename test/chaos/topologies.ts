/** The stores of a run, and what may befall them. A fault is undone by what it returns, and one is over before the next begins. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildOrder } from '../support/broker-child.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { ask, eventually, startReplicatedRedis } from '../support/redis-replicas.ts'

export interface StoreFault {
  readonly name: string
  /** Resolves when it has struck; what is returned heals it and resolves when the store is whole again. */
  strike(): Promise<() => Promise<void>>
}

export interface ChaosStore {
  readonly store: ChildOrder['store']
  readonly faults: readonly StoreFault[]
  stop(): Promise<void>
}

/** Acknowledged means written to disk and on a replica, so that neither a restart nor a failover may undo it. */
const DURABLE = [
  '--appendonly',
  'yes',
  '--appendfsync',
  'always',
  '--min-replicas-to-write',
  '1',
  '--min-replicas-max-lag',
  '2',
]
/** Every one has what is acknowledged: whichever is named the next primary has it. */
const REPLICAS = 2
/** Longer than Sentinels and clusters take to depose a primary. */
const DEPOSED_MS = 4_000

/** A primary, two replicas, three Sentinels. */
export async function startSentinelStore(): Promise<ChaosStore> {
  const set = await startReplicatedRedis({ replicas: REPLICAS, proxied: true, args: DURABLE })
  const faults: StoreFault[] = [
    {
      name: 'the primary is killed',
      async strike() {
        const primary = await set.primary()
        await primary.redis.kill()
        return async () => {
          await set.failedOver(primary)
          primary.redis = await primary.redis.again()
          await set.replicated()
        }
      },
    },
    {
      name: 'the primary stands still until it is deposed',
      async strike() {
        const primary = await set.primary()
        primary.redis.pause()
        return async () => {
          await set.failedOver(primary)
          primary.redis.resume()
          await set.replicated()
        }
      },
    },
    {
      name: 'the primary is cut off from everybody until it is deposed',
      async strike() {
        const primary = await set.primary()
        primary.proxy?.swallow()
        return async () => {
          await set.failedOver(primary)
          await primary.proxy?.heal()
          await set.replicated()
        }
      },
    },
    {
      name: 'a replica is killed',
      async strike() {
        const primary = await set.primary()
        const replica = set.members.find((member) => member !== primary)
        await replica?.redis.kill()
        return async () => {
          if (replica !== undefined) replica.redis = await replica.redis.again()
          await set.replicated()
        }
      },
    },
    {
      name: 'the primary is restarted from its disk',
      async strike() {
        const primary = await set.primary()
        await primary.redis.kill()
        primary.redis = await primary.redis.again()
        // Started as a replica it may have been; as with a configuration that Sentinels rewrite, it is what it was last.
        await ask(primary.redis.port, ['REPLICAOF', 'NO', 'ONE'])
        return () => set.replicated()
      },
    },
  ]
  const sentinel = { name: set.name, hosts: set.hosts, tls: false }
  return { store: { kind: 'redis', sentinel, replicas: REPLICAS }, faults, stop: () => set.stop() }
}

/** Six nodes: three primaries, a replica each. */
export async function startClusterStore(): Promise<ChaosStore> {
  const cluster = await startRedisCluster({ primaries: 3, replicas: 1, proxied: true, args: DURABLE })
  const deposed = (key: string, how: 'kill' | 'pause' | 'cut'): StoreFault['strike'] => {
    return async () => {
      const primary = await cluster.primaryOf(key)
      if (primary === undefined) throw new Error('nobody serves the slot')
      if (how === 'kill') await primary.redis.kill()
      else if (how === 'pause') primary.redis.pause()
      else primary.proxy?.swallow()
      return async () => {
        // Clients are cut off; what the nodes say to each other goes beside the proxy, so nobody is deposed.
        if (how === 'cut') await sleep(DEPOSED_MS)
        else await cluster.failedOver(key, primary)
        if (how === 'kill') primary.redis = await primary.redis.again()
        else if (how === 'pause') primary.redis.resume()
        else await primary.proxy?.heal()
        await eventually('a whole cluster', async () => {
          await cluster.whole()
          return true
        })
      }
    }
  }
  const faults: StoreFault[] = [
    { name: 'the primary of the control slot is killed', strike: deposed('{control}', 'kill') },
    { name: 'the primary of some sessions is killed', strike: deposed('{s7}', 'kill') },
    { name: 'the primary of the control slot stands still', strike: deposed('{control}', 'pause') },
    { name: 'the primary of some sessions is cut off from clients', strike: deposed('{s7}', 'cut') },
  ]
  return { store: { kind: 'redis', cluster: cluster.urls, replicas: 1 }, faults, stop: () => cluster.stop() }
}
