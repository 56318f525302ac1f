/**
 * What a witness remembers: of each log the last checkpoint it has signed, one file per log.
 *
 * A file is replaced as a whole and is on the disk before anything is said for it: written aside, flushed, renamed, the
 * directory flushed. One that cannot be read is a fault, never a log that was not seen before.
 */
import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../kernel/fault.ts'
import { newNonce } from '../kernel/ids.ts'

export class WitnessState {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** A signed note as it was kept; `undefined`: this log was never seen. */
  async read(origin: string): Promise<string | undefined> {
    try {
      return await readFile(this.#path(origin, 'checkpoint'), 'utf8')
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /** Durable when it resolves. */
  async write(origin: string, note: string): Promise<void> {
    await this.#replace(this.#path(origin, 'checkpoint'), note)
  }

  /** A log that has signed what cannot be: the first such thing is kept, as evidence. */
  async keepEvidence(origin: string, request: string): Promise<void> {
    const path = this.#path(origin, 'evidence')
    const known = await readFile(path).catch(() => undefined)
    if (known === undefined) await this.#replace(path, request)
  }

  async #replace(path: string, text: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const temporary = join(this.#directory, `.${newNonce()}.tmp`)
    try {
      const file = await open(temporary, 'wx', 0o600)
      try {
        await file.writeFile(text)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, path)
    } catch (error) {
      await unlink(temporary).catch(() => undefined)
      throw error
    }
    const folder = await open(this.#directory, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }

  /** An origin is any text: its hash is a file name. */
  #path(origin: string, kind: 'checkpoint' | 'evidence'): string {
    return join(this.#directory, `${createHash('sha256').update(origin).digest('hex').slice(0, 32)}.${kind}`)
  }
}
