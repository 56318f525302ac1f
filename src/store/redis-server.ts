/** One Redis server as a link: the connection that everything goes by, and beside it the one that its replicas are asked about on. */
import { StoreUnavailable } from './ports.ts'
import { RedisConnection } from './redis-connection.ts'
import type { Argument, Command, RedisLink } from './redis-link.ts'
import { RedisReplication } from './redis-replication.ts'
import type { ScriptName } from './redis-scripts.ts'
import type { SingleServer } from './redis-servers.ts'

/** A server that is starting up, or loading its data, is waited for this long. */
const OPEN_WAIT_MS = 5_000

export class RedisServer implements RedisLink {
  readonly #connection: RedisConnection
  readonly #replication: RedisReplication | undefined

  constructor(server: SingleServer, name: string) {
    const { replicas = 0 } = server
    this.#connection = new RedisConnection(server, name)
    if (replicas === 0) return
    this.#replication = new RedisReplication(new RedisConnection(server, `${name}-replicas`), replicas)
  }

  async open(waitMs = OPEN_WAIT_MS): Promise<void> {
    this.begin()
    if (await this.ready(waitMs)) return
    this.close()
    const { lastError } = this.#connection
    throw new StoreUnavailable(
      `Redis was not ready within ${waitMs} ms${lastError === undefined ? '' : `: ${lastError}`}`,
    )
  }

  /** Connects, and goes on trying. */
  begin(): void {
    this.#connection.begin()
    this.#replication?.begin()
  }

  /** Whether it is, within so many ms, also to be asked about its replicas: what it writes before is not acknowledged. */
  async ready(waitMs: number): Promise<boolean> {
    const all = await Promise.all([this.#connection, this.#replication].map((one) => one?.ready(waitMs) ?? true))
    return all.every(Boolean)
  }

  get answers(): boolean {
    return this.#connection.answers
  }

  script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#connection.script(name, keys, args)
  }

  together(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#connection.script(name, keys, args)
  }

  durably(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const answered = this.#connection.script(name, keys, args)
    return this.#replication === undefined ? answered : this.#confirmed(answered, keys[0] ?? '')
  }

  async #confirmed(answered: Promise<unknown>, key: string): Promise<unknown> {
    const answer = await answered
    await this.#replication?.confirm(key, this.#connection.epoch)
    return answer
  }

  async standing(key: string): Promise<void> {
    await this.#replication?.confirm(key, this.#connection.epoch)
  }

  command(command: Command, blockedMs = 0): Promise<unknown> {
    return this.#connection.command(command, blockedMs)
  }

  bytes(command: Command): Promise<unknown> {
    return this.#connection.bytes(command)
  }

  everywhere(command: Command): Promise<readonly unknown[]> {
    return Promise.all([this.command(command)])
  }

  async look(): Promise<void> {
    await Promise.all([this.#connection.look(), this.#replication?.look()])
  }

  epochOf(): string | undefined {
    return this.#connection.epoch
  }

  asking(): void {
    this.#connection.asking()
  }

  close(): void {
    this.#connection.close()
    this.#replication?.close()
  }
}
