/** Sessions, their commits and single-use ids in LMDB. A session is one entry: all its fields change together or not at all. */
import type { SessionId } from '../kernel/ids.ts'
import type { Commit, CommitOutcome } from '../model/commit.ts'
import { COMMIT_REPEAT_MS, checkedExpiry } from './bounds.ts'
import { changesOf, checkBounds, checkedContents, firstFailed } from './commit-rules.ts'
import type { EmbeddedAudit } from './embedded-audit.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import type { ClaimStore, SessionStore } from './ports.ts'
import { segment } from './segment.ts'

export class EmbeddedSessions implements SessionStore {
  readonly #database: EmbeddedDatabase
  readonly #audit: EmbeddedAudit

  constructor(database: EmbeddedDatabase, audit: EmbeddedAudit) {
    this.#database = database
    this.#audit = audit
  }

  async read(session: SessionId, fields: readonly string[]): Promise<ReadonlyMap<string, string> | undefined> {
    const record = await this.readAll(session)
    if (record === undefined) return undefined
    const found = new Map<string, string>()
    for (const field of fields) {
      const value = record.get(field)
      if (value !== undefined) found.set(field, value)
    }
    return found
  }

  async readAll(session: SessionId): Promise<ReadonlyMap<string, string> | undefined> {
    return this.#database.read(() => {
      const entry = this.#database.getExpiring(sessionKey(session))
      return entry === undefined ? undefined : parseFields(entry.text)
    })
  }

  async commit(commit: Commit): Promise<CommitOutcome> {
    checkBounds(commit.checks, commit.operations)
    checkedContents(commit.contents)
    const expiresAtMs = checkedExpiry(commit.expiresAtMs)
    return this.#database.write(() => this.#perform(commit, expiresAtMs))
  }

  #perform(commit: Commit, expiresAtMs: number): CommitOutcome {
    const database = this.#database
    const repeatKey = `commit:${segment(commit.session)}:${segment(commit.id)}`
    if (database.getExpiring(repeatKey) !== undefined) return { committed: true, repeated: true }

    const key = sessionKey(commit.session)
    const entry = database.getExpiring(key)
    const record = entry === undefined ? new Map<string, string>() : parseFields(entry.text)
    const failed = firstFailed(commit.checks, record)
    if (failed >= 0) return { committed: false, failed }
    const changes = changesOf(commit.operations, record)
    const { audit, contents = [], isEnd } = commit
    if (audit !== undefined || contents.length > 0) this.#audit.assertRoomInside(isEnd)

    // Nothing above writes, nothing below refuses.
    for (const [field, value] of changes) record.set(field, value)
    const expiry = Math.max(expiresAtMs, entry?.expiresAtMs ?? 0)
    if (record.size > 0 && entry === undefined) database.putDated(key, expiry, fieldsText(record))
    else if (record.size > 0) database.putExpiring(key, expiry, fieldsText(record), entry)
    database.putDated(repeatKey, database.clock.nowMs() + COMMIT_REPEAT_MS, '')
    this.#audit.appendInside(audit, contents)
    return { committed: true, repeated: false }
  }
}

export class EmbeddedClaims implements ClaimStore {
  readonly #database: EmbeddedDatabase

  constructor(database: EmbeddedDatabase) {
    this.#database = database
  }

  async claim(key: string, nonce: string, expiresAtMs: number): Promise<boolean> {
    const expiry = checkedExpiry(expiresAtMs)
    const claimKey = `claim:${segment(key)}`
    return this.#database.write(() => {
      // Past its expiry a claim cannot be kept, so single use could not be promised.
      if (expiry <= this.#database.clock.nowMs()) return false
      const holder = this.#database.getExpiring(claimKey)
      if (holder !== undefined) return holder.text === nonce
      this.#database.putDated(claimKey, expiry, nonce)
      return true
    })
  }
}

function sessionKey(session: SessionId): string {
  return `session:${segment(session)}`
}

/** Each field as the lengths of its name and its value, then both as they are: quoting would make a session a third longer. */
export function fieldsText(record: ReadonlyMap<string, string>): string {
  let text = ''
  for (const [name, value] of record) text += `${name.length}:${value.length}:${name}${value}`
  return text
}

export function parseFields(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (let at = 0; at < text.length; ) {
    const middle = text.indexOf(':', at)
    const begin = text.indexOf(':', middle + 1) + 1
    const end = begin + Number(text.slice(at, middle))
    const next = end + Number(text.slice(middle + 1, begin - 1))
    // Behind it or cut short: what is not as it was written is no session.
    if (middle < 0 || begin === 0 || !(next >= begin && next <= text.length))
      throw new Error('a stored record is malformed')
    fields.set(text.slice(begin, end), text.slice(end, next))
    at = next
  }
  return fields
}
