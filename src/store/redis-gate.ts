/**
 * A link by which nothing is asked of a server before it has been found to have lost nothing, or what it has lost has been made
 * good (`redis-vigil.ts`): a server that was restarted, replaced or flushed answers as willingly as the one before it.
 */
import { StoreUnavailable } from './ports.ts'
import { type Argument, CONTROL, type Command, type RedisLink, TAGS, tagIn, tagOf } from './redis-link.ts'
import type { ScriptName } from './redis-scripts.ts'

export class RedisGate {
  /** For each tag the epoch of the server that may be asked. */
  readonly #vetted = new Map<string, string>()
  /** Told that something has to be looked at. */
  onDoubt: () => void = () => undefined

  admits(tag: string, epoch: string | undefined): boolean {
    return epoch !== undefined && this.#vetted.get(tag) === epoch
  }

  admit(tag: string, epoch: string): void {
    this.#vetted.set(tag, epoch)
  }

  epochOf(tag: string): string | undefined {
    return this.#vetted.get(tag)
  }

  /** Something is not as it was left: nobody is asked anything before it has been looked at. */
  doubt(): void {
    this.#vetted.clear()
    this.onDoubt()
  }
}

export class GatedLink implements RedisLink {
  readonly #link: RedisLink
  readonly #gate: RedisGate

  constructor(link: RedisLink, gate: RedisGate) {
    this.#link = link
    this.#gate = gate
  }

  open(waitMs?: number): Promise<void> {
    return this.#link.open(waitMs)
  }

  script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#refusal(tagIn(keys[0] ?? '')) ?? this.#link.script(name, keys, args)
  }

  together(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> | undefined {
    for (const key of keys) {
      const refusal = this.#refusal(tagIn(key))
      if (refusal !== undefined) return refusal
    }
    return this.#link.together?.(name, keys, args)
  }

  durably(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#refusal(tagIn(keys[0] ?? '')) ?? this.#link.durably(name, keys, args)
  }

  standing(key: string): Promise<void> {
    return this.#refusal(tagIn(key)) ?? this.#link.standing(key)
  }

  command(command: Command, blockedMs?: number): Promise<unknown> {
    return this.#refusal(tagOf(command)) ?? this.#link.command(command, blockedMs)
  }

  bytes(command: Command): Promise<unknown> {
    return this.#refusal(tagOf(command)) ?? this.#link.bytes(command)
  }

  async everywhere(command: Command): Promise<readonly unknown[]> {
    await this.#refusal(CONTROL)
    return this.#link.everywhere(command)
  }

  look(): Promise<void> {
    return this.#link.look()
  }

  epochOf(tag: string): string | undefined {
    return this.#link.epochOf(tag)
  }

  get answers(): boolean {
    return this.#link.answers && TAGS.every((tag) => this.#gate.admits(tag, this.#link.epochOf(tag)))
  }

  close(): void {
    this.#link.close()
  }

  /** What is sent in the same turn goes to the server that was looked at. */
  #refusal(tag: string): Promise<never> | undefined {
    const epoch = this.#link.epochOf(tag)
    // The link itself refuses where there is no server.
    if (epoch === undefined || this.#gate.admits(tag, epoch)) return undefined
    this.#gate.onDoubt()
    return Promise.reject(new StoreUnavailable('this Redis is another than before: it is looked at first'))
  }
}
