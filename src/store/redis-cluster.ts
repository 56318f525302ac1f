/**
 * A Redis Cluster as one link: every key is asked of the primary that serves its slot now, on one connection to each.
 *
 * - What a node refuses with `MOVED` or `ASK` it has not performed: that alone is sent once more, to the node it names, where that needs not be looked at first. Whatever
 *   else fails, fails: the next call finds what has been learnt since.
 * - Who serves what is asked anew as soon as a node does not answer or says it cannot serve, of one node after the other: one that
 *   is cut off from the rest goes on naming itself.
 * - Nothing is asked of replicas.
 */
import type { Secret } from '../kernel/secret.ts'
import { StoreUnavailable } from './ports.ts'
import { type Argument, type Command, type RedisLink, RedisRefusal, TAGS, tagIn, tagOf } from './redis-link.ts'
import type { ScriptName } from './redis-scripts.ts'
import { RedisServer } from './redis-server.ts'
import { nodeUrl, revealed, type SingleServer } from './redis-servers.ts'
import { hostAndPort, redirection, type SlotRange, slotOfTag, slotRanges } from './redis-slots.ts'
import { callDeadlineMs } from './time-budget.ts'

const OPEN_WAIT_MS = 5_000
/** How often it is looked whether all that serve are answering, and how soon it is asked again who does while some are not. */
const WATCH_MS = 100
/** To ask a node that there is no connection to. */
const ASK_WAIT_MS = 500
const REDIRECTIONS_MAX = 3
/** Refusals that say that this node is the wrong one, or cannot serve: another may know who does. */
const MISPLACED = new Set(['MOVED', 'CLUSTERDOWN', 'READONLY', 'MASTERDOWN', 'LOADING'])

export interface ClusterServers {
  readonly cluster: readonly (Secret | string)[]
  readonly ca?: string
  readonly replicas?: number
}

export interface LinkOptions {
  /** Of all keys that will be asked for (all). */
  readonly tags?: readonly string[]
  /** Whether what has moved is asked for at its new place at once. */
  readonly follows?: boolean
}

export class RedisCluster implements RedisLink {
  readonly #seeds: readonly string[]
  readonly #node: { readonly ca?: string; readonly replicas?: number }
  readonly #name: string
  /** Slot of each tag that this link is for. */
  readonly #slots: ReadonlyMap<string, number>
  /** Address of who serves each of them. */
  readonly #places = new Map<string, string>()
  readonly #nodes = new Map<string, RedisServer>()
  /** Every node of the cluster that was ever heard of, seeds first: whom to ask, in turns. */
  readonly #known: Set<string>
  readonly #follows: boolean
  #turn = 0
  #refreshing: Promise<void> | undefined
  #watch: NodeJS.Timeout | undefined
  #lastError: string | undefined
  #closed = false

  constructor({ cluster, ...node }: ClusterServers, name: string, { tags = TAGS, follows = false }: LinkOptions = {}) {
    this.#follows = follows
    this.#seeds = cluster.map(revealed)
    this.#node = node
    this.#name = name
    this.#slots = new Map(tags.map((tag) => [tag, slotOfTag(tag)]))
    this.#known = new Set(this.#seeds.map((seed) => new URL(seed)).map((url) => `${bare(url)}:${url.port || 6379}`))
  }

