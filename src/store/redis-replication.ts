/**
 * Whether replicas have what a server has written: asked of the server on a connection of its own, because `WAIT` holds up all
 * that share one, and for all who wait by one question.
 *
 * `WAIT` counts replicas that have the last write of the connection that asks; so a small write of its own goes before it, and what
 * was answered earlier is older than that. The answer is of one server and one history: whoever was answered by another is told
 * that nothing is known.
 */
import { StoreUnavailable } from './ports.ts'
import type { RedisConnection } from './redis-connection.ts'
import { callDeadlineMs, outsideBudget } from './time-budget.ts'

/** A replica that is slower than this has not failed; the question is asked again while somebody waits. */
const WAIT_MS = 200
/** The key of that small write, in the slot of what is asked about, goes by itself. */
const BEAT_MS = 60_000
/** Also where memory is full: a revocation is. */
const BEAT = `#!lua flags=allow-oom
return redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])`

export class RedisReplication {
  readonly #connection: RedisConnection
  readonly #replicas: number
  /** The question under way. */
  #asking: Promise<unknown> = Promise.resolve()
  /** The next, which everybody who comes in the meantime waits for. */
  #next: Promise<Confirmation> | undefined

  constructor(connection: RedisConnection, replicas: number) {
    this.#connection = connection
    this.#replicas = replicas
  }

  begin(): void {
    this.#connection.begin()
  }

  look(): Promise<void> {
    return this.#connection.look()
  }

  ready(waitMs: number): Promise<boolean> {
    return this.#connection.ready(waitMs)
  }

  close(): void {
    this.#connection.close()
  }

  /**
   * @param key any in the slot of what was written
   * @param epoch of the server that has answered the write
   * @throws StoreUnavailable where so many replicas do not have it in time
   */
  async confirm(key: string, epoch: string | undefined): Promise<void> {
    const until = performance.now() + callDeadlineMs()
    for (;;) {
      const left = until - performance.now()
      const { by, replicas } = await inTime(this.#ask(key), left)
      if (by === undefined || by !== epoch)
        throw new StoreUnavailable('Redis has changed while its replicas were asked')
      if (replicas >= this.#replicas) return
      if (until - performance.now() <= 0) throw short(replicas, this.#replicas)
    }
  }

  #ask(key: string): Promise<Confirmation> {
    this.#next ??= this.#asking.then(async () => {
      // All whose writes were answered in this turn of the event loop ask together.
      await new Promise((resolve) => setImmediate(resolve))
      this.#next = undefined
      const asked = outsideBudget(() => this.#question(key))
      this.#asking = asked.catch(() => undefined)
      return asked
    })
    return this.#next
  }

  async #question(key: string): Promise<Confirmation> {
    const by = this.#connection.epoch
    const beat = `${key.split(':', 2).join(':')}:beat`
    const written = this.#connection.command(['EVAL', BEAT, 1, beat, BEAT_MS])
    const counted = this.#connection.command(['WAIT', this.#replicas, WAIT_MS], WAIT_MS)
    const [, replicas] = await Promise.all([written, counted])
    return { by: this.#connection.epoch === by ? by : undefined, replicas: Number(replicas) }
  }
}

interface Confirmation {
  /** Epoch of the server that has answered. */
  readonly by: string | undefined
  readonly replicas: number
}

function short(replicas: number, wanted: number): StoreUnavailable {
  return new StoreUnavailable(`${replicas} of ${wanted} replicas have it`)
}

async function inTime<T>(answer: Promise<T>, waitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new StoreUnavailable('the replicas of Redis did not answer in time')), waitMs)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
