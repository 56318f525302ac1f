/**
 * What the Redis store asks of a Redis, whether that is one server, one behind Sentinel or a cluster of them: each key is asked of
 * whoever serves it now.
 *
 * Promised by every link: each call ends, with an answer or with `StoreUnavailable`, within a few deadlines at most; what was sent
 * and may have been performed is never sent again; nothing waits for a server to come back.
 */
import { SHARDS } from '../kernel/store-limits.ts'
import { StoreUnavailable } from './ports.ts'
import type { ScriptName } from './redis-scripts.ts'

export type Argument = string | number | Buffer
export type Command = readonly [string, ...Argument[]]

export interface RedisLink {
  /** Ready, or `StoreUnavailable` with the server's own words; closed in the latter case. */
  open(waitMs?: number): Promise<void>
  /** @param keys all of one slot, at least one */
  script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown>
  /** The same with keys of any slots; absent, or `undefined` and nothing asked: not one server has them all. */
  together?(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> | undefined
  /** As `script`, and answered only when as many replicas as are configured have what it has written. */
  durably(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown>
  /**
   * Throws unless as many replicas as are configured have, by now, all that was written where this key lies: nobody who has been
   * cut off from them can answer for it.
   */
  standing(key: string): Promise<void>
  /**
   * Asked of whoever serves the first key in it, or, where it has none, `CONTROL`.
   * @param blockedMs how long the server may hold the command back by its own arguments
   */
  command(command: Command, blockedMs?: number): Promise<unknown>
  /** As `command`, answered in bytes. */
  bytes(command: Command): Promise<unknown>
  /** The same command, of every server that serves anything. */
  everywhere(command: Command): Promise<readonly unknown[]>
  /** Finds out anew who its servers are: they may have changed under a connection. Never throws. */
  look(): Promise<void>
  /** Which server serves the keys of this tag now, and which history of it; `undefined`: none that is known. */
  epochOf(tag: string): string | undefined
  /** As far as is known without asking: connected to all it needs, and not waited for in vain. */
  readonly answers: boolean
  close(): void
}

/** The tag of the slot that commands without a key go to. */
export const CONTROL = 'control'
/** Of every key of the store; that of the control slot first. */
export const TAGS = [CONTROL, 'strangers', 'log', ...Array.from({ length: SHARDS }, (_, shard) => `s${shard}`)]

/** The server has answered, with a refusal: what was asked for has not been performed. */
export class RedisRefusal extends StoreUnavailable {
  readonly code: string
  readonly words: string

  constructor(words: string) {
    super(`Redis refused or was lost: ${words}`)
    this.words = words
    this.code = words.split(' ', 1)[0] ?? ''
  }
}

/** Every key of ours begins with its tag in braces, and nothing that stands before the first key does. */
export function tagOf(command: readonly Argument[]): string {
  const key = command.find((argument) => typeof argument === 'string' && argument.startsWith('{'))
  return key === undefined ? CONTROL : tagIn(String(key))
}

export function tagIn(key: string): string {
  return key.slice(1, key.indexOf('}'))
}
