/**
 * Looks at every server that takes over, comes back or seems changed, before anything is asked of it: has it all that this broker
 * was told is written? What nobody can prove is taken for lost, and made good:
 *
 * - The control slot: every cut-off, block, lift and policy that this broker knows is written there again.
 * - A shard: its sessions are cut off, all tokens with them, and so is what single-use credentials from before are good for,
 *   because it may have forgotten that a delegation was accepted, a session halted, an assertion used. What one shard of a server
 *   has lost, all of that server may have.
 *
 * Until that is done, and on the replicas, the gate stays shut: the broker refuses, and asks again, and is back by itself.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CUTOFF_LIFETIME_S } from '../kernel/limits.ts'
import { type ControlListener, type ControlWrite, type KnownEntries, StoreUnavailable } from './ports.ts'
import { assertAgain, controlSince } from './redis-assertion.ts'
import { writeControl } from './redis-control-write.ts'
import type { RedisGate } from './redis-gate.ts'
import type { RedisKeys } from './redis-keys.ts'
import { CONTROL, type RedisLink, TAGS } from './redis-link.ts'
import { type RedisShards, timeOf } from './redis-shards.ts'
import { outsideBudget } from './time-budget.ts'

const RETRY_MS = 50
const HEARD_MS_MAX = 2_000
const HEARD_PAUSE_MS = 10

export interface Watched {
  /** A link of its own: nothing shuts it out. */
  readonly link: RedisLink
  readonly keys: RedisKeys
  readonly gate: RedisGate
  readonly shards: RedisShards
  readonly listeners: () => readonly ControlListener[]
  /** The control slot is another server's from now on, or has lost something. */
  readonly controlMoved: () => void
}

export class RedisVigil {
  readonly #of: Watched
  #isNew = false
  /** Epoch of a server whose control slot has lost something: so may have its shards. */
  #broken: string | undefined
  #running = false
  #again = false
  #closed = false

  constructor(watched: Watched) {
    this.#of = watched
    watched.gate.onDoubt = () => this.wake()
  }

  /** Before the store is used. @param isNew nothing has ever been written to it */
  async begin(isNew: boolean): Promise<void> {
    this.#isNew = isNew
    await this.#look()
    this.#isNew = false
  }

  /** Looks at whatever has to be looked at, until there is nothing left. */
  wake(): void {
    this.#again = true
    if (!this.#running && !this.#closed) void outsideBudget(() => this.#run())
  }

  close(): void {
    this.#closed = true
    this.#of.link.close()
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#again && !this.#closed) {
      this.#again = false
      try {
        await this.#look()
      } catch {
        this.#again = true
        await sleep(RETRY_MS, undefined, { ref: false })
      }
    }
    this.#running = false
  }

  /** The control slot first: what others have lost is written there. */
  async #look(): Promise<void> {
    const { link, gate } = this.#of
    await link.look()
    const control = link.epochOf(CONTROL)
    if (!gate.admits(CONTROL, control)) {
      if ((await this.#lookAtControl()) && control !== undefined) this.#broken = control
      this.#admit([CONTROL], control)
    }
    const servers = new Map<string, string[]>()
    for (const tag of TAGS) {
      const epoch = link.epochOf(tag) ?? ''
      if (!gate.admits(tag, epoch)) servers.set(epoch, [...(servers.get(epoch) ?? []), tag])
    }
    if (servers.size > 0) this.#of.shards.doubted()
    for (const [epoch, tags] of servers) {
      await this.#lookAt(tags, epoch === this.#broken)
      this.#admit(tags, epoch)
    }
    this.#broken = undefined
  }

  /** It may have changed while it was looked at. */
  #admit(tags: readonly string[], epoch: string | undefined): void {
    const { link, gate } = this.#of
    const isSame = epoch !== undefined && epoch !== '' && tags.every((tag) => link.epochOf(tag) === epoch)
    if (!isSame) throw new StoreUnavailable('not every Redis server could be looked at')
    for (const tag of tags) gate.admit(tag, epoch)
  }

  /** @param isBroken its control slot has lost something */
  async #lookAt(tags: readonly string[], isBroken: boolean): Promise<void> {
    const { link, shards } = this.#of
    const own = tags.flatMap((tag) => (/^s[0-9]+$/.test(tag) ? [Number(tag.slice(1))] : []))
    const states = await Promise.all(own.map((shard) => shards.look(shard, link, this.#isNew)))
    const isLost = isBroken || states.includes('lost')
    const lost = own.filter((_shard, n) => isLost && states[n] !== 'other')
    if (lost.length > 0) await this.#cutOff(lost)
    const unmarked = own.filter((shard) => !shards.isMarked(shard) || lost.includes(shard))
    const isNew = this.#isNew
    await Promise.all(unmarked.map((shard) => shards.mark(shard, isNew, link)))
    await this.#heard()
  }

  /** What has been cut off, here or by another broker, is known to whoever decides, before anything is claimed there. */
  async #heard(): Promise<void> {
    const { link, keys, gate } = this.#of
    const seq = Number(await link.command(['GET', keys.control('seq')]))
    const until = performance.now() + HEARD_MS_MAX
    while (this.#known().some((known) => known.seq < seq)) {
      // A follower that has doubts of its own hears nothing before they have been looked into.
      const isDoubted = !gate.admits(CONTROL, link.epochOf(CONTROL))
      if (isDoubted || performance.now() > until)
        throw new StoreUnavailable('what was cut off has not been heard of yet')
      await sleep(HEARD_PAUSE_MS, undefined, { ref: false })
    }
  }

  /** Whether it has lost anything. */
  async #lookAtControl(): Promise<boolean> {
    const { link, keys, controlMoved } = this.#of
    const known = this.#known()
    const states = await Promise.all(known.map(({ seq }) => controlSince(seq, link, keys)))
    for (const [n, one] of known.entries()) if (states[n] !== 'whole') await assertAgain(one, link, keys)
    controlMoved()
    return states.includes('lost')
  }

  #known(): readonly KnownEntries[] {
    return this.#of.listeners().flatMap((listener) => listener.known?.() ?? [])
  }

  async #cutOff(lost: readonly number[]): Promise<void> {
    const { link, keys } = this.#of
    const expiresAtMs = (await timeOf(link)) + CUTOFF_LIFETIME_S * 1000
    const writes = lost.map(
      (shard): ControlWrite => ({ entry: 'cutoff', dimension: 'shard', id: `s${shard}`, expiresAtMs }),
    )
    const floor = Math.max(0, ...this.#known().map(({ seq }) => seq)) + 1
    await writeControl(writes, floor, { link, keys })
  }
}
