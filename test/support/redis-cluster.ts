/**
 * A real Redis Cluster on loopback: three primaries and a replica of each, or so many as asked for, each a process of its own that
 * can be killed, paused, cut off (by its proxy) and started again.
 */
import { freePort } from './free-port.ts'
import { PATIENCE_MS } from './patience.ts'
import { type RunningRedis, startRedis } from './redis.ts'
import { ask, eventually } from './redis-replicas.ts'
import { type StoreProxy, startStoreProxy } from './store-proxy.ts'

const SLOTS = 16_384

export interface ClusterOptions {
  readonly primaries?: number
  /** Of each primary. */
  readonly replicas?: number
  /** Arguments of every server. */
  readonly args?: readonly string[]
  /** Each node is known to clients and other nodes by a proxy; what the nodes say to each other about the cluster goes beside it. */
  readonly proxied?: boolean
  /** How long a primary may be silent before it is replaced (1 000). */
  readonly downAfterMs?: number
}

export interface ClusterMember {
  /** Changes when the server is started again. */
  redis: RunningRedis
  /** Where clients find it: its own port, or its proxy's. */
  readonly port: number
  readonly proxy: StoreProxy | undefined
  readonly id: string
  readonly busPort: number
}

export interface RunningCluster {
  /** Of every node. */
  readonly urls: readonly string[]
  /** Primaries first, as it all began. */
  readonly members: readonly ClusterMember[]
  /** Who serves the slot of this key now, as the others have it; `undefined`: nobody. */
  primaryOf(key: string): Promise<ClusterMember | undefined>
  /** Until another than this one serves the slot of the key; how long it took, in ms. */
  failedOver(key: string, from: ClusterMember): Promise<number>
  /** Until every node says that the cluster is whole and each primary has its replicas. */
  whole(): Promise<void>
  stop(): Promise<void>
}

const QUICK = [
  ...['--cluster-enabled', 'yes', '--cluster-allow-replica-migration', 'no'],
  // A replica is as good after several votes as at the first: a busy machine takes long to agree.
  ...['--cluster-replica-validity-factor', '0'],
  ...['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', '--repl-timeout', '5'],
]

export async function startRedisCluster(options: ClusterOptions = {}): Promise<RunningCluster> {
  const { primaries = 3, replicas = 1 } = options
  const count = primaries * (1 + replicas)
  const members = await Promise.all(Array.from({ length: count }, () => startNode(options)))
  const [first] = members
  if (first === undefined) throw new Error('a cluster has nodes')
  for (const [n, { redis }] of members.entries()) {
    await ask(redis.port, ['CLUSTER', 'SET-CONFIG-EPOCH', n + 1], PATIENCE_MS)
    await ask(redis.port, ['CLUSTER', 'MEET', '127.0.0.1', first.port, first.busPort], PATIENCE_MS)
  }
  for (const [n, { redis }] of members.slice(0, primaries).entries()) {
    const from = Math.floor((n * SLOTS) / primaries)
    const to = Math.floor(((n + 1) * SLOTS) / primaries) - 1
    await ask(redis.port, ['CLUSTER', 'ADDSLOTSRANGE', from, to], PATIENCE_MS)
  }
  await eventually('nodes that know each other', async () => {
    const known = await Promise.all(members.map(({ redis }) => clusterInfo(redis.port)))
    return known.every((text) => text.includes(`cluster_known_nodes:${count}`))
  })
  for (const [n, { redis }] of members.slice(primaries).entries()) {
    const master = members[n % primaries]?.id ?? ''
    // Refused until it has heard of its primary.
    await eventually('a replica', async () => (await ask(redis.port, ['CLUSTER', 'REPLICATE', master])) === 'OK')
  }
  const cluster = clusterOf(members, primaries, replicas)
  await cluster.whole()
  return cluster
}

async function startNode({ args = [], proxied = false, downAfterMs = 1_000 }: ClusterOptions): Promise<ClusterMember> {
  const [port, busPort] = [await freePort(), await freePort()]
  const proxy = proxied ? await startStoreProxy({ port }) : undefined
  const known = proxy === undefined ? port : Number(new URL(proxy.url).port)
  const timeout = ['--cluster-node-timeout', String(downAfterMs)]
  const own = [...timeout, '--cluster-port', String(busPort), '--cluster-announce-port', String(known)]
  const redis = await startRedis({ port, args: [...QUICK, ...own, ...args] })
  return { redis, port: known, proxy, busPort, id: String(await ask(port, ['CLUSTER', 'MYID'], PATIENCE_MS)) }
}

function clusterOf(members: readonly ClusterMember[], primaries: number, replicas: number): RunningCluster {
  const primaryOf = async (key: string) => {
    for (const { redis } of members) {
      const slot = await ask(redis.port, ['CLUSTER', 'KEYSLOT', key])
      const ranges = (await ask(redis.port, ['CLUSTER', 'SLOTS'])) as [number, number, [string, number]][] | undefined
      const range = ranges?.find(([from, to]) => from <= Number(slot) && Number(slot) <= to)
      if (range !== undefined) return members.find(({ port }) => port === range[2][1])
    }
    return undefined
  }
  return {
    urls: members.map(({ port }) => `redis://127.0.0.1:${port}`),
    members,
    primaryOf,
    async failedOver(key, from) {
      const begun = performance.now()
      const others = members.filter((member) => member !== from)
      await eventually(
        'another primary',
        async () => {
          const served = await Promise.all(
            others.map(async ({ redis }) => String(await ask(redis.port, ['CLUSTER', 'NODES']))),
          )
          const slot = Number(await ask(others[0]?.redis.port ?? 0, ['CLUSTER', 'KEYSLOT', key]))
          return served.some((text) => owns(text, slot) !== undefined && owns(text, slot) !== from.id)
        },
        2 * PATIENCE_MS,
      )
      return performance.now() - begun
    },
    async whole() {
      await eventually('a whole cluster', async () => {
        const infos = await Promise.all(members.map(({ redis }) => clusterInfo(redis.port)))
        const replication = await Promise.all(
          members.map(async ({ redis }) => String(await ask(redis.port, ['INFO', 'replication']))),
        )
        const online = replication.reduce((sum, text) => sum + (text.match(/state=online/g) ?? []).length, 0)
        return infos.every((text) => text.includes('cluster_state:ok')) && online >= primaries * replicas
      })
    },
    async stop() {
      await Promise.all(members.map(({ redis }) => redis.stop()))
      await Promise.all(members.map(({ proxy }) => proxy?.close()))
    },
  }
}

async function clusterInfo(port: number): Promise<string> {
  return String(await ask(port, ['CLUSTER', 'INFO']))
}

/** Id of the primary that a node's view gives the slot to. */
function owns(nodes: string, slot: number): string | undefined {
  for (const line of nodes.split('\n')) {
    const [id, , flags = '', , , , , link, ...ranges] = line.split(' ')
    if (!flags.includes('master') || flags.includes('fail') || link === undefined) continue
    const holds = ranges.some((range) => {
      const [from = '', to = from] = range.split('-')
      return Number(from) <= slot && slot <= Number(to)
    })
    if (holds) return id
  }
  return undefined
}
