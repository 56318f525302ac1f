/**
 * One connection to Redis on which every call ends: with an answer, or within a deadline with `StoreUnavailable`.
 *
 * - Nothing is queued while the connection is down and nothing is sent twice: a commit that a library repeats after its
 *   caller was told "unknown" would be a token that nobody knows of.
 * - An error of the connection never crashes the process; it reconnects by itself, also from a peer that has gone silent.
 * - After one call that was not answered in time nothing more is sent until a probe is answered, and no more than so many calls
 *   ever wait: a store that is slow or gone piles up neither requests nor commands that it would perform later.
 * - Errors carry the server's message only: ioredis hangs the command's arguments on its own.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis, type RedisOptions } from 'ioredis'
import type { Secret } from '../kernel/secret.ts'
import { STORE_DEADLINE_MS, STORE_WAITING_MAX } from '../kernel/store-limits.ts'
import { startDeadline } from './deadline.ts'
import { StoreUnavailable } from './ports.ts'
import { SCRIPTS, type ScriptName } from './redis-scripts.ts'
import { callDeadlineMs } from './time-budget.ts'

/** A server that is starting up, or loading its data, is waited for this long. */
const OPEN_WAIT_MS = 5_000
const RECONNECT_MS_MAX = 250
/** Nothing received for this long while something is outstanding: the peer is gone, whatever TCP believes. */
const SILENCE_MS_MAX = 2 * STORE_DEADLINE_MS
const PROBE_PAUSE_MS = 50

type Argument = string | number

const OPTIONS = {
  lazyConnect: true,
  protocol: 2,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  connectTimeout: 2_000,
  socketTimeout: SILENCE_MS_MAX,
  retryStrategy: (times: number) => Math.min(25 * times, RECONNECT_MS_MAX),
} satisfies RedisOptions

export class RedisConnection {
  readonly #client: Redis
  #lastError: string | undefined
  #waiting = 0
  /** A call was not answered in time, and no probe since. */
  #silent = false
  #closed = false
  #gathering: Redis['stream'] | undefined

  /**
   * @param url `redis://` or `rediss://`, with the password in it where there is one.
   * @param ca PEM of the authority that vouches for a `rediss://` server; absent: the public ones.
   */
  constructor(url: Secret | string, name: string, ca?: string) {
    const text = typeof url === 'string' ? url : url.reveal()
    if (!/^rediss?:\/\//.test(text)) throw new TypeError('the URL of a Redis store starts with redis:// or rediss://')
    this.#client = new Redis(text, { ...OPTIONS, connectionName: name, ...(ca === undefined ? {} : { tls: { ca } }) })
    this.#client.on('error', (error: Error) => {
      this.#lastError = error.message
      // The library listens for one error of each socket. TLS sends two where a handshake fails, and the second would end the process.
      this.#client.stream?.on('error', () => undefined)
    })
    for (const [script, definition] of Object.entries(SCRIPTS)) this.#client.defineCommand(script, definition)
  }

  /** Ready, or `StoreUnavailable` with the server's own words. */
  async open(waitMs = OPEN_WAIT_MS): Promise<void> {
    const client = this.#client
    await new Promise<void>((resolve, reject) => {
      const refuse = (): void => {
        const why = this.#lastError === undefined ? '' : `: ${this.#lastError}`
        reject(new StoreUnavailable(`Redis was not ready within ${waitMs} ms${why}`))
      }
      const timer = setTimeout(refuse, waitMs)
      client.once('ready', () => {
        clearTimeout(timer)
        resolve()
      })
      // A wrong password does not become right by waiting.
      client.once('end', () => {
        clearTimeout(timer)
        refuse()
      })
      // Its first failure is one of several: `retryStrategy` goes on, and the timer decides.
      client.connect().catch(() => undefined)
    }).catch((error: unknown) => {
      client.disconnect()
      throw error
    })
  }

  /**
   * Commands of one turn of the event loop leave in one write: a write to a socket costs more than the rest of sending. They
   * wait for nothing but the turn's end.
   */
  #gather(): void {
    const { stream } = this.#client
    if (this.#gathering === stream || typeof stream?.cork !== 'function') return
    this.#gathering = stream
    stream.cork()
    setImmediate(() => {
      if (this.#gathering === stream) this.#gathering = undefined
      stream.uncork()
    })
  }

  script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const scripts = this.#client as unknown as Record<ScriptName, (...all: Argument[]) => Promise<unknown>>
    return this.#bounded(() => scripts[name](keys.length, ...keys, ...args), callDeadlineMs())
  }

  /** As far as is known without asking: connected, and not waited for in vain. */
  get answers(): boolean {
    return this.#client.status === 'ready' && !this.#silent
  }

  /** @param blockedMs how long the server may hold the command back by its own arguments. */
  command(command: readonly [string, ...Argument[]], blockedMs = 0): Promise<unknown> {
    return this.#bounded(() => this.#client.call(...command), callDeadlineMs() + blockedMs)
  }

  close(): void {
    this.#closed = true
    this.#client.disconnect()
  }

  #bounded(send: () => Promise<unknown>, deadlineMs: number): Promise<unknown> {
    if (this.#silent) return Promise.reject(new StoreUnavailable('Redis has stopped answering'))
    if (this.#waiting >= STORE_WAITING_MAX) {
      return Promise.reject(new StoreUnavailable(`${STORE_WAITING_MAX} calls are waiting for Redis already`))
    }
    return this.#answered(send, deadlineMs, () => this.#fallSilent())
  }

  #answered(send: () => Promise<unknown>, deadlineMs: number, late: () => void): Promise<unknown> {
    this.#waiting++
    return new Promise<unknown>((resolve, reject) => {
      const deadline = startDeadline(deadlineMs, () => {
        late()
        reject(new StoreUnavailable(`Redis did not answer within ${Math.round(deadlineMs)} ms`))
      })
      this.#gather()
      send().then(
        (answer) => {
          deadline.met()
          resolve(answer)
        },
        (error: unknown) => {
          deadline.met()
          const message = error instanceof Error ? error.message : 'unknown error'
          reject(new StoreUnavailable(`Redis refused or was lost: ${message}`))
        },
      )
    }).finally(() => {
      this.#waiting--
    })
  }

  #fallSilent(): void {
    if (this.#silent) return
    this.#silent = true
    void this.#probe()
  }

  /** On the same connection while it lasts: what is waiting there is answered before the probe is. */
  async #probe(): Promise<void> {
    while (this.#silent && !this.#closed) {
      try {
        await this.#answered(
          () => this.#client.ping(),
          STORE_DEADLINE_MS,
          () => undefined,
        )
        this.#silent = false
      } catch {
        await sleep(PROBE_PAUSE_MS, undefined, { ref: false })
      }
    }
  }
}
