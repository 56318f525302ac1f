/** The control slot in Redis: writing there *is* the revocation. Followers: `redis-follower.ts`. */
import { checkWrites, entryText, POLICY_SLOT, slotOf } from './control-text.ts'
import {
  type ControlListener,
  type ControlSnapshot,
  type ControlStore,
  type ControlWrite,
  type ControlWritten,
  NotReplicated,
  StoreUnavailable,
} from './ports.ts'
import { RedisFollower } from './redis-follower.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'
import { OwedWrites } from './redis-owed.ts'
import { readSnapshot } from './redis-readings.ts'

/** Events kept for followers; one that has fallen further behind takes a snapshot. */
const EVENTS_MAX = 10_000

export class RedisControl implements ControlStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys
  readonly #connect: () => RedisLink
  readonly #followers = new Set<RedisFollower>()
  readonly #owed = new OwedWrites({
    write: (writes, floor) => this.#write('', writes, floor),
    standing: () => this.#standing(),
  })

  /** @param connect a connection of their own for each follower: a blocking read holds up all that share it. */
  constructor(connection: RedisLink, keys: RedisKeys, connect: () => RedisLink) {
    this.#connection = connection
    this.#keys = keys
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

  async #write(after: string, writes: readonly ControlWrite[], floor: number): Promise<ControlWritten | undefined> {
    checkWrites(writes, floor)
    const keys = [
      this.#keys.control('seq'),
      this.#keys.control('entries'),
      this.#keys.control('expiries'),
      this.#keys.control('events'),
    ]
    const entries = writes.flatMap((write) => {
      const [entry = '', , , expires = '', newer = ''] = entryText(write, 0, 0).split(' ')
      return [slotOf(write), entry, expires, newer]
    })
    const condition = [after, POLICY_SLOT]
    const answer = await this.#connection.script('errandControlWrite', keys, [
      floor,
      EVENTS_MAX,
      ...condition,
      ...entries,
    ])
    const [seq, atMs] = answer as [string, string]
    if (seq === '') return undefined
    const written = { seq: Number(seq), atMs: Number(atMs) }
    await this.#standing().catch((error: unknown) => {
      throw new NotReplicated(written, error)
    })
    return written
  }

  #standing(): Promise<void> {
    return this.#connection.standing(this.#keys.control('seq'))
  }

  snapshot(): Promise<ControlSnapshot> {
    return readSnapshot(this.#connection, this.#keys)
  }

  async follow(listener: ControlListener): Promise<{ stop(): Promise<void> }> {
    const follower = new RedisFollower(this.#connect(), this.#keys, listener)
    await follower.start()
    this.#followers.add(follower)
    return {
      stop: async () => {
        this.#followers.delete(follower)
        await follower.stop()
      },
    }
  }

  async close(): Promise<void> {
    this.#owed.stop()
    await Promise.all(Array.from(this.#followers, (follower) => follower.stop()))
    this.#followers.clear()
  }
}
