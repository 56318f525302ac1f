/**
 * The Redis store (DESIGN §9): several brokers on one Redis 7 (or Valkey). Durable means what the server is configured for:
 * with `appendonly yes` and `appendfsync always`, synced to its disk before it answers; with `everysec`, up to a second of
 * acknowledged writes is lost when its machine dies.
 *
 * Refuses to start on a server that may evict: an evicted cut-off would bring dead tokens back to life.
 */
import type { Secret } from '../kernel/secret.ts'
import { BatchedIndexes } from './batched-indexes.ts'
import { checkedOrg, SCHEMA_VERSION } from './bounds.ts'
import { startHeartbeat } from './heartbeat.ts'
import { type Store, StoreUnavailable } from './ports.ts'
import { RedisAudit } from './redis-audit.ts'
import { RedisConnection } from './redis-connection.ts'
import { RedisControl } from './redis-control.ts'
import { RedisDocuments } from './redis-documents.ts'
import { RedisIndexes } from './redis-indexes.ts'
import { RedisKeys } from './redis-keys.ts'
import { RedisClaims, RedisSessions } from './redis-sessions.ts'
import { RedisWindows } from './redis-windows.ts'

/** Script flags, `PEXPIRETIME`, `ZADD GT` together. Valkey reports itself as 7.2. */
const MAJOR_VERSION_MIN = 7

export interface RedisStoreOptions {
  /** `redis://` or `rediss://`, with user and password in it where there are any. */
  readonly url: Secret | string
  /** PEM of a private CA that vouches for the server. */
  readonly ca?: string
  readonly org: string
  /** Contents kept per shard: fewer where it is shown that the oldest are forgotten. */
  readonly contentsMax?: number
}

export async function openRedisStore(options: RedisStoreOptions): Promise<Store> {
  const keys = new RedisKeys(checkedOrg(options.org))
  const connection = new RedisConnection(options.url, 'errand', options.ca)
  await connection.open()
  try {
    await checkServer(connection)
    await checkSchema(connection, keys)
  } catch (error) {
    connection.close()
    throw error
  }
  const control = new RedisControl(
    connection,
    keys,
    () => new RedisConnection(options.url, 'errand-follower', options.ca),
  )
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

/** `INFO`, not `CONFIG`: managed services forbid the latter. */
async function checkServer(connection: RedisConnection): Promise<void> {
  const version = await infoField(connection, 'server', 'redis_version')
  if (Number.parseInt(version, 10) < MAJOR_VERSION_MIN) {
    throw new StoreUnavailable(`Redis ${version} is too old: version ${MAJOR_VERSION_MIN} or later is needed`)
  }
  const policy = await infoField(connection, 'memory', 'maxmemory_policy')
  if (policy !== 'noeviction') {
    throw new StoreUnavailable(
      `Redis has maxmemory-policy ${policy}: it could evict a revocation. Set maxmemory-policy to noeviction`,
    )
  }
}

async function infoField(connection: RedisConnection, section: string, field: string): Promise<string> {
  let text: string
  try {
    text = String(await connection.command(['INFO', section]))
  } catch (error) {
    throw new StoreUnavailable(
      `INFO ${section} failed. This account must be allowed INFO, and the server must have maxmemory-policy noeviction`,
      error,
    )
  }
  for (const line of text.split('\r\n')) {
    if (line.startsWith(`${field}:`)) return line.slice(field.length + 1)
  }
  throw new StoreUnavailable(`Redis does not report ${field}: check that this is Redis 7 or Valkey`)
}

async function checkSchema(connection: RedisConnection, keys: RedisKeys): Promise<void> {
  const key = keys.control('schema')
  await connection.command(['SET', key, SCHEMA_VERSION, 'NX'])
  const found = await connection.command(['GET', key])
  if (found !== SCHEMA_VERSION) {
    throw new StoreUnavailable(
      `the store has schema version ${found}; this broker knows ${SCHEMA_VERSION} only: run the Errand that wrote it, or name an empty store`,
    )
  }
}
