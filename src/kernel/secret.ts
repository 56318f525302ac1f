/**
 * Secret: a token or key text that cannot print itself. Template strings, JSON, `console.log` and error messages all show
 * `[secret]`; only `reveal()` gives the text, so every place that needs it can be found by that word.
 */
import { inspect } from 'node:util'
import { sha256 } from './digest.ts'

export class Secret {
  readonly #text: string
  #fingerprint: string | undefined
  #derived: { readonly by: unknown; readonly value: unknown } | undefined

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself. Never pass the result to a log, an error or a process's arguments. */
  reveal(): string {
    return this.#text
  }

  /** SHA-256 of the text: what audit and caches may know of it. */
  fingerprint(): string {
    this.#fingerprint ??= sha256(this.#text)
    return this.#fingerprint
  }

  /** What `derive` makes of the text, made once: several stages of a request look at one token, which never changes. */
  derived<T>(derive: (secret: Secret) => T): T {
    if (this.#derived?.by !== derive) this.#derived = { by: derive, value: derive(this) }
    return this.#derived.value as T
  }

  get length(): number {
    return this.#text.length
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }
}
