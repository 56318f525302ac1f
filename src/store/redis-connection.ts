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
import { Redis, ReplyError } from 'ioredis'
import { STORE_DEADLINE_MS, STORE_WAITING_MAX } from '../kernel/store-limits.ts'
import { startDeadline } from './deadline.ts'
import { OutboxFull, StoreUnavailable } from './ports.ts'
import { identityIn } from './redis-identity.ts'
import { type Argument, type Command, RedisRefusal } from './redis-link.ts'
import { FULL } from './redis-record-scripts.ts'
import { SCRIPTS, type ScriptName } from './redis-scripts.ts'
import { OPTIONS, revealed, type SingleServer, sentinelOptions } from './redis-servers.ts'
import { callDeadlineMs } from './time-budget.ts'

const PROBE_PAUSE_MS = 50

export class RedisConnection {
  readonly #client: Redis
  #lastError: string | undefined
  #waiting = 0
  /** A call was not answered in time, and no probe since. */
  #silent = false
  #closed = false
  #gathering: Redis['stream'] | undefined
  #epoch: string | undefined
  readonly #lookedAt = new Set<() => void>()

  /** One server by its URL (`redis://` or `rediss://`, with the password in it where there is one), or by Sentinels. */
  constructor(servers: SingleServer, name: string) {
    this.#client = clientOf(servers, name)
    this.#client.on('error', (error: Error) => {
      this.#lastError = error.message
      // The library listens for one error of each socket. TLS sends two where a handshake fails, and the second would end the process.
      this.#client.stream?.on('error', () => undefined)
    })
    this.#client.on('ready', () => void this.#lookFirst())
    this.#client.on('close', () => {
      this.#epoch = undefined
    })
    // A failover that Sentinels tell of while it connects makes the library give up for good.
    if (servers.once !== true) this.#client.on('end', () => void this.#resume())
    for (const [script, definition] of Object.entries(SCRIPTS)) this.#client.defineCommand(script, definition)
  }

  /** Connects, and goes on trying. */
  begin(): void {
    // Its first failure is one of several: `retryStrategy` goes on.
    if (this.#client.status === 'wait') this.#client.connect().catch(() => undefined)
  }

  async #resume(): Promise<void> {
    await sleep(PROBE_PAUSE_MS, undefined, { ref: false })
    if (!this.#closed && this.#client.status === 'end') this.#client.connect().catch(() => undefined)
  }

  /** Whether it is, within so many ms: connected, to a primary, and known which. */
  async ready(waitMs: number): Promise<boolean> {
    if (this.#epoch !== undefined) return true
    return new Promise<boolean>((resolve) => {
      const settle = (is: boolean) => (): void => {
        clearTimeout(timer)
        this.#lookedAt.delete(isReady)
        this.#client.off('end', isNot)
        resolve(is)
      }
      const isReady = settle(true)
      // A wrong password does not become right by waiting.
      const isNot = settle(false)
      const timer = setTimeout(isNot, waitMs)
      this.#lookedAt.add(isReady)
      this.#client.once('end', isNot)
    })
  }

  /** Which history of which run of a server this connection ends in; `undefined`: in none that is known. */
  get epoch(): string | undefined {
    return this.#epoch
  }

  /** Looks again: a server that was a replica for a while has not closed its connections, and has another's data. */
  async look(): Promise<void> {
    if (this.#epoch === undefined) return
    // One that does not answer is noticed by whoever asks it something.
    await this.#look((section) => this.command(['INFO', section])).catch(() => undefined)
  }

  /** Nothing is asked of a server before it is known which one it is, and that it is no replica. */
  async #lookFirst(): Promise<void> {
    const { stream } = this.#client
    try {
      await this.#look((section) => this.#client.info(section))
    } catch (error) {
      this.#lastError = error instanceof Error ? error.message : undefined
      if (this.#client.stream === stream && !this.#closed) this.#client.disconnect(true)
    }
  }

  async #look(info: (section: string) => Promise<unknown>): Promise<void> {
    const client = this.#client
    const { stream } = client
    const texts = await Promise.all([info('server'), info('replication')])
    if (client.stream !== stream || this.#closed) return
    const { epoch, isPrimary } = identityIn(texts.join('\r\n'))
    if (isPrimary) {
      this.#epoch = epoch
      for (const wake of this.#lookedAt) wake()
    } else {
      this.#lastError = 'this server is a replica'
      this.#epoch = undefined
      client.disconnect(true)
    }
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

  get answers(): boolean {
    return this.#epoch !== undefined && !this.#silent
  }

  /** What the server had to say last when it could not be reached. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  command(command: Command, blockedMs = 0): Promise<unknown> {
    return this.#bounded(() => this.#client.call(...command), callDeadlineMs() + blockedMs)
  }

  /** Answers in bytes: text of any other encoding would not survive. */
  bytes(command: Command): Promise<unknown> {
    return this.#bounded(() => this.#client.callBuffer(...command), callDeadlineMs())
  }

  /** What is sent in the same turn right behind it, and only that, is performed for a slot on its way here. */
  asking(): void {
    this.command(['ASKING']).catch(() => undefined)
  }

  close(): void {
    this.#closed = true
    this.#client.disconnect()
  }

  #bounded(send: () => Promise<unknown>, deadlineMs: number): Promise<unknown> {
    if (this.#silent) return Promise.reject(new StoreUnavailable('Redis has stopped answering'))
    if (this.#epoch === undefined) return Promise.reject(new StoreUnavailable('Redis is not connected'))
    if (this.#waiting >= STORE_WAITING_MAX) {
      return Promise.reject(new StoreUnavailable(`${STORE_WAITING_MAX} calls are waiting for Redis already`))
    }
    return this.#answered(send, deadlineMs, () => this.#fallSilent())
  }

  #answered(send: () => Promise<unknown>, deadlineMs: number, late: () => void): Promise<unknown> {
    this.#waiting++
    return new Promise<unknown>((resolve, reject) => {
      const deadline = startDeadline(deadlineMs, () => {
        this.#waiting--
        late()
        reject(new StoreUnavailable(`Redis did not answer within ${Math.round(deadlineMs)} ms`))
      })
      this.#gather()
      send().then(
        (answer) => {
          if (deadline.met()) this.#waiting--
          resolve(answer)
        },
        (error: unknown) => {
          if (deadline.met()) this.#waiting--
          const message = error instanceof Error ? error.message : 'unknown error'
          const refused = error instanceof ReplyError
          // The connection is about to be given up for it.
          if (refused && message.startsWith('READONLY')) this.#epoch = undefined
          if (refused && message.startsWith(FULL)) reject(new OutboxFull())
          else
            reject(refused ? new RedisRefusal(message) : new StoreUnavailable(`Redis refused or was lost: ${message}`))
        },
      )
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

function clientOf({ ca, once, ...servers }: SingleServer, name: string): Redis {
  const own = { ...OPTIONS, connectionName: name, ...(once === true ? { retryStrategy: null } : {}) }
  if ('sentinel' in servers) return new Redis({ ...own, ...sentinelOptions(servers.sentinel, ca) })
  const text = revealed(servers.url)
  if (!/^rediss?:\/\//.test(text)) throw new TypeError('the URL of a Redis store starts with redis:// or rediss://')
  return new Redis(text, { ...own, ...(ca === undefined ? {} : { tls: { ca } }) })
}
