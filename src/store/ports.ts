/**
 * The ports to state: each a handful of atomic operations, implemented by `embedded-*.ts` (LMDB) and `redis-*.ts` (ioredis)
 * and held to one contract (`test/contract/store-contract.ts`).
 *
 * Promised by every operation:
 * - It is atomic, and durable when its promise resolves ("durable" as the store's README section states it).
 * - A failing or late backend throws `StoreUnavailable`; it never says "not found". After a throw the write may or may not
 *   have happened: the caller treats it as unknown.
 * - The caller owns the clock; expiry is exclusive: at `expiresAtMs` a record is gone.
 * - Keys and values are opaque, well-formed text; a lone surrogate would not survive UTF-8.
 */
import type { ControlEntry } from '../authority/cutoffs.ts'
import type { SessionId } from '../kernel/ids.ts'
import type { Commit, CommitOutcome, Content } from '../model/commit.ts'
import type { CallStore, WindowStore } from './call-ports.ts'
import type { AcknowledgedRecord, KnownRecords, RecordWatcher } from './record-watcher.ts'

export class StoreUnavailable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'StoreUnavailable'
  }
}

/** The outbox of what is recorded is full: nothing was written. Ends of things are refused only where what is kept free for them is full, too. */
export class OutboxFull extends StoreUnavailable {
  constructor(cause?: unknown) {
    super('the audit outbox is full: what it holds has not been brought into the log', cause)
    this.name = 'OutboxFull'
  }
}

/** It is written, and in force, but not on as many replicas as are configured: a failover may still lose it. */
export class NotReplicated extends StoreUnavailable {
  readonly written: ControlWritten

  constructor(written: ControlWritten, cause: unknown) {
    super('it is written, but not on every replica yet', cause)
    this.written = written
  }
}

/** A session's record: an allow-list. An absent record is a dead session. */
export interface SessionStore {
  /** The fields that exist among those asked for; `undefined`: no such session. */
  read(session: SessionId, fields: readonly string[]): Promise<ReadonlyMap<string, string> | undefined>
  readAll(session: SessionId): Promise<ReadonlyMap<string, string> | undefined>
  /** @throws OutboxFull */
  commit(commit: Commit): Promise<CommitOutcome>
}

/** Single-use ids. */
export interface ClaimStore {
  /**
   * One atomic write: `true` for the first caller with this key, and for a retry of the same request (same nonce); `false`
   * for every other until `expiresAtMs`. From then on `false` for all: single use can no longer be promised.
   */
  claim(key: string, nonce: string, expiresAtMs: number): Promise<boolean>
}

/** What a writer asks for: the store gives `seq` and `atMs`. */
export type ControlWrite<E extends ControlEntry = ControlEntry> = E extends unknown ? Omit<E, 'seq' | 'atMs'> : never

export interface ControlWritten {
  readonly seq: number
  /** The store's clock. */
  readonly atMs: number
}

export interface ControlSnapshot {
  /** Identifies one continuous history of the store: a new epoch means events may have been lost. */
  readonly epoch: string
  readonly seq: number
  readonly atMs: number
  readonly entries: readonly ControlEntry[]
}

/** What a listener has heard of, up to a number: what is asserted again to a store that may have lost writes. */
export interface KnownEntries {
  readonly seq: number
  readonly entries: readonly ControlEntry[]
}

/** One that throws is given a new snapshot, and nothing is `confirmed` to it until it has taken that. */
export interface ControlListener {
  /** Replaces nothing: entries are merged into what the listener holds, so that no cut-off is ever forgotten by a reload. */
  snapshot(snapshot: ControlSnapshot): void
  /** One write, in sequence order. */
  written(seq: number, entries: readonly ControlEntry[]): void
  /** A read of the store has just confirmed that everything up to `seq` was delivered; `atMs` is the store's clock. */
  confirmed(seq: number, atMs: number): void
  /** Absent: it keeps nothing. */
  known?(): KnownEntries
}

/** The control slot: sequence, cut-offs and blocks. Writing there *is* the revocation. */
export interface ControlStore {
  /**
   * Appends all entries under one new sequence number, `seq = max(last + 1, floor, server time in ms)`. Merging is by max
   * per (dimension, id); an entry never replaces a stricter one. Cut-offs and blocks that it throws `StoreUnavailable` for are
   * written later, as soon as they can be.
   * @throws NotReplicated
   */
  write(entries: readonly ControlWrite[], floor: number): Promise<ControlWritten>
  /**
   * The same, if the policy published now is of this version (`undefined`: none is); else nothing is written, and the answer is
   * `undefined`.
   */
  writeAfter(
    version: string | undefined,
    entries: readonly ControlWrite[],
    floor: number,
  ): Promise<ControlWritten | undefined>
  snapshot(): Promise<ControlSnapshot>
  /** Delivers a snapshot, then every write in order, then `confirmed` at least every 500 ms while the store answers. */
  follow(listener: ControlListener): Promise<{ stop(): Promise<void> }>
}

export interface OutboxEntry {
  /** Position in its list, increasing. Those that `pending` answers compare as text within one outbox, and name one record ever. */
  readonly position: string
  readonly record: string
  /** Of `pending`: it may have been answered before, because its outbox is not as the cursor left it (see there). */
  readonly again?: true
}

export type Pending = ReadonlyMap<string, readonly OutboxEntry[]>

/** How full an outbox is. */
export interface OutboxUsage {
  readonly records: number
  readonly limit: number
}

/** What of the records of known callers one outbox still has. */
export interface OutboxExtent {
  readonly records: number
  /** `undefined`: it has none. */
  readonly oldest: string | undefined
}

