/**
 * An acknowledged record as it is remembered, in as few objects as can be: thousands live for seconds, and each is moved by every
 * collection of young objects until it counts as old.
 */
import type { Kept, KeptBytes } from '../../kernel/kept-bytes.ts'
import type { Content } from '../../model/commit.ts'
import type { AcknowledgedRecord } from '../../store/record-watcher.ts'
import { placeOf } from './logged-places.ts'

/** Among its texts: the key, then the record, then digest and text of one content after another. */
const KEY = 0
const RECORD = 1
const CONTENTS = 2

/** A class: of thousands of literals that live as long, V8 makes the next ones old, and whatever they name with them. */
export class HeldRecord {
  readonly place: string
  readonly outbox: string
  readonly #texts: Kept
  readonly #count: number

  constructor({ outbox, position, key, record, contents }: AcknowledgedRecord, texts: KeptBytes) {
    this.place = placeOf(outbox, position)
    this.outbox = outbox
    const all = [key ?? '', record]
    for (const { digest, text } of contents) all.push(digest, text)
    this.#texts = texts.keepTexts(all)
    this.#count = all.length
  }

  get bytes(): number {
    return this.#texts.length
  }

  get position(): string {
    return this.place.slice(this.outbox.length + 1)
  }

  get text(): string {
    return this.#texts.textAt(RECORD)
  }

  /** Texts that were written with it: those that are wanted. */
  contents(isWanted: (digest: string) => boolean): readonly Content[] {
    const found: Content[] = []
    for (let n = CONTENTS; n < this.#count; n += 2) {
      const digest = this.#texts.textAt(n)
      if (isWanted(digest)) found.push({ digest, text: this.#texts.textAt(n + 1) })
    }
    return found
  }

  /** As it was acknowledged. */
  get whole(): AcknowledgedRecord {
    const { outbox, position, text: record } = this
    const key = this.#texts.textAt(KEY)
    return { outbox, position, key: key === '' ? undefined : key, record, contents: this.contents(() => true) }
  }

  /** Nothing is asked of it any more. */
  forget(): void {
    this.#texts.forget()
  }
}
