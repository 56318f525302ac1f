/** An acknowledged record as it is remembered: its texts lie where no collection of young objects moves them. */
import type { Kept, KeptBytes } from '../../kernel/kept-bytes.ts'
import type { Content } from '../../model/commit.ts'
import type { AcknowledgedRecord } from '../../store/record-watcher.ts'
import { placeOf } from './logged-places.ts'

/** A class: of thousands of literals that live as long, V8 makes the next ones old, and whatever they name with them. */
export class HeldRecord {
  readonly place: string
  readonly outbox: string
  readonly position: string
  readonly bytes: number
  readonly #key: string | undefined
  /** Its text and those beside it, a line feed between two: it parts what would be one character together. */
  readonly #texts: Kept
  /** In bytes: where each of them ends. */
  readonly #ends: readonly number[]
  readonly #digests: readonly string[]

  constructor({ outbox, position, key, record, contents }: AcknowledgedRecord, texts: KeptBytes) {
    this.place = placeOf(outbox, position)
    this.outbox = outbox
    this.position = position
    this.#key = key
    const parts = [record, ...contents.map(({ text }) => text)]
    let end = -1
    this.#ends = parts.map((text) => {
      end += 1 + Buffer.byteLength(text)
      return end
    })
    this.#digests = contents.map(({ digest }) => digest)
    this.#texts = texts.keepText(parts.join('\n'))
    this.bytes = this.#texts.length
  }

  get text(): string {
    return this.#part(0)
  }

  /** Texts that were written with it: those that are wanted. */
  contents(isWanted: (digest: string) => boolean): readonly Content[] {
    return this.#digests.flatMap((digest, n) => (isWanted(digest) ? [{ digest, text: this.#part(n + 1) }] : []))
  }

  /** As it was acknowledged. */
  get whole(): AcknowledgedRecord {
    const { outbox, position } = this
    return { outbox, position, key: this.#key, record: this.text, contents: this.contents(() => true) }
  }

  /** Nothing is asked of it any more. */
  forget(): void {
    this.#texts.forget()
  }

  #part(n: number): string {
    return this.#texts.textFrom(n === 0 ? 0 : (this.#ends[n - 1] ?? 0) + 1, this.#ends[n] ?? 0)
  }
}