  async open(waitMs = OPEN_WAIT_MS): Promise<void> {
    const until = performance.now() + waitMs
    while (performance.now() < until) {
      await this.#refresh()
      const left = Math.max(until - performance.now(), 0)
      const all = await Promise.all([...this.#nodes.values()].map((node) => node.ready(Math.min(left, ASK_WAIT_MS))))
      if (all.every(Boolean) && this.answers) {
        this.#watch = setInterval(() => this.answers || void this.#refresh(), WATCH_MS).unref()
        return
      }
      await new Promise((resolve) => setTimeout(resolve, Math.min(left, WATCH_MS)))
    }
    this.close()
    const why = this.#lastError === undefined ? '' : `: ${this.#lastError}`
    throw new StoreUnavailable(`the Redis Cluster was not ready within ${waitMs} ms${why}`)
  }

  script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#ask(tagIn(keys[0] ?? ''), (node) => node.script(name, keys, args))
  }

  durably(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#ask(tagIn(keys[0] ?? ''), (node) => node.durably(name, keys, args))
  }

  /** Of nobody else: what the replicas of another have says nothing of what this one has answered before. */
  async standing(key: string): Promise<void> {
    const node = this.#serving(tagIn(key))
    if (node === undefined) throw unserved()
    try {
      await node.standing(key)
    } catch (error) {
      if (error instanceof RedisRefusal && MISPLACED.has(error.code)) void this.#refresh()
      throw error
    }
  }

  command(command: Command, blockedMs = 0): Promise<unknown> {
    return this.#ask(tagOf(command), (node) => node.command(command, blockedMs))
  }

  bytes(command: Command): Promise<unknown> {
    return this.#ask(tagOf(command), (node) => node.bytes(command))
  }

  everywhere(command: Command): Promise<readonly unknown[]> {
    const serving = new Set([...this.#slots.keys()].map((tag) => this.#serving(tag)))
    const all = Array.from(serving, (node) => node?.command(command) ?? Promise.reject(unserved()))
    return Promise.all(all)
  }

  get answers(): boolean {
    for (const tag of this.#slots.keys()) if (this.#serving(tag)?.answers !== true) return false
    return true
  }

  async look(): Promise<void> {
    await this.#refresh()
    await Promise.all(Array.from(this.#nodes.values(), (node) => node.look()))
  }

  epochOf(tag: string): string | undefined {
    return this.#serving(tag)?.epochOf()
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#watch)
    for (const node of this.#nodes.values()) node.close()
  }

  #serving(tag: string): RedisServer | undefined {
    const address = this.#places.get(tag)
    return address === undefined ? undefined : this.#nodes.get(address)
  }

  #ask(tag: string, send: (node: RedisServer) => Promise<unknown>): Promise<unknown> {
    const node = this.#serving(tag)
    if (node === undefined) return Promise.reject(unserved())
    return send(node).catch((error: unknown) => this.#redirected(error, tag, send))
  }

  /** After a refusal that says where it is to be sent instead; everything else is thrown on. */
  async #redirected(error: unknown, tag: string, send: (node: RedisServer) => Promise<unknown>): Promise<unknown> {
    let refusal = error
    for (let times = 0; times < REDIRECTIONS_MAX && refusal instanceof RedisRefusal; times++) {
      const { code, words } = refusal
      if (MISPLACED.has(code)) void this.#refresh()
      if (code !== 'MOVED' && code !== 'ASK') break
      const address = redirection(words, hostAndPort(this.#places.get(tag) ?? '').host)
      const node = this.#nodeAt(address)
      if (code === 'MOVED') this.#places.set(tag, address)
      // Whoever has moved has to be looked at first.
      if (code === 'MOVED' && !this.#follows) break
      // Whether replicas have it would be asked of the node that the slot is leaving, and of its own.
      if (code === 'ASK' && (this.#node.replicas ?? 0) > 0) break
      if (!(await node.ready(callDeadlineMs()))) break
      if (code === 'ASK') node.asking()
      try {
        return await send(node)
      } catch (again) {
        refusal = again
      }
    }
    throw refusal
  }

  #nodeAt(address: string): RedisServer {
    const known = this.#nodes.get(address)
    if (known !== undefined) return known
    const node = new RedisServer(this.#serverAt(address), this.#name)
    node.begin()
    this.#nodes.set(address, node)
    return node
  }

  #serverAt(address: string): SingleServer {
    return { ...this.#node, url: nodeUrl(this.#seeds[0] ?? '', address) }
  }

  /** One at a time; never throws. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#learn().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /** Of the next that answers. */
  async #learn(): Promise<void> {
    const all = [...this.#known]
    for (let asked = 0; asked < all.length && !this.#closed; asked++) {
      const address = all[this.#turn++ % all.length] ?? ''
      const ranges = await this.#rangesBy(address)
      const isWhole =
        ranges.length > 0 && [...this.#slots.values()].every((slot) => placeOf(ranges, slot) !== undefined)
      if (!isWhole || this.#closed) continue
      this.#place(ranges)
      return
    }
  }

  async #rangesBy(address: string): Promise<readonly SlotRange[]> {
    const held = this.#nodes.get(address)
    const own = held?.answers === true ? held : undefined
    const node = own ?? new RedisServer({ ...this.#serverAt(address), replicas: 0, once: true }, this.#name)
    try {
      if (own === undefined) await node.open(ASK_WAIT_MS)
      return slotRanges(await node.command(['CLUSTER', 'SLOTS']), hostAndPort(address).host)
    } catch (error) {
      this.#lastError = error instanceof Error ? error.message : undefined
      return []
    } finally {
      if (own === undefined) node.close()
    }
  }

  #place(ranges: readonly SlotRange[]): void {
    for (const { primary, replicas } of ranges) for (const address of [primary, ...replicas]) this.#known.add(address)
    for (const [tag, slot] of this.#slots) this.#places.set(tag, placeOf(ranges, slot) ?? '')
    const serving = new Set(this.#places.values())
    for (const address of serving) this.#nodeAt(address)
    for (const [address, node] of this.#nodes) {
      if (serving.has(address)) continue
      this.#nodes.delete(address)
      node.close()
    }
  }
}

function placeOf(ranges: readonly SlotRange[], slot: number): string | undefined {
  return ranges.find(({ from, to }) => from <= slot && slot <= to)?.primary
}

/** The brackets of an IPv6 address are the URL's. */
function bare({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

function unserved(): StoreUnavailable {
  return new StoreUnavailable('no node of the Redis Cluster is known to serve this')
}
