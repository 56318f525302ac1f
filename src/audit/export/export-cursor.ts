/**
 * How far a sink has got, in the store, where every broker finds it: the index of the first record that it has not taken. It is
 * moved by compare-and-set and only after a message was taken, so that whatever happens to a broker in between, what was not
 * taken is sent again.
 */
import { z } from 'zod'
import type { DocumentStore } from '../../store/ports.ts'

const document = z.strictObject({
  v: z.literal(1),
  /** The first record that it has not taken. */
  next: z.int().min(0),
  /** Which broker sends to it; empty: whichever comes first. */
  by: z.string(),
  /** Counts that broker's signs of life. */
  beat: z.int().min(0),
  /** Messages in a row that were not taken. */
  failures: z.int().min(0),
  /** Epoch milliseconds: not before. */
  not_before: z.int().min(0),
})

export type ExportCursor = Readonly<z.output<typeof document>>

export interface ReadCursor {
  /** `undefined`: it has not begun. */
  readonly text: string | undefined
  readonly cursor: ExportCursor | undefined
}

export class CursorDocument {
  readonly #documents: DocumentStore
  readonly #name: string

  constructor(documents: DocumentStore, sink: string) {
    this.#documents = documents
    this.#name = `audit-export-${sink}`
  }

  /** @throws Error where it is not a cursor: to begin anew would send everything again, and to skip would lose it. */
  async read(): Promise<ReadCursor> {
    const text = await this.#documents.read(this.#name)
    if (text === undefined) return { text, cursor: undefined }
    const parsed = document.safeParse(JSON.parse(text))
    if (!parsed.success) throw new Error(`the document ${this.#name} is not a cursor`)
    return { text, cursor: parsed.data }
  }

  /** @returns the text it has now; `undefined`: another has moved it, and nothing was changed */
  async move(expected: string | undefined, cursor: ExportCursor): Promise<string | undefined> {
    const text = JSON.stringify(cursor)
    return (await this.#documents.replace(this.#name, expected, text)) ? text : undefined
  }
}
