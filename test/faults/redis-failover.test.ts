/**
 * A primary that is killed, paused or cut off, and replaced: by Sentinels, and in a cluster. With every acknowledged write on a
 * replica nothing is lost by it: what was revoked is dead at every broker, what was used cannot be used again, what was open lives,
 * and service returns by itself.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newSessionId, type SessionId } from '../../src/kernel/ids.ts'
import { shardOf } from '../../src/kernel/shard.ts'
import { LiveCutoffs } from '../../src/sessions/live-cutoffs.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { add, commitOf, HOUR_MS, set } from '../contract/store-contract.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type ClusterMember, type RunningCluster, startRedisCluster } from '../support/redis-cluster.ts'
import { ask, eventually, type Member, type ReplicatedRedis, startReplicatedRedis } from '../support/redis-replicas.ts'

const MIN_REPLICAS = ['--min-replicas-to-write', '1']
/** To notice, to elect, to come back: the servers are told to wait a second before they replace one. */
const RECOVERY_MS_MAX = 2 * PATIENCE_MS
const ANSWER_MS_MAX = 2_000
const CONTROL_KEY = '{control}:acme:seq'

interface Broker {
  readonly store: Store
  readonly cutoffs: LiveCutoffs
  close(): Promise<void>
}

async function broker(servers: Parameters<typeof openStore>[0]): Promise<Broker> {
  const store = await openStore(servers)
  const cutoffs = new LiveCutoffs({ nowMs: () => Date.now() })
  const following = await store.control.follow(cutoffs)
  const close = async () => {
    await following.stop()
    await store.close()
  }
  return { store, cutoffs, close }
}

const kills = ({ cutoffs }: Broker, rv: number, of: { session?: SessionId; agent?: string }) =>
  cutoffs.set.killing({
    rv,
    nodes: [],
    versions: [],
    agents: of.agent === undefined ? [] : [of.agent],
    accessToken: true,
    ...(of.session === undefined ? {} : { session: of.session }),
  }) !== undefined

const cutoff = (id: string) => ({ entry: 'cutoff', dimension: 'agent', id, expiresAtMs: Date.now() + HOUR_MS }) as const
const open = async ({ store }: Broker) => {
  const session = newSessionId()
  await again(() => store.sessions.commit(commitOf(session, [set('state', 'active')], { audit: '{"id":"dec_1"}' })))
  return session
}
let nonces = 0
/** One claim, however often it has to be asked for: under one nonce. */
const claim = ({ store }: Broker, key: string) => {
  const nonce = `nonce-${nonces++}`
  return again(() => store.claims.claim(key, nonce, Date.now() + HOUR_MS))
}

/** Sessions on every shard's server, claims used, an agent revoked: all acknowledged. */
async function granted(brokers: readonly Broker[], name: string) {
  const [first] = brokers as [Broker]
  const sessions = await Promise.all(Array.from({ length: 40 }, () => open(first)))
  const used = sessions.map((_, n) => `${name} ${n}`)
  expect(await Promise.all(used.map((key) => claim(first, key)))).not.toContain(false)
  const { rv } = first.cutoffs
  const { seq } = await again(() => first.cutoffs.write(first.store.control, [cutoff(name)]))
  await eventually('all have heard', async () => brokers.every(({ cutoffs }) => cutoffs.rv >= seq))
  return { sessions, used, rv, seq }
}

/** While it is away: each answer is a fault in time, or right. Returns when all brokers serve all shards again. */
async function served(brokers: readonly Broker[], sessions: readonly SessionId[], name: string): Promise<void> {
  const begun = performance.now()
  let slowest = 0
  for (const { store, cutoffs } of brokers) {
    const attempt = async () => {
      const from = performance.now()
      const commits = sessions.map((id) =>
        store.sessions.commit(commitOf(id, [add('n', 1)], { audit: '{"id":"dec_2"}' })),
      )
      const ends = await Promise.allSettled(commits)
      slowest = Math.max(slowest, performance.now() - from)
      for (const end of ends) if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(StoreUnavailable)
      return ends.every(({ status }) => status === 'fulfilled') && cutoffs.fresh && store.takesWrites
    }
    await eventually(`${name}: service`, attempt, RECOVERY_MS_MAX)
  }
  console.log(
    `${name}: back after ${(performance.now() - begun).toFixed(0)} ms; slowest answer ${slowest.toFixed(0)} ms`,
  )
  expect(slowest).toBeLessThan(ANSWER_MS_MAX)
}

async function nothingLost(brokers: readonly Broker[], name: string, held: Awaited<ReturnType<typeof granted>>) {
  for (const each of brokers) {
    expect(kills(each, held.rv, { agent: name })).toBe(true)
    const sessions = await Promise.all(held.sessions.map((id) => again(() => each.store.sessions.readAll(id))))
    expect(new Set(sessions.map((record) => record?.get('state')))).toEqual(new Set(['active']))
    expect(held.sessions.filter((session) => kills(each, held.seq, { session }))).toEqual([])
    expect(await Promise.all(held.used.map((key) => claim(each, key)))).not.toContain(true)
  }
}

async function again<T>(call: () => Promise<T>): Promise<T> {
  const until = Date.now() + RECOVERY_MS_MAX
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (Date.now() > until) throw error
      await sleep(20)
    }
  }
}

