/**
 * The control slot of an embedded store: sequence, cut-offs and blocks on disk, followers in each process that has it open.
 *
 * - A write is delivered to every follower of this process after it is on disk and before its own promise resolves; to those of
 *   other processes when they are notified, else at their next look. Each write leaves an event that names the one before it,
 *   and followers read events: so they hear every write once, in order, whichever process made it. One that finds a gap takes
 *   a snapshot.
 * - A follower that throws gets a new snapshot at the next look and is not `confirmed` until it has taken one: its staleness
 *   stops the broker, which is what a broker must do that cannot apply a revocation.
 */
import type { ControlEntry } from '../authority/cutoffs.ts'
import { newNonce } from '../kernel/ids.ts'
import { checkedInteger } from './bounds.ts'
import {
  checkWrites,
  entryText,
  liveEntries,
  mergedText,
  POLICY_SLOT,
  parseEntry,
  slotExpiryMs,
  slotOf,
  versionIn,
} from './control-text.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { NEVER_MS, ordered, parseExpiring } from './embedded-keys.ts'
import type { ControlListener, ControlSnapshot, ControlStore, ControlWrite, ControlWritten } from './ports.ts'
import { segment } from './segment.ts'

const CONFIRM_INTERVAL_MS = 250
/** Where other processes write, too: a notification that was lost costs no more than this. */
const PEER_INTERVAL_MS = 25
const ENTRIES = 'control:entry:'
const EVENTS = 'control:event:'
/** A follower that is further behind is stale long since, and takes a snapshot. */
const EVENT_KEEP_MS = 60_000

/** The other processes that have this store open. */
export interface ControlPeers {
  /** Tells them that something was written. May be lost: they look by themselves. */
  notify(): void
  /** @param heard called when one of them has written. */
  onNotified(heard: () => void): void
}

interface Follower {
  readonly listener: ControlListener
  /** Highest sequence number delivered; `undefined`: needs a snapshot. */
  seq: number | undefined
}

interface Event {
  readonly seq: number
  /** Sequence number of the write before it. */
  readonly previous: number
  readonly entries: readonly ControlEntry[]
}

export class EmbeddedControl implements ControlStore {
  readonly #database: EmbeddedDatabase
  readonly #epoch: string
  readonly #peers: ControlPeers | undefined
  readonly #followers = new Set<Follower>()
  readonly #timer: NodeJS.Timeout

