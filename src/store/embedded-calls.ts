/** Calls of tools in LMDB: one entry for each, and a list of those that have not ended, in order of when their time is up. */
import { checkedExpiry } from './bounds.ts'
import type { CallEnd, CallStore, KeptCall } from './call-ports.ts'
import { checkedContents } from './commit-rules.ts'
import type { EmbeddedAudit } from './embedded-audit.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { NEVER_MS, ordered } from './embedded-keys.ts'
import { segment } from './segment.ts'

/** As it lies in the database. */
interface Entry {
  readonly text: string
  readonly dueAtMs: number
  readonly ended?: string
}

const DUE = 'call-due:'

export class EmbeddedCalls implements CallStore {
  readonly #database: EmbeddedDatabase
  readonly #audit: EmbeddedAudit

  constructor(database: EmbeddedDatabase, audit: EmbeddedAudit) {
    this.#database = database
    this.#audit = audit
  }

  async begin(key: string, text: string, dueAtMs: number): Promise<KeptCall> {
    const due = checkedExpiry(dueAtMs)
    return this.#database.write(() => {
      const known = this.#entry(key)
      if (known !== undefined) return keptCall(known)
      this.#audit.assertRoomInside()
      const entry: Entry = { text, dueAtMs: due }
      this.#database.putExpiring(callKey(key), NEVER_MS, JSON.stringify(entry))
      this.#database.put(dueKey(key, due), key)
      return keptCall(entry)
    })
  }

  async read(key: string): Promise<KeptCall | undefined> {
    return this.#database.read(() => {
      const known = this.#entry(key)
      return known === undefined ? undefined : keptCall(known)
    })
  }

  async end(key: string, { over, ended, expiresAtMs, audit, contents }: CallEnd) {
    const checked = checkedContents(contents)
    const expiry = checkedExpiry(expiresAtMs)
    return this.#database.write(() => {
      const known = this.#entry(key)
      if (known === undefined) return undefined
      if (known.ended !== over) return { ...keptCall(known), written: false }
      if (audit !== undefined) this.#audit.assertRoomInside(true)
      const entry: Entry = { ...known, ended }
      this.#database.putExpiring(callKey(key), expiry, JSON.stringify(entry))
      this.#database.remove(dueKey(key, known.dueAtMs))
      if (audit !== undefined) this.#audit.appendInside(audit, checked)
      return { ...keptCall(entry), written: true }
    })
  }

  async due(nowMs: number, limit: number): Promise<readonly string[]> {
    if (limit <= 0) return []
    return this.#database.read(() => {
      const keys: string[] = []
      const range = { end: `${DUE}${ordered(Math.floor(nowMs) + 1)}`, limit }
      for (const { value } of this.#database.range(DUE, range)) keys.push(value)
      return keys
    })
  }

  #entry(key: string): Entry | undefined {
    const found = this.#database.getExpiring(callKey(key))
    return found === undefined ? undefined : (JSON.parse(found.text) as Entry)
  }
}

function keptCall({ text, ended }: Entry): KeptCall {
  return { text, ended }
}

function callKey(key: string): string {
  return `call:${segment(key)}`
}

function dueKey(key: string, dueAtMs: number): string {
  return `${DUE}${ordered(dueAtMs)}:${segment(key)}`
}
