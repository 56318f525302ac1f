/**
 * The name that this broker signs the log under: its first, or that of its last continuation. What is believed of the store's
 * list is what the log's own key has signed, and it only grows: a store that has lost it is given it again.
 */
import type { LogKey, LogSigner } from '../../keys/log-key.ts'
import type { Continued } from '../../model/continued.ts'
import type { DocumentStore } from '../../store/ports.ts'
import { parseNote } from '../../tlog/note.ts'
import { NoteError } from '../../tlog/note-keys.ts'
import { nextOrigin, notesIn, type OpenedContinuation, openContinuations, signContinuation } from './continuation.ts'
import { LogContradicted, NoLogKey } from './log-contradicted.ts'
import { CONTINUED_DOCUMENT } from './log-documents.ts'

export interface ContinuationParts {
  readonly documents: DocumentStore
  readonly logKey: Pick<LogKey, 'signer'>
}

/** What is said of one that is to be: the rest is known here. */
export type NewContinuation = Omit<Continued, 'origin' | 'before'>

interface DraftedNote {
  readonly continued: Continued
  readonly note: string
  /** vkey of its name. */
  readonly key: string
}

export class Continuations {
  readonly #parts: ContinuationParts
  #notes: readonly string[] = []
  #last: OpenedContinuation | undefined

  constructor(parts: ContinuationParts) {
    this.#parts = parts
  }

  get last(): OpenedContinuation | undefined {
    return this.#last
  }

  /** How many there were. */
  get count(): number {
    return this.#notes.length
  }

  /** @throws NoLogKey, KeyFileError, StoreUnavailable */
  async signer(): Promise<LogSigner> {
    return this.#signer(this.#last?.origin)
  }

  async #signer(origin?: string): Promise<LogSigner> {
    const signer = await this.#parts.logKey.signer(origin)
    if (signer === undefined) throw new NoLogKey()
    return signer
  }

  /**
   * Reads what there is, and gives the store back what it has lost.
   * @returns whether there are more than before
   * @throws LogContradicted where the list is not one that this log's key has signed; StoreUnavailable
   */
  async look(): Promise<boolean> {
    const { documents } = this.#parts
    for (;;) {
      const text = await documents.read(CONTINUED_DOCUMENT)
      if (text === undefined && this.#notes.length === 0) return false
      const opened = await this.#opened(text)
      if (opened.notes.length > this.#notes.length) {
        this.#notes = opened.notes
        this.#last = opened.last
        return true
      }
      if (opened.notes.length === this.#notes.length) return false
      if (await documents.replace(CONTINUED_DOCUMENT, text, JSON.stringify(this.#notes))) return false
    }
  }

  async #opened(text: string | undefined) {
    const { key } = await this.#signer()
    try {
      const notes = notesIn(text)
      const continuations = await openContinuations(notes, [key], key.name)
      return { notes, last: continuations.at(-1) }
    } catch (error) {
      if (!(error instanceof NoteError)) throw error
      const how = 'the audit log was continued under a key that is not here: its brokers need the same audit-log.key'
      throw new LogContradicted('forked', how)
    }
  }

  /** The note of it, which changes nothing yet. @throws NoLogKey, KeyFileError, StoreUnavailable */
  async draft(stated: NewContinuation): Promise<DraftedNote> {
    const { key: first } = await this.#signer()
    const signer = await this.#signer(nextOrigin(first.name, this.#notes.length))
    const continued = { ...stated, origin: signer.key.name, before: this.#last?.origin ?? first.name }
    return { continued, note: await signContinuation(continued, signer), key: signer.key.vkey }
  }

  /** From now on the log has this name. `false`: another has continued it meanwhile. @throws StoreUnavailable */
  async add(note: string): Promise<boolean> {
    const { documents } = this.#parts
    const { key: first } = await this.#signer()
    const text = await documents.read(CONTINUED_DOCUMENT)
    const { notes } = await this.#opened(text)
    // Two that are drafted at once have the same name: a list with both would be one that nobody can open.
    if (!parseNote(note).text.startsWith(`${nextOrigin(first.name, notes.length)}\n`)) return false
    return documents.replace(CONTINUED_DOCUMENT, text, JSON.stringify([...notes, note]))
  }
}