/** Audit records that no session's commit carries, and the reading side of all of them. */
export interface AuditStore {
  /**
   * `key` picks the shard (a session id where there is one, else the record's own id). What the record names by digest is kept
   * in the same write.
   * @param isEnd what is recorded has ended something, or will: it may use what a full outbox keeps free for that
   * @throws OutboxFull
   */
  append(key: string, record: string, contents?: readonly Content[], isEnd?: boolean): Promise<void>
  /** A record of strangers' refusals: in a list of their own, so that they can push out nothing but each other. */
  appendStrangers(record: string): Promise<void>
  /**
   * What was acknowledged, and a server has lost: once more, behind what is there, as the end of something. `originOf` its new
   * position is where it was before, so that whoever has it already knows it.
   */
  appendAgain(lost: AcknowledgedRecord): Promise<void>
  /** Newest first, over all shards and both kinds. `limit` records at most. */
  latest(limit: number): Promise<readonly OutboxEntry[]>
  /** Records of known callers only, newest first, from behind one that an earlier page ended with. */
  page(limit: number, after?: string): Promise<readonly OutboxEntry[]>
  /** Every record of this id, oldest first; without reading through the others. */
  find(id: string): Promise<readonly string[]>
  /** What a commit of this session, or a record appended under this key, has stored under this digest. */
  content(digest: string, key: string): Promise<string | undefined>
  /** Of the fullest outbox; strangers' records are not counted. At the limit all but ends are refused. */
  usage(): Promise<OutboxUsage>
  /** Of each outbox. */
  extents(): Promise<readonly OutboxExtent[]>
  /** Names of all outboxes; the last is that of strangers' records. */
  readonly outboxes: readonly string[]
  /**
   * Oldest first, from behind each outbox's cursor (none: from the beginning), `limit` of each at most. Outboxes with nothing new
   * are absent. Answered only when as many replicas as are configured have what is answered.
   *
   * A cursor is the position of the last entry that was read. No record is ever passed over: where an outbox has neither the
   * record that the cursor names nor trimmed exactly up to it, because its server came back without its last writes, all that is
   * there is answered once more from the beginning, each entry marked `again`. Whoever reads on knows by position which of those
   * it has already, and goes on behind the last of them, also where that is less than its cursor was. What is `known` is not read.
   */
  pending(cursors: ReadonlyMap<string, string>, limit: number, known?: KnownRecords): Promise<Pending>
  /**
   * Forgets what is up to and with the position, and that it could be found by id. Nothing where the outbox does not have the
   * record of this position: what is there then has not been read. Works where memory is full.
   * @returns whether it has: `false` where another trimmed further, or a server came back without that record
   */
  trim(outbox: string, upTo: string): Promise<boolean>
  /** Texts kept beside the records of an outbox, by digest: those that are there. */
  contentsIn(outbox: string, digests: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** Those of these positions at which the outbox has the record that was acknowledged there. */
  holds(outbox: string, positions: readonly string[]): Promise<ReadonlySet<string>>
  /** Told of every record from now on, by whichever part of the store it is written. One that loses none tells nothing. */
  watch(watcher: RecordWatcher): void
}

/** `put` replaces, `add` appends to what is there; `put` of `undefined` removes. Of one name, in their order. */
export type LogPiece =
  | { readonly name: string; readonly put: Buffer | undefined }
  | { readonly name: string; readonly add: Buffer }

/**
 * One append-only log: named pieces and a head, changed together or not at all. It knows nothing of what they hold. Names are up
 * to 120 letters, digits and `/ _ -`.
 */
export interface LogStore {
  head(): Promise<string | undefined>
  /**
   * All pieces and the head, if the head is still `expected` (`undefined`: there is none yet); `false`: it is not, and nothing was
   * written. What one append may weigh is bounded (`LOG_APPEND_BYTES_MAX`).
   */
  append(expected: string | undefined, head: string, pieces: readonly LogPiece[]): Promise<boolean>
  /** In the order asked, all of one moment. */
  read(names: readonly string[]): Promise<readonly (Buffer | undefined)[]>
  remove(names: readonly string[]): Promise<void>
}

/** Lists for people: asynchronous, never needed for a kill. */
export interface IndexStore {
  /** A member's expiry never moves backwards. */
  add(index: string, member: string, expiresAtMs: number): Promise<void>
  /** Unexpired members, latest expiry first; of a list of thousands, among those that came last. */
  list(index: string, nowMs: number, limit: number): Promise<readonly string[]>
  /** How many unexpired entries it has, `limit` at most; one that was added again with another expiry may count twice. */
  count(index: string, nowMs: number, limit: number): Promise<number>
}

/** A small text that all brokers of a store share, such as the announcements of signing keys: replaced by compare-and-set. */
export interface DocumentStore {
  read(name: string): Promise<string | undefined>
  /** `false`: it is no longer `expected` (`undefined`: absent), and nothing was changed. */
  replace(name: string, expected: string | undefined, text: string): Promise<boolean>
}

export interface Store {
  readonly calls: CallStore
  readonly windows: WindowStore
  readonly documents: DocumentStore
  readonly sessions: SessionStore
  readonly claims: ClaimStore
  readonly control: ControlStore
  readonly audit: AuditStore
  readonly log: LogStore
  readonly indexes: IndexStore
  /** A real round trip; answers the store's clock. Throws `StoreUnavailable`. */
  ping(): Promise<{ readonly nowMs: number }>
  /** Whether it would take a write, as far as is known without asking it now: at most a second old. */
  readonly takesWrites: boolean
  close(): Promise<void>
}
