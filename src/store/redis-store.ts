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
import { RedisConnection } from './redis-connection.ts'
import { RedisControl } from './redis-control.ts'
import { RedisDocuments } from './redis-documents.ts'
import { RedisIndexes } from './redis-indexes.ts'
import { RedisKeys } from './redis-keys.ts'
import { CONTROL, type RedisLink } from './redis-link.ts'
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
    await checkServers(connection)
    await checkSchema(connection, keys)
  } catch (error) {
    connection.close()
    throw error
  }
  const control = new RedisControl(connection, keys, () => linkTo(options, 'errand-follower', [CONTROL]))
  const heartbeat = startHeartbeat(() => connection.script('errandHeartbeat', [keys.control('seq')], []))
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
  return 'cluster' in servers ? new RedisCluster(servers, name, tags) : new RedisConnection(servers, name)
}

/** Each of them. `INFO`, not `CONFIG`: managed services forbid the latter. */
async function checkServers(connection: RedisLink): Promise<void> {
  for (const version of await infoFields(connection, 'server', 'redis_version')) {
    if (Number.parseInt(version, 10) >= MAJOR_VERSION_MIN) continue
    throw new StoreUnavailable(`Redis ${version} is too old: version ${MAJOR_VERSION_MIN} or later is needed`)
  }
  for (const policy of await infoFields(connection, 'memory', 'maxmemory_policy')) {
    if (policy === 'noeviction') continue
    throw new StoreUnavailable(
      `Redis has maxmemory-policy ${policy}: it could evict a revocation. Set maxmemory-policy to noeviction`,
    )
  }
}

/** Of each server. */
async function infoFields(connection: RedisLink, section: string, field: string): Promise<readonly string[]> {
  const answers = await connection.everywhere(['INFO', section]).catch((error: unknown) => {
    throw new StoreUnavailable(
      `INFO ${section} failed. This account must be allowed INFO, and the server must have maxmemory-policy noeviction`,
      error,
    )
  })
  return answers.map((answer) => {
    const line = String(answer)
      .split('\r\n')
      .find((one) => one.startsWith(`${field}:`))
    if (line !== undefined) return line.slice(field.length + 1)
    throw new StoreUnavailable(`Redis does not report ${field}: check that this is Redis 7 or Valkey`)
  })
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