describe('by Sentinels', () => {
  let servers: ReplicatedRedis
  let brokers: Broker[]
  beforeAll(async () => {
    servers = await startReplicatedRedis({ replicas: 3, args: MIN_REPLICAS, proxied: true })
    const sentinel = { name: servers.name, hosts: servers.hosts, tls: false }
    const store = { kind: 'redis', sentinel, replicas: 1, org: 'acme' } as const
    brokers = [await broker(store), await broker(store)]
  })
  afterAll(async () => {
    for (const one of brokers ?? []) await one.close()
    await servers?.stop()
  })

  test.each([
    ['paused', (from: Member) => from.redis.pause(), async (from: Member) => from.redis.resume()],
    ['cut off', (from: Member) => from.proxy?.swallow(), async (from: Member) => from.proxy?.heal()],
    [
      'killed',
      (from: Member) => from.redis.kill(),
      async (from: Member) => {
        from.redis = await from.redis.again()
      },
    ],
  ])('the primary is %s', async (name, begin, end) => {
    const held = await granted(brokers, name)
    const from = await servers.primary()
    await begin(from)
    await servers.failedOver(from)
    await served(brokers, held.sessions, `the primary is ${name}`)
    await nothingLost(brokers, name, held)
    // The former primary is back, and believes for a while that it is one still.
    await end(from)
    await nothingLost(brokers, name, held)
    const { seq } = await again(() => brokers[0]?.store.control.write([cutoff(`${name}, afterwards`)], 0) ?? never())
    await eventually('heard by all', async () =>
      brokers.every((one) => kills(one, seq - 1, { agent: `${name}, afterwards` })),
    )
    await servers.replicated()
  })
})

describe('in a cluster', () => {
  let cluster: RunningCluster
  let brokers: Broker[]
  beforeAll(async () => {
    cluster = await startRedisCluster({ args: MIN_REPLICAS })
    const store = { kind: 'redis', cluster: cluster.urls.slice(0, 3), replicas: 1, org: 'acme' } as const
    brokers = [await broker(store), await broker(store)]
  })
  afterAll(async () => {
    for (const one of brokers ?? []) await one.close()
    await cluster?.stop()
  })

  const slotKeys = { 'of the control slot': CONTROL_KEY, 'of some sessions': '{s1}:acme:outbox' }

  test.each(Object.entries(slotKeys))('the primary %s is killed, and comes back as a replica', async (name, key) => {
    const held = await granted(brokers, name)
    const from = (await cluster.primaryOf(key)) as ClusterMember
    await from.redis.kill()
    await cluster.failedOver(key, from)
    from.redis = await from.redis.again()
    await served(brokers, held.sessions, `the primary ${name} is killed`)
    await nothingLost(brokers, name, held)
    await cluster.whole()
  })

  test('a slot that moves to another node while it is written to: nothing is done twice, and nothing is cut off', async () => {
    const [first] = brokers as [Broker]
    const held = await granted(brokers, 'moving')
    const session = held.sessions.find((id) => shardOf(id) !== 1) as SessionId
    const key = `{s${shardOf(session)}}:acme:outbox`
    const slot = Number(await answer(cluster.members[0]?.redis.port ?? 0, ['CLUSTER', 'KEYSLOT', key]))
    const from = (await cluster.primaryOf(key)) as ClusterMember
    const to = (await otherPrimary(cluster, from)) as ClusterMember
    let acknowledged = 0
    let asked = 0
    let isMoving = true
    const writer = (async () => {
      while (isMoving) {
        asked += 1
        // As a broker does: what is not known to have happened is asked for again under its id.
        const commit = commitOf(session, [add('moved', 1)], { audit: '{"id":"dec_3"}' })
        await again(() => first.store.sessions.commit(commit))
        acknowledged += 1
      }
    })()
    await eventually('it is written to', async () => acknowledged > 3)
    await moveSlot(slot, from, to)
    const moved = acknowledged
    await eventually('it is written to where it is now', async () => acknowledged > moved + 10)
    isMoving = false
    await writer
    // The other nodes hear of it from those two.
    await eventually('all name the new node', async () => (await cluster.primaryOf(key))?.id === to.id)
    const record = await again(() => first.store.sessions.readAll(session))
    expect(Number(record?.get('moved'))).toBe(acknowledged)
    expect(acknowledged).toBe(asked)
    await nothingLost(brokers, 'moving', held)
  })
})

async function otherPrimary(cluster: RunningCluster, from: ClusterMember): Promise<ClusterMember | undefined> {
  for (const shard of Array.from({ length: 64 }, (_, n) => n)) {
    const owner = await cluster.primaryOf(`{s${shard}}:acme:outbox`)
    if (owner !== undefined && owner.id !== from.id) return owner
  }
  return undefined
}

/** Key by key, as `redis-cli --cluster reshard` does. */
async function moveSlot(slot: number, from: ClusterMember, to: ClusterMember): Promise<void> {
  await answer(to.redis.port, ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id])
  await answer(from.redis.port, ['CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id])
  for (;;) {
    const keys = (await answer(from.redis.port, ['CLUSTER', 'GETKEYSINSLOT', slot, 10])) as string[]
    if (keys.length === 0) break
    await ask(from.redis.port, ['MIGRATE', '127.0.0.1', to.redis.port, '', 0, 5_000, 'KEYS', ...keys])
  }
  for (const { redis } of [to, from]) await answer(redis.port, ['CLUSTER', 'SETSLOT', slot, 'NODE', to.id])
}

/** What it answers in the end: on a busy machine it may not the first time. */
async function answer(...asked: Parameters<typeof ask>): Promise<unknown> {
  let found: unknown
  await eventually(asked[1].join(' '), async () => {
    found = await ask(...asked)
    return found !== undefined
  })
  return found
}

function never(): never {
  throw new Error('there is a broker')
}
