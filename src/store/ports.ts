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

export class StoreUnavailable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'StoreUnavailable'
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
  /** Position in its list, increasing. */
  readonly position: string
  readonly record: string
}

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
  /** It has come to its bound: older records may have been forgotten. */
  readonly isFull: boolean
}

/** Audit records that no session's commit carries, and the reading side of all of them. */
export interface AuditStore {
  /**
   * `key` picks the shard (a session id where there is one, else the record's own id). What the record names by digest is kept
   * in the same write.
   */
  append(key: string, record: string, contents?: readonly Content[]): Promise<void>
  /** A record of strangers' refusals: in a list of their own, so that they can push out nothing but each other. */
  appendStrangers(record: string): Promise<void>
  /** Newest first, over all shards and both kinds. `limit` records at most. */
  latest(limit: number): Promise<readonly OutboxEntry[]>
  /** Records of known callers only, newest first, from behind one that an earlier page ended with. */
  page(limit: number, after?: string): Promise<readonly OutboxEntry[]>
  /** Every record of this id, oldest first; without reading through the others. */
  find(id: string): Promise<readonly string[]>
  /** What a commit of this session, or a record appended under this key, has stored under this digest. */
  content(digest: string, key: string): Promise<string | undefined>
  /** Of the fullest outbox; strangers' records are not counted. Beyond the limit the oldest records are forgotten. */
  usage(): Promise<OutboxUsage>
  /** Of each outbox. */
  extents(): Promise<readonly OutboxExtent[]>
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

/** A call of a tool: what was kept of it before it may run, and, once that is known, how it ended. */
export interface KeptCall {
  readonly text: string
  /** `undefined`: nobody knows yet. */
  readonly ended: string | undefined
}

/** How a call ended: written over what was there, if it is still that. */
export interface CallEnd {
  /** What is there now; `undefined`: nothing. */
  readonly over: string | undefined
  readonly ended: string
  /** Until when it is kept that there was such a call. */
  readonly expiresAtMs: number
  /** Serialised audit record, appended in the same write; `undefined`: none. */
  readonly audit: string | undefined
}

/** Calls of tools, from before they may run until it is known how they ended, and a while longer. */
export interface CallStore {
  /** The first text of a key stays: what is there now. It does not expire before it has ended, and is due from then on. */
  begin(key: string, text: string, dueAtMs: number): Promise<KeptCall>
  read(key: string): Promise<KeptCall | undefined>
  /** What is there now, and whether this wrote it; `undefined`: no such call. An end of any kind makes it no longer due. */
  end(key: string, end: CallEnd): Promise<(KeptCall & { readonly written: boolean }) | undefined>
  /** Keys of calls whose time was up at that moment and that have not ended; of each part of the store, so many at most. */
  due(nowMs: number, limit: number): Promise<readonly string[]>
}

export interface WindowLimit {
  readonly name: string
  /** Places, at least one. */
  readonly limit: number
}

/** How often something happens within any stretch of time, counted for all brokers of a store. */
export interface WindowStore {
  /**
   * A place in each of the owner's windows named, or in none: `undefined` when taken; else the first that is full, and in how
   * many milliseconds it has a place again. A place is held for `lengthMs` by the store's clock; whoever asks again with the
   * same id has it already.
   */
  take(
    owner: string,
    id: string,
    windows: readonly WindowLimit[],
    lengthMs: number,
  ): Promise<{ readonly full: string; readonly waitMs: number } | undefined>
  /** How many places of each are taken. */
  count(owner: string, names: readonly string[], lengthMs: number): Promise<readonly number[]>
  /** What the place was taken for has not happened. */
  release(owner: string, id: string, names: readonly string[]): Promise<void>
}

export interface Store {
  readonly calls: CallStore
  readonly windows: WindowStore
  readonly documents: DocumentStore
  readonly sessions: SessionStore
  readonly claims: ClaimStore
  readonly control: ControlStore
  readonly audit: AuditStore
  readonly indexes: IndexStore
  /** A real round trip; answers the store's clock. Throws `StoreUnavailable`. */
  ping(): Promise<{ readonly nowMs: number }>
  /** Whether it would take a write, as far as is known without asking it now: at most a second old. */
  readonly takesWrites: boolean
  close(): Promise<void>
}
