/**
 * The control slot of an embedded store: sequence, cut-offs and blocks on disk, followers in this process.
 *
 * A write is delivered to every follower after it is on disk and before its own promise resolves, in sequence order. A
 * follower that throws gets a new snapshot at the next tick and is not `confirmed` until it has taken one: its staleness
 * stops the broker, which is what a broker must do that cannot apply a revocation.
 */
import type { ControlEntry } from '../authority/cutoffs.ts'
import { newNonce } from '../kernel/ids.ts'
import { checkedInteger } from './bounds.ts'
import { checkWrites, entryText, liveEntries, mergedText, parseEntry, slotExpiryMs, slotOf } from './control-text.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { parseExpiring } from './embedded-keys.ts'
import type { ControlListener, ControlSnapshot, ControlStore, ControlWrite, ControlWritten } from './ports.ts'
import { segment } from './segment.ts'

const CONFIRM_INTERVAL_MS = 250
const ENTRIES = 'control:entry:'
/** LMDB's expiry index wants a time; this one never comes. */
const NEVER_MS = 9_000_000_000_000_000

interface Follower {
  readonly listener: ControlListener
  /** Highest sequence number delivered; `undefined`: needs a snapshot. */
  seq: number | undefined
}

export class EmbeddedControl implements ControlStore {
  readonly #database: EmbeddedDatabase
  readonly #epoch: string
  readonly #followers = new Set<Follower>()
  readonly #timer: NodeJS.Timeout

  private constructor(database: EmbeddedDatabase, epoch: string) {
    this.#database = database
    this.#epoch = epoch
    this.#timer = setInterval(() => this.#confirm(), CONFIRM_INTERVAL_MS)
    this.#timer.unref()
  }

  /** The epoch is the database file's own id: one file, one continuous history. */
  static async open(database: EmbeddedDatabase): Promise<EmbeddedControl> {
    const epoch = await database.write(() => {
      const known = database.get('control:epoch')
      if (known !== undefined) return known
      const fresh = newNonce()
      database.put('control:epoch', fresh)
      return fresh
    })
    return new EmbeddedControl(database, epoch)
  }

  async write(writes: readonly ControlWrite[], floor: number): Promise<ControlWritten> {
    checkWrites(writes, floor)
    const performed = await this.#database.write(
      () => this.#perform(writes, floor),
      ({ written, entries }) => this.#deliver(written.seq, entries),
    )
    return performed.written
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

  #perform(writes: readonly ControlWrite[], floor: number): { written: ControlWritten; entries: ControlEntry[] } {
    const database = this.#database
    const atMs = database.clock.nowMs()
    const seq = checkedInteger(Math.max(this.#lastSeq() + 1, floor, atMs), 'the next sequence number')
    const entries: ControlEntry[] = []
    database.put('control:seq', String(seq))
    for (const write of writes) {
      const slot = slotOf(write)
      const text = entryText(write, seq, atMs)
      const key = ENTRIES + segment(slot)
      const stored = database.getExpiring(key)
      const merged = mergedText(stored === undefined ? undefined : parseSlot(stored.text).text, text, atMs)
      database.putExpiring(key, slotExpiryMs(merged) ?? NEVER_MS, JSON.stringify([slot, merged]))
      entries.push(parseEntry(slot, text))
    }
    return { written: { seq, atMs }, entries }
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

  #deliver(seq: number, entries: readonly ControlEntry[]): void {
    for (const follower of this.#followers) {
      // Already part of the snapshot, which was read while this write was settling.
      if (follower.seq === undefined || seq <= follower.seq) continue
      try {
        follower.listener.written(seq, entries)
        follower.seq = seq
      } catch {
        follower.seq = undefined
      }
    }
  }

  /** A real read: a database that no longer answers confirms nothing. */
  #confirm(): void {
    for (const follower of this.#followers) {
      try {
        if (follower.seq === undefined) this.#begin(follower)
        const seq = this.#database.read(() => this.#lastSeq())
        // Something is on disk that has not been delivered yet; its own delivery is on the way.
        if (follower.seq === seq) follower.listener.confirmed(seq, this.#database.clock.nowMs())
      } catch {
        follower.seq = undefined
      }
    }
  }
}

function parseSlot(text: string): { readonly slot: string; readonly text: string } {
  const [slot = '', line = ''] = JSON.parse(text) as string[]
  return { slot, text: line }
}
