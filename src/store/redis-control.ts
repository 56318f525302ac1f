/** The control slot in Redis: writing there *is* the revocation. Followers: `redis-follower.ts`. */
import {
  type ControlListener,
  type ControlSnapshot,
  type ControlStore,
  type ControlWrite,
  type ControlWritten,
  StoreUnavailable,
} from './ports.ts'
import { writeControl } from './redis-control-write.ts'
import { RedisFollower } from './redis-follower.ts'
import type { RedisGate } from './redis-gate.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'
import { OwedWrites } from './redis-owed.ts'
import { readSnapshot } from './redis-readings.ts'

export class RedisControl implements ControlStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys
  readonly #gate: RedisGate
  readonly #connect: () => RedisLink
  readonly #followers = new Map<RedisFollower, ControlListener>()
  readonly #owed = new OwedWrites({
    write: (writes, floor) => this.#write('', writes, floor),
    standing: () => this.#standing(),
  })

  /** @param connect a connection of their own for each follower: a blocking read holds up all that share it. */
  constructor(connection: RedisLink, keys: RedisKeys, gate: RedisGate, connect: () => RedisLink) {
    this.#connection = connection
    this.#keys = keys
    this.#gate = gate
    this.#connect = connect
  }

  async write(writes: readonly ControlWrite[], floor: number): Promise<ControlWritten> {
    try {
      const written = await this.#write('', writes, floor)
      if (written === undefined) throw new Error('a write without a condition was refused for one')
      return written
    } catch (error) {
      if (error instanceof StoreUnavailable) this.#owed.add(writes, floor, error)
      throw error
    }
  }

  writeAfter(
    version: string | undefined,
    writes: readonly ControlWrite[],
    floor: number,
  ): Promise<ControlWritten | undefined> {
    return this.#write(version ?? '-', writes, floor)
  }

  #write(after: string, writes: readonly ControlWrite[], floor: number): Promise<ControlWritten | undefined> {
    return writeControl(writes, floor, { link: this.#connection, keys: this.#keys, after })
  }

  #standing(): Promise<void> {
    return this.#connection.standing(this.#keys.control('seq'))
  }

  snapshot(): Promise<ControlSnapshot> {
    return readSnapshot(this.#connection, this.#keys)
  }

  async follow(listener: ControlListener): Promise<{ stop(): Promise<void> }> {
    const follower = new RedisFollower(this.#connect(), this.#keys, this.#gate, listener)
    await follower.start()
    this.#followers.set(follower, listener)
    return {
      stop: async () => {
        this.#followers.delete(follower)
        await follower.stop()
      },
    }
  }

  /** Who has heard of what has been written. */
  get listeners(): readonly ControlListener[] {
    return [...this.#followers.values()]
  }

  /** Another server answers from now on, and may not have what the one before it was asked to write. */
  moved(): void {
    this.#owed.startOver()
  }

  async close(): Promise<void> {
    this.#owed.stop()
    await Promise.all(Array.from(this.#followers.keys(), (follower) => follower.stop()))
    this.#followers.clear()
  }
}
