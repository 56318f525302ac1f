/**
 * The Redis store (DESIGN §9): several brokers on one Redis 7 (or Valkey). Durable means what the server is configured for:
 * with `appendonly yes` and `appendfsync always`, synced to its disk before it answers; with `everysec`, up to a second of
 * acknowledged writes is lost when its machine dies.
 *
 * Refuses to start on a server that may evict: an evicted cut-off would bring dead tokens back to life.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { BatchedIndexes } from './batched-indexes.ts'
import { checkedOrg, type OutboxOptions, outboxBounds, SCHEMA_VERSION } from './bounds.ts'
import { startHeartbeat } from './heartbeat.ts'
import { type Store, StoreUnavailable } from './ports.ts'
import { RedisAudit } from './redis-audit.ts'
import { RedisCalls } from './redis-calls.ts'
import { type LinkOptions, RedisCluster } from './redis-cluster.ts'
import { RedisControl } from './redis-control.ts'
import { RedisDocuments } from './redis-documents.ts'
import { GatedLink, RedisGate } from './redis-gate.ts'
import { infoField, optionalField } from './redis-identity.ts'
import { RedisIndexes } from './redis-indexes.ts'
import { RedisKeys } from './redis-keys.ts'
import { CONTROL, type RedisLink } from './redis-link.ts'
import { RedisLog } from './redis-log.ts'
import { RedisServer } from './redis-server.ts'
import type { RedisServers } from './redis-servers.ts'
import { RedisClaims, RedisSessions } from './redis-sessions.ts'
import { RedisShards, timeOf } from './redis-shards.ts'
import { RedisVigil } from './redis-vigil.ts'
import { RedisWindows } from './redis-windows.ts'

/** Script flags, `PEXPIRETIME`, `ZADD GT` together. Valkey reports itself as 7.2. */
const MAJOR_VERSION_MIN = 7
const OPEN_PATIENCE_MS = 5_000
const OPEN_PAUSE_MS = 50

export type RedisStoreOptions = RedisServers & OutboxOptions & { readonly org: string }

export async function openRedisStore(options: RedisStoreOptions): Promise<Store> {
  const keys = new RedisKeys(checkedOrg(options.org))
  const gate = new RedisGate()
  const shards = new RedisShards(keys)
  const bounds = outboxBounds(options)
  const connection = new GatedLink(linkTo(options, 'errand'), gate)
  const follower = () => linkTo(options, 'errand-follower', { tags: [CONTROL], follows: true })
  const control = new RedisControl(connection, keys, gate, follower)
  const link = linkTo(options, 'errand-vigil', { follows: true })
  const listeners = () => control.listeners
  const vigil = new RedisVigil({ link, keys, gate, shards, listeners, controlMoved: () => control.moved() })
  try {
    await Promise.all([connection.open(), link.open()])
    await checkServers(link, options.replicas ?? 0)
    await patiently(async () => {
      const isNew = await checkSchema(link, keys)
      await vigil.begin(isNew)
      // Last: whoever finds it finds the marks as well.
      await link.command(['SET', keys.control('schema'), SCHEMA_VERSION, 'NX'])
      await checkSchema(link, keys)
    })
  } catch (error) {
    vigil.close()
    connection.close()
    throw error
  }
  const heartbeat = startHeartbeat(async () => {
    await connection.look()
    // Servers that nobody asks anything are looked at, too.
    if (!connection.answers) vigil.wake()
    await connection.durably('errandHeartbeat', [keys.control('seq')], [])
  })
  const indexes = new BatchedIndexes(new RedisIndexes(connection, keys))
  return {
    sessions: new RedisSessions(connection, keys, shards, bounds),
    claims: new RedisClaims(connection, keys, shards, gate),
    control,
    audit: new RedisAudit(connection, keys, shards, bounds),
    log: new RedisLog(connection, keys),
    indexes,
    documents: new RedisDocuments(connection, keys),
    windows: new RedisWindows(connection, keys),
    calls: new RedisCalls(connection, keys, shards, bounds),
    async ping() {
      return { nowMs: await timeOf(connection) }
    },
    get takesWrites() {
      return connection.answers && heartbeat.ok
    },
    async close() {
      heartbeat.stop()
      await indexes.flush()
      await control.close()
      vigil.close()
      connection.close()
    },
  }
}

function linkTo(servers: RedisServers, name: string, options?: LinkOptions): RedisLink {
  return 'cluster' in servers ? new RedisCluster(servers, name, options) : new RedisServer(servers, name)
}

/** Each of them. `INFO`, not `CONFIG`: managed services forbid the latter. */
async function checkServers(connection: RedisLink, replicas: number): Promise<void> {
  for (const info of await infoOf(connection, 'server')) {
    const version = infoField(info, 'redis_version')
    if (Number.parseInt(version, 10) >= MAJOR_VERSION_MIN) continue
    throw new StoreUnavailable(`Redis ${version} is too old: version ${MAJOR_VERSION_MIN} or later is needed`)
  }
  for (const info of await infoOf(connection, 'memory')) {
    const policy = infoField(info, 'maxmemory_policy')
    if (policy === 'noeviction') continue
    throw new StoreUnavailable(
      `Redis has maxmemory-policy ${policy}: it could evict a revocation. Set maxmemory-policy to noeviction`,
    )
  }
  if (replicas > 0) for (const info of await infoOf(connection, 'replication')) checkReplicas(info, replicas)
}

/** How many `min-replicas-to-write` asks for is not among what a server reports of itself; that it asks for any is. */
function checkReplicas(info: string, wanted: number): void {
  const online = info.match(/^slave\d+:.*\bstate=online\b/gm)?.length ?? 0
  if (online < wanted) {
    throw new StoreUnavailable(
      `a Redis primary has ${online} replicas, and store.replicas asks for ${wanted}: attach the others, or lower store.replicas`,
    )
  }
  if (optionalField(info, 'min_slaves_good_slaves') === undefined) {
    throw new StoreUnavailable(
      `Redis has min-replicas-to-write unset: a primary that is cut off would go on taking writes that a failover loses. Set min-replicas-to-write to ${wanted} on every server that may become the primary`,
    )
  }
}

/** Of each server. */
function infoOf(connection: RedisLink, section: string): Promise<readonly string[]> {
  return connection.everywhere(['INFO', section]).then(
    (answers) => answers.map(String),
    (error: unknown) => {
      throw new StoreUnavailable(
        `INFO ${section} failed. This account must be allowed INFO, and the server must have maxmemory-policy noeviction`,
        error,
      )
    },
  )
}

/** Whether nothing has ever been written to it. @throws Unfit where another Errand has */
async function checkSchema(connection: RedisLink, keys: RedisKeys): Promise<boolean> {
  const found = await connection.command(['GET', keys.control('schema')])
  if (found === SCHEMA_VERSION || found === null) return found === null
  throw new Unfit(
    `the store has schema version ${found}; this broker knows ${SCHEMA_VERSION} only: run the Errand that wrote it, or name an empty store`,
  )
}

/** No waiting makes it fit. */
class Unfit extends StoreUnavailable {}

/** A replica that is late, or a primary that changes just then, ends no broker that starts: what has failed is begun again for a while. */
async function patiently(work: () => Promise<void>): Promise<void> {
  const until = performance.now() + OPEN_PATIENCE_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (error instanceof Unfit || performance.now() > until) throw error
      await sleep(OPEN_PAUSE_MS)
    }
  }
}