  private constructor(database: EmbeddedDatabase, epoch: string, peers: ControlPeers | undefined) {
    this.#database = database
    this.#epoch = epoch
    this.#peers = peers
    this.#timer = setInterval(() => this.#look(), peers === undefined ? CONFIRM_INTERVAL_MS : PEER_INTERVAL_MS)
    this.#timer.unref()
    peers?.onNotified(() => this.#look())
  }

  /** The epoch is the database file's own id: one file, one continuous history. */
  static async open(database: EmbeddedDatabase, peers?: ControlPeers): Promise<EmbeddedControl> {
    const epoch = await database.write(() => {
      const known = database.get('control:epoch')
      if (known !== undefined) return known
      const fresh = newNonce()
      database.put('control:epoch', fresh)
      return fresh
    })
    return new EmbeddedControl(database, epoch, peers)
  }

  async write(writes: readonly ControlWrite[], floor: number): Promise<ControlWritten> {
    checkWrites(writes, floor)
    return this.#transact(() => this.#perform(writes, floor))
  }

  async writeAfter(
    version: string | undefined,
    writes: readonly ControlWrite[],
    floor: number,
  ): Promise<ControlWritten | undefined> {
    checkWrites(writes, floor)
    return this.#transact(() => {
      const stored = this.#database.getExpiring(ENTRIES + segment(POLICY_SLOT))
      const published = versionIn(stored === undefined ? undefined : parseSlot(stored.text).text)
      return published === version ? this.#perform(writes, floor) : undefined
    })
  }

  #transact<T>(write: () => T): Promise<T> {
    return this.#database.write(write, () => {
      this.#peers?.notify()
      this.#look()
    })
  }

  async snapshot(): Promise<ControlSnapshot> {
    return this.#database.read(() => this.#read())
  }

  async follow(listener: ControlListener): Promise<{ stop(): Promise<void> }> {
    const follower: Follower = { listener, seq: undefined }
    const { seq } = this.#begin(follower)
    listener.confirmed(seq, this.#database.clock.nowMs())
    this.#followers.add(follower)
    return {
      stop: async () => {
        this.#followers.delete(follower)
      },
    }
  }

  close(): void {
    clearInterval(this.#timer)
    this.#followers.clear()
  }

  #perform(writes: readonly ControlWrite[], floor: number): ControlWritten {
    const database = this.#database
    const atMs = database.clock.nowMs()
    const last = this.#lastSeq()
    const seq = checkedInteger(Math.max(last + 1, floor, atMs), 'the next sequence number')
    const event: [string, string][] = []
    database.put('control:seq', String(seq))
    for (const write of writes) {
      const slot = slotOf(write)
      const text = entryText(write, seq, atMs)
      const key = ENTRIES + segment(slot)
      const stored = database.getExpiring(key)
      const merged = mergedText(stored === undefined ? undefined : parseSlot(stored.text).text, text, atMs)
      database.putExpiring(key, slotExpiryMs(merged) ?? NEVER_MS, JSON.stringify([slot, merged]))
      event.push([slot, text])
    }
    database.putExpiring(EVENTS + ordered(seq), atMs + EVENT_KEEP_MS, JSON.stringify([last, event]))
    return { seq, atMs }
  }

  #read(): ControlSnapshot {
    const atMs = this.#database.clock.nowMs()
    const entries: ControlEntry[] = []
    for (const { value } of this.#database.range(ENTRIES)) {
      const stored = parseExpiring(value)
      if (stored.expiresAtMs <= atMs) continue
      const { slot, text } = parseSlot(stored.text)
      entries.push(...liveEntries(slot, text, atMs))
    }
    return { epoch: this.#epoch, seq: this.#lastSeq(), atMs, entries }
  }

  #lastSeq(): number {
    return Number(this.#database.get('control:seq') ?? 0)
  }

  #begin(follower: Follower): ControlSnapshot {
    const snapshot = this.#database.read(() => this.#read())
    follower.listener.snapshot(snapshot)
    follower.seq = snapshot.seq
    return snapshot
  }

  /** A real read: a database that no longer answers confirms nothing. */
  #look(): void {
    for (const follower of this.#followers) {
      try {
        if (follower.seq === undefined) this.#begin(follower)
        this.#readOn(follower, follower.seq ?? 0)
      } catch {
        follower.seq = undefined
      }
    }
  }

  #readOn(follower: Follower, from: number): void {
    const { seq, atMs, events } = this.#database.read(() => this.#since(from))
    let at = from
    for (const event of events) {
      if (event.previous !== at) throw new Error('events are missing')
      follower.listener.written(event.seq, event.entries)
      at = event.seq
      follower.seq = at
    }
    if (at !== seq) throw new Error('events are missing')
    follower.listener.confirmed(seq, atMs)
  }

  #since(from: number): { readonly seq: number; readonly atMs: number; readonly events: readonly Event[] } {
    const atMs = this.#database.clock.nowMs()
    const seq = this.#lastSeq()
    if (seq === from) return { seq, atMs, events: [] }
    const events: Event[] = []
    for (const { key, value } of this.#database.range(EVENTS, { from: EVENTS + ordered(from + 1) })) {
      const [previous, entries] = JSON.parse(parseExpiring(value).text) as [number, [string, string][]]
      const at = Number(key.slice(EVENTS.length))
      events.push({ seq: at, previous, entries: entries.map(([slot, text]) => parseEntry(slot, text)) })
    }
    return { seq, atMs, events }
  }
}

function parseSlot(text: string): { readonly slot: string; readonly text: string } {
  const [slot = '', line = ''] = JSON.parse(text) as string[]
  return { slot, text: line }
}
