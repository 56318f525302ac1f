/** Sliding windows in Redis: sorted sets of ids by the server's time; all of one owner lie in one slot. */
import type { WindowLimit, WindowStore } from './call-ports.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'

export class RedisWindows implements WindowStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys

  constructor(connection: RedisLink, keys: RedisKeys) {
    this.#connection = connection
    this.#keys = keys
  }

  async take(owner: string, id: string, windows: readonly WindowLimit[], lengthMs: number) {
    const keys = windows.map(({ name }) => this.#keys.window(owner, name))
    const args = [id, lengthMs, ...windows.map(({ limit }) => limit)]
    const [full, waitMs] = (await this.#connection.script('errandWindowTake', keys, args)) as [number, number]
    const window = windows[full - 1]
    return window === undefined ? undefined : { full: window.name, waitMs }
  }

  async count(owner: string, names: readonly string[], lengthMs: number): Promise<readonly number[]> {
    const keys = names.map((name) => this.#keys.window(owner, name))
    if (keys.length === 0) return []
    return (await this.#connection.script('errandWindowCount', keys, [lengthMs])) as number[]
  }

  async release(owner: string, id: string, names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#connection.command(['ZREM', this.#keys.window(owner, name), id])))
  }
}
