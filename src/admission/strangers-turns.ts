/**
 * Requests from sources where nobody is known are begun one by one: one in each turn of the event loop, and only where no
 * request of a known client is under way; while there is one, one stranger's every few milliseconds. So a known client's next
 * step waits for one of them, never for all that have arrived; and they, whom nothing else holds back, are begun in the order
 * they came, at that pace at the least. Each door has a queue of its own, and no more wait in it than for the signatures behind it:
 * a flood from many sources must not pile up here, nor what is sent by those who do not stay for the answer.
 */
import { STRANGERS_PACE_MS, STRANGERS_WAITING_MAX } from '../kernel/limits.ts'
import type { Door } from './door.ts'

export class StrangersTurns {
  readonly #queues = new Map<Door, (() => void)[]>()
  /** Requests of known clients that are under way. */
  #known = 0
  #next: NodeJS.Immediate | undefined
  #paced: NodeJS.Timeout | undefined

  /** Resolves when a stranger's request may be begun; `false`, at once: too many wait. */
  take(door: Door): Promise<boolean> {
    const queue = this.#queues.get(door) ?? []
    if (queue.length >= STRANGERS_WAITING_MAX) return Promise.resolve(false)
    this.#queues.set(door, queue)
    return new Promise((resolve) => {
      queue.push(() => resolve(true))
      this.#schedule()
    })
  }

  /** A known client's request is begun; `knownEnded` must follow. */
  knownBegun(): void {
    this.#known += 1
  }

  knownEnded(): void {
    this.#known -= 1
    if (this.#known > 0 || this.#paced === undefined) return
    clearTimeout(this.#paced)
    this.#paced = undefined
    this.#schedule()
  }

  #schedule(): void {
    if (this.#next !== undefined || this.#paced !== undefined) return
    if (this.#known === 0) this.#next = setImmediate(this.#turn)
    else this.#paced = setTimeout(this.#turn, STRANGERS_PACE_MS)
  }

  readonly #turn = (): void => {
    this.#next = undefined
    this.#paced = undefined
    const begun = [...this.#queues.values()].flatMap((queue) => queue.splice(0, 1))
    if ([...this.#queues.values()].some((queue) => queue.length > 0)) this.#schedule()
    for (const begin of begun) begin()
  }
}
