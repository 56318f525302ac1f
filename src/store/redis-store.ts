/**
 * The Redis store (DESIGN §9): several brokers on one Redis 7 (or Valkey). Durable means what the server is configured for:
 * with `appendonly yes` and `appendfsync always`, synced to its disk before it answers; with `everysec`, up to a second of
 * acknowledged writes is lost when its machine dies.
 *
 * Refuses to start on a server that may evict: an evicted cut-off would bring dead tokens back to life.
 */
import { BatchedIndexes } from './batched-indexes.ts'
import { checkedOrg, SCHEMA_VERSION } from './bounds.ts'
import { startHeartbeat } from './heartbeat.ts'
import { type Store, StoreUnavailable } from './ports.ts'
import { RedisAudit } from './redis-audit.ts'
import { RedisCluster } from './redis-cluster.ts'
import { RedisControl } from './redis-control.ts'
import { RedisDocuments } from './redis-documents.ts'
import { infoField, optionalField } from './redis-identity.ts'
import { RedisIndexes } from './redis-indexes.ts'
import { RedisKeys } from './redis-keys.ts'
import { CONTROL, type RedisLink } from './redis-link.ts'
import { RedisServer } from './redis-server.ts'
import type { RedisServers } from './redis-servers.ts'
import { RedisClaims, RedisSessions } from './redis-sessions.ts'
import { RedisWindows } from './redis-windows.ts'

/** Script flags, `PEXPIRETIME`, `ZADD GT` together. Valkey reports itself as 7.2. */
const MAJOR_VERSION_MIN = 7

export type RedisStoreOptions = RedisServers & {
  readonly org: string
  /** Contents kept per shard: fewer where it is shown that the oldest are forgotten. */
  readonly contentsMax?: number
}

export async function openRedisStore(options: RedisStoreOptions): Promise<Store> {
  const keys = new RedisKeys(checkedOrg(options.org))
  const connection = linkTo(options, 'errand')
  await connection.open()
  try {
    await checkServers(connection, options.replicas ?? 0)
    await checkSchema(connection, keys)
  } catch (error) {
    connection.close()
    throw error
  }
  const control = new RedisControl(connection, keys, () => linkTo(options, 'errand-follower', [CONTROL]))
  const heartbeat = startHeartbeat(() => connection.durably('errandHeartbeat', [keys.control('seq')], []))
  const indexes = new BatchedIndexes(new RedisIndexes(connection, keys))
  return {
    sessions: new RedisSessions(connection, keys, options.contentsMax),
    claims: new RedisClaims(connection, keys),
    control,
    audit: new RedisAudit(connection, keys, options.contentsMax),
    indexes,
    documents: new RedisDocuments(connection, keys),
    windows: new RedisWindows(connection, keys),
    async ping() {
      const [seconds, microseconds] = (await connection.command(['TIME'])) as [string, string]
      return { nowMs: Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000) }
    },
    get takesWrites() {
      return connection.answers && heartbeat.ok
    },
    async close() {
      heartbeat.stop()
      await indexes.flush()
      await control.close()
      connection.close()
    },
  }
}

/** @param tags those that it will be asked for, where that is not all */
function linkTo(servers: RedisServers, name: string, tags?: readonly string[]): RedisLink {
  return 'cluster' in servers ? new RedisCluster(servers, name, tags) : new RedisServer(servers, name)
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

async function checkSchema(connection: RedisLink, keys: RedisKeys): Promise<void> {
  const key = keys.control('schema')
  await connection.command(['SET', key, SCHEMA_VERSION, 'NX'])
  const found = await connection.command(['GET', key])
  if (found !== SCHEMA_VERSION) {
    throw new StoreUnavailable(
      `the store has schema version ${found}; this broker knows ${SCHEMA_VERSION} only: run the Errand that wrote it, or name an empty store`,
    )
  }
}
