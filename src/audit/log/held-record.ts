/** An acknowledged record as it is remembered: its texts lie where no collection of young objects moves them. */
import type { Kept, KeptBytes } from '../../kernel/kept-bytes.ts'
import type { Content } from '../../model/commit.ts'
import type { AcknowledgedRecord } from '../../store/record-watcher.ts'
import { placeOf } from './logged-places.ts'

interface HeldText {
  readonly digest: string
  readonly text: Kept
}

/** A class: of thousands of literals that live as long, V8 makes the next ones old, and whatever they name with them. */
export class HeldRecord {
  readonly place: string
  readonly outbox: string
  readonly position: string
  readonly bytes: number
  readonly #key: string | undefined
  readonly #record: Kept
  readonly #contents: readonly HeldText[]

  constructor({ outbox, position, key, record, contents }: AcknowledgedRecord, texts: KeptBytes) {
    this.place = placeOf(outbox, position)
    this.outbox = outbox
    this.position = position
    this.#key = key
    this.#record = texts.keepText(record)
    this.#contents = contents.map(({ digest, text }) => ({ digest, text: texts.keepText(text) }))
    this.bytes = this.#contents.reduce((sum, { text }) => sum + text.length, this.#record.length)
  }

  get text(): string {
    return this.#record.text
  }

  /** Texts that were written with it: those that are wanted. */
  contents(isWanted: (digest: string) => boolean): readonly Content[] {
    const wanted = this.#contents.filter(({ digest }) => isWanted(digest))
    return wanted.map(({ digest, text }) => ({ digest, text: text.text }))
  }

  /** As it was acknowledged. */
  get whole(): AcknowledgedRecord {
    const { outbox, position } = this
    return { outbox, position, key: this.#key, record: this.text, contents: this.contents(() => true) }
  }

  /** Nothing is asked of it any more. */
  forget(): void {
    this.#record.forget()
    for (const { text } of this.#contents) text.forget()
  }
}
