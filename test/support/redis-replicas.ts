/**
 * A real Redis primary with replicas, and Sentinels that fail over between them: all processes on loopback. Which of them is the
 * primary changes; who is asked is the Sentinels.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { freePort } from './free-port.ts'
import { PATIENCE_MS } from './patience.ts'
import { type RunningRedis, startRedis } from './redis.ts'
import { type StoreProxy, startStoreProxy } from './store-proxy.ts'

export interface ReplicatedOptions {
  readonly replicas?: number
  readonly sentinels?: number
  /** Arguments of every server of data. */
  readonly args?: readonly string[]
  /** Each server is known to clients, replicas and Sentinels by a proxy in front of it, which can cut it off from all of them. */
  readonly proxied?: boolean
  /** How long the primary may be silent before it is replaced (1 000). */
  readonly downAfterMs?: number
}

export interface Member {
  /** Changes when the server is started again. */
  redis: RunningRedis
  /** Where clients, replicas and Sentinels find it: its own, or its proxy's. */
  readonly port: number
  readonly proxy: StoreProxy | undefined
}

export interface ReplicatedRedis {
  readonly name: string
  /** `host:port` of each Sentinel. */
  readonly hosts: readonly string[]
  readonly sentinels: readonly RunningRedis[]
  /** The first was the primary when it all began. */
  readonly members: readonly Member[]
  /** Whom the Sentinels name now. */
  primary(): Promise<Member>
  /** From now on the primary may be silent for so long, whatever was said at the start. */
  replacedAfter(silentMs: number): Promise<void>
  /** Until the Sentinels name another than this one; how long it took, in ms. */
  failedOver(from: Member): Promise<number>
  /** Until so many replicas follow the primary (all, unless said otherwise). */
  replicated(count?: number): Promise<void>
  stop(): Promise<void>
}

/** Replication begins at once, and silence is noticed soon. */
const QUICK = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', '--repl-timeout', '5']
const NAME = 'errand'

export async function startReplicatedRedis(options: ReplicatedOptions = {}): Promise<ReplicatedRedis> {
  const { replicas = 2, args = [] } = options
  const members: Member[] = []
  for (let n = 0; n <= replicas; n++) {
    const of = members[0] === undefined ? [] : ['--replicaof', `127.0.0.1 ${members[0].port}`]
    members.push(await startMember([...QUICK, ...of, ...args], options.proxied === true))
  }
  const count = options.sentinels ?? 3
  const sentinels = await Promise.all(
    Array.from({ length: count }, () => startSentinel(members[0]?.port ?? 0, count, options.downAfterMs)),
  )
  const set: ReplicatedRedis = {
    name: NAME,
    hosts: sentinels.map(({ port }) => `127.0.0.1:${port}`),
    sentinels,
    members,
    async primary() {
      for (const { port } of sentinels) {
        const address = (await ask(port, ['SENTINEL', 'get-master-addr-by-name', NAME])) as string[] | undefined
        const found = members.find((member) => String(member.port) === address?.[1])
        if (found !== undefined) return found
      }
      throw new Error('no Sentinel names a primary')
    },
    async replacedAfter(silentMs) {
      const order = ['SENTINEL', 'SET', NAME, 'down-after-milliseconds', silentMs] as const
      await Promise.all(sentinels.map(({ port }) => ask(port, order)))
    },
    async failedOver(from) {
      const begun = performance.now()
      // Sentinels whose votes were split wait before they vote again.
      await eventually('another primary', async () => (await set.primary()) !== from, 2 * PATIENCE_MS)
      return performance.now() - begun
    },
    async replicated(wanted = replicas) {
      await eventually(`${wanted} replicas`, async () => {
        const text = String(await ask((await set.primary()).redis.port, ['INFO', 'replication']))
        return (text.match(/state=online/g) ?? []).length >= wanted
      })
    },
    async stop() {
      await Promise.all([...sentinels, ...members.map(({ redis }) => redis)].map((server) => server.stop()))
      await Promise.all(members.map(({ proxy }) => proxy?.close()))
    },
  }
  await set.replicated()
  // One that knows of no other elects nobody.
  await eventually('Sentinels that know each other', async () => {
    const all = await Promise.all(sentinels.map(({ port }) => ask(port, ['SENTINEL', 'sentinels', NAME])))
    const follow = await Promise.all(sentinels.map(({ port }) => ask(port, ['SENTINEL', 'replicas', NAME])))
    const complete = (lists: readonly unknown[], length: number) =>
      lists.every((list) => Array.isArray(list) && list.length >= length)
    return complete(all, count - 1) && complete(follow, replicas)
  })
  return set
}

/** Known by its proxy where it has one. */
export async function startMember(args: readonly string[], proxied: boolean): Promise<Member> {
  const port = await freePort()
  if (!proxied) return { redis: await startRedis({ port, args }), port, proxy: undefined }
  const proxy = await startStoreProxy({ port })
  const known = new URL(proxy.url).port
  const redis = await startRedis({ port, args: ['--replica-announce-port', known, ...args] })
  return { redis, port: Number(known), proxy }
}

function startSentinel(primaryPort: number, sentinels: number, downAfterMs = 1_000): Promise<RunningRedis> {
  return startRedis({
    sentinel: [
      `sentinel monitor ${NAME} 127.0.0.1 ${primaryPort} ${Math.floor(sentinels / 2) + 1}`,
      `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
      // Nor is a second failover soon after the first put off for long.
      `sentinel failover-timeout ${NAME} 1500`,
      `sentinel parallel-syncs ${NAME} 5`,
    ],
  })
}

/** One command on a connection of its own; `undefined`: no answer in time. */
export async function ask(
  port: number,
  command: readonly [string, ...(string | number)[]],
  commandTimeout = 1_000,
): Promise<unknown> {
  const client = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: null, commandTimeout })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await client.call(...command)
  } catch {
    return undefined
  } finally {
    client.disconnect()
  }
}

export async function eventually(what: string, holds: () => Promise<boolean>, withinMs = PATIENCE_MS): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await holds().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(50)
  }
}
