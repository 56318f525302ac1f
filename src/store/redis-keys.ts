/**
 * Keys of the Redis store: `{<slot>}:<org>:<kind>:<id>`. The braces make a session, its repeat markers, its outbox and what that
 * names share a cluster slot, which is what lets one script change them together.
 */
import { shardOf } from '../kernel/shard.ts'
import { SHARDS } from '../kernel/store-limits.ts'
import { segment } from './segment.ts'

export class RedisKeys {
  readonly #org: string
  /** Of every shard: how its keys begin. */
  readonly #prefixes: readonly string[]
  #last: { readonly of: string; readonly shard: number } | undefined

  constructor(org: string) {
    this.#org = org
    this.#prefixes = Array.from({ length: SHARDS }, (_, shard) => `{s${shard}}:${org}`)
  }

  session(session: string): string {
    return `${this.#shard(session)}:session:${segment(session)}`
  }

  repeat(session: string, commit: string): string {
    return `${this.#shard(session)}:commit:${segment(session)}:${segment(commit)}`
  }

  outbox(key: string): string {
    return `${this.#shard(key)}:outbox`
  }

  outboxes(): readonly string[] {
    return this.#ofShards('outbox')
  }

  /** Of every shard, in the order of `outboxes`. */
  allContents(): readonly string[] {
    return this.#ofShards('contents')
  }

  /** Of every shard, in the order of `outboxes`. */
  allContentsAges(): readonly string[] {
    return this.#ofShards('contents-age')
  }

  #ofShards(kind: string): readonly string[] {
    return this.#prefixes.map((prefix) => `${prefix}:${kind}`)
  }

  /** What was trimmed from the outboxes, in their order. */
  allTrimmed(): readonly string[] {
    return this.#ofShards('trimmed')
  }

  /** One list in all: records of strangers belong to no session. */
  strangers(): string {
    return `{strangers}:${this.#org}:outbox`
  }

  /** Of the one list of strangers' records. */
  ofStrangers(kind: 'trimmed' | 'contents' | 'contents-age'): string {
    return `{strangers}:${this.#org}:${kind}`
  }

  logHead(): string {
    return `{log}:${this.#org}:head`
  }

  /** @param name as `log-pieces.ts` has checked it */
  logPiece(name: string): string {
    return `{log}:${this.#org}:piece:${name}`
  }

  /** What the records of this shard name, by digest; and where in the outbox a record is, by its id (`at:<id>`). */
  contents(session: string): string {
    return `${this.#shard(session)}:contents`
  }

  /** The fields of `contents`, scored by when they last came, in microseconds. */
  contentsAge(session: string): string {
    return `${this.#shard(session)}:contents-age`
  }

  /** What a broker has left there: see `redis-shards.ts`. */
  mark(shard: number): string {
    return `{s${shard}}:${this.#org}:mark`
  }

  markFor(key: string): string {
    return `${this.#shard(key)}:mark`
  }

  /** Number of the shard of a key. One commit asks for the same session's five times. */
  shard(key: string): number {
    if (this.#last?.of !== key) this.#last = { of: key, shard: shardOf(key) }
    return this.#last.shard
  }

  claim(key: string): string {
    return `${this.#shard(key)}:claim:${segment(key)}`
  }

  window(owner: string, name: string): string {
    return `${this.#shard(owner)}:window:${segment(owner)}:${segment(name)}`
  }

  call(key: string): string {
    return `${this.#shard(key)}:call:${segment(key)}`
  }

  /** Keys of the calls of this shard that have not ended, scored by when their time is up. */
  callsDue(key: string): string {
    return `${this.#shard(key)}:calls-due`
  }

  /** Of every shard. */
  allCallsDue(): readonly string[] {
    return this.#ofShards('calls-due')
  }

  index(name: string): string {
    return `${this.#shard(name)}:index:${segment(name)}`
  }

  document(name: string): string {
    return `{control}:${this.#org}:document:${segment(name)}`
  }

  control(part: 'seq' | 'entries' | 'expiries' | 'events' | 'schema' | 'history'): string {
    return `{control}:${this.#org}:${part}`
  }

  #shard(of: string): string {
    return this.#prefixes[this.shard(of)] ?? ''
  }
}
