/**
 * The commit as data (DESIGN §5). Everything a session is lives in one flat record of text fields; a commit names the checks
 * that must hold on it and the operations to perform, and one Lua script or one LMDB transaction interprets it. Neither
 * knows what a session is: the state machine lives in TypeScript alone.
 */
import { sha256 } from '../kernel/digest.ts'
import type { SessionId } from '../kernel/ids.ts'

export type Check =
  | { readonly check: 'absent'; readonly field: string }
  | { readonly check: 'present'; readonly field: string }
  | { readonly check: 'oneOf'; readonly field: string; readonly values: readonly string[] }
  /** The field is a decimal integer greater than `value`. An absent or other field fails. */
  | { readonly check: 'above'; readonly field: string; readonly value: number }
  /** The field is absent, or a decimal integer less than `value`. */
  | { readonly check: 'below'; readonly field: string; readonly value: number }

export type Operation =
  | { readonly operation: 'set'; readonly field: string; readonly value: string }
  /** Absent counts as 0. */
  | { readonly operation: 'increment'; readonly field: string; readonly by: number }

/** A large part of an audit record, which names it by digest (DESIGN §8). */
export interface Content {
  /** SHA-256 of `text`; a store refuses any other, so that what a record names cannot be replaced. */
  readonly digest: string
  readonly text: string
}

/** A text that is named by its own digest because nothing else can be made of it: nobody has to compute that again. */
export class DigestedText implements Content {
  readonly digest: string
  readonly text: string

  constructor(text: string) {
    this.text = text
    this.digest = sha256(text)
    Object.freeze(this)
  }
}

export interface Commit {
  readonly session: SessionId
  /** Repeating a commit with the same id changes nothing and answers as the first time. */
  readonly id: string
  readonly checks: readonly Check[]
  readonly operations: readonly Operation[]
  /** When the session's record may be forgotten. Never moves backwards. */
  readonly expiresAtMs: number
  /** Serialised audit record, appended to the session's outbox in the same transaction; `undefined` for state repair. */
  readonly audit: string | undefined
  /** What the audit record names: kept once per digest beside it, in the same transaction, also when the session is gone. */
  readonly contents?: readonly Content[]
  /** It ends something: its record may use what a full outbox keeps free for that. */
  readonly isEnd?: boolean
}

export type CommitOutcome =
  | { readonly committed: true; readonly repeated: boolean }
  /** Nothing was written. `failed` is the index of the first check that did not hold. */
  | { readonly committed: false; readonly failed: number }
