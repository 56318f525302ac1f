/**
 * Lines that repeat are written once and then counted: an outage at thousands of requests a second is a line a second, not
 * thousands. Nothing is lost but repetition: each further line says how many it stands for.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { LOG_REPEAT_KEYS_MAX, LOG_REPEAT_MS } from '../kernel/process-limits.ts'

interface Repeated {
  count: number
  write: (count: number) => void
}

export class Repeats {
  readonly #held = new Map<string, Repeated>()
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(everyMs: number = LOG_REPEAT_MS) {
    this.#everyMs = everyMs
  }

  /**
   * @param key what makes two lines the same; beyond the bound on keys, all are
   * @param write is called at once for the first, later for those since, with how many they were
   */
  say(key: string, write: (count: number) => void): void {
    const known = this.#held.has(key) || this.#held.size < LOG_REPEAT_KEYS_MAX
    const held = this.#held.get(known ? key : 'other')
    if (held === undefined) {
      this.#held.set(known ? key : 'other', { count: 0, write: AsyncLocalStorage.bind(write) })
      write(1)
    } else {
      held.count++
      // Written by a timer that somebody else's request has set: what it says belongs to the last that said it.
      held.write = AsyncLocalStorage.bind(write)
    }
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.flush(), this.#everyMs)
    this.#timer.unref()
  }

  /** Writes what was counted, and forgets what has ceased. */
  flush(): void {
    for (const [key, held] of this.#held) {
      if (held.count === 0) this.#held.delete(key)
      else held.write(held.count)
      held.count = 0
    }
    if (this.#held.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
