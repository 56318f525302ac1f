/**
 * One follower of the control slot, on a connection of its own.
 *
 * Guarantees: a snapshot, then every write in order without a gap; each event names the one before it, so that a trimmed
 * stream is noticed. Anything unexpected, a gap, another epoch, a lost connection, a listener that throws, leads to a
 * new snapshot, and nothing is `confirmed` until it has been taken: a follower that cannot follow looks stale, never current.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type ControlListener, type ControlSnapshot, StoreUnavailable } from './ports.ts'
import { controlSince } from './redis-assertion.ts'
import type { RedisGate } from './redis-gate.ts'
import type { RedisKeys } from './redis-keys.ts'
import { CONTROL, type RedisLink } from './redis-link.ts'
import { awaitWrite, type ControlReading, readSince, readSnapshot } from './redis-readings.ts'

/** Two confirmations are at most this and a round trip apart; `ports.ts` promises 500 ms. */
const BLOCK_MS = 200
const RETRY_MS = 50
/** The store itself is open already: its server is there, or it is an outage and the caller should know soon. */
const OPEN_WAIT_MS = 1_500

interface Position {
  readonly epoch: string
  readonly seq: number
}

export class RedisFollower {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys
  readonly #gate: RedisGate
  readonly #listener: ControlListener
  /** The last that was delivered. */
  #last: Position | undefined
  /** Looked at since then: whatever it was has been made good. */
  #doubted = false
  /** `undefined`: needs a snapshot. */
  #position: Position | undefined
  #stopped = false
  #running: Promise<void> = Promise.resolve()

  constructor(connection: RedisLink, keys: RedisKeys, gate: RedisGate, listener: ControlListener) {
    this.#connection = connection
    this.#keys = keys
    this.#gate = gate
    this.#listener = listener
  }

  /** The first snapshot has been delivered when this resolves, confirmed or not; from then on it repairs itself. */
  async start(): Promise<void> {
    try {
      await this.#connection.open(OPEN_WAIT_MS)
      await this.#takeSnapshot()
    } catch (error) {
      this.#connection.close()
      throw error
    }
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#connection.close()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        if (this.#position === undefined) await this.#takeSnapshot()
        else await this.#readOn(this.#position)
      } catch {
        this.#position = undefined
        if (!this.#stopped) await sleep(RETRY_MS)
      }
    }
  }

  async #takeSnapshot(): Promise<void> {
    const snapshot = await readSnapshot(this.#connection, this.#keys)
    if (this.#stopped) return
    await this.#assertVetted(snapshot)
    this.#listener.snapshot(snapshot)
    this.#position = { epoch: snapshot.epoch, seq: snapshot.seq }
    this.#last = this.#position
    this.#doubted = false
    await this.#confirm(snapshot)
  }

  /**
   * Another history, or one that does not have what was delivered last, is looked at before anything of it is delivered: after
   * that nobody could tell any more what was heard of before.
   */
  async #assertVetted({ epoch }: ControlSnapshot): Promise<void> {
    const last = this.#last
    const isOther =
      last !== undefined &&
      (epoch !== last.epoch || (await controlSince(last.seq, this.#connection, this.#keys)) === 'lost')
    if (isOther && !this.#doubted) {
      this.#doubted = true
      this.#gate.doubt()
      throw new StoreUnavailable('the control slot is not as it was left: it is looked at first')
    }
    const vetted = this.#gate.epochOf(CONTROL)
    if (vetted !== undefined && epoch.startsWith(vetted)) return
    this.#gate.onDoubt()
    throw new StoreUnavailable('the control slot has not been looked at yet')
  }

  /** The blocking read only wakes us up: what counts is read by a script, together with the time it is true at. */
  async #readOn(position: Position): Promise<void> {
    await awaitWrite(this.#connection, this.#keys, position.seq, BLOCK_MS)
    const reading = await readSince(this.#connection, this.#keys, position.seq)
    if (this.#stopped) return
    if (reading.epoch !== position.epoch) throw new StoreUnavailable('this is another server than before')
    if (this.#deliver(position, reading)) await this.#confirm(reading)
  }

  /**
   * A primary that is cut off from its replicas may have been replaced, and revocations are written to the other: what it says is
   * delivered, and confirmed by nobody.
   */
  async #confirm({ seq, atMs }: { readonly seq: number; readonly atMs: number }): Promise<void> {
    try {
      await this.#connection.standing(this.#keys.control('seq'))
    } catch {
      // A primary begins another history when its first replica comes back: one of the two connections may not know yet.
      // Links that are asked all the time are looked at by the store's heartbeat; nobody but this does it for a follower's own.
      return this.#connection.look()
    }
    if (!this.#stopped) this.#listener.confirmed(seq, atMs)
  }

  /** Whether that is all there is. */
  #deliver(position: Position, reading: ControlReading): boolean {
    let { seq } = position
    for (const event of reading.events) {
      if (event.previous !== seq) throw gap()
      this.#listener.written(event.seq, event.entries)
      seq = event.seq
      this.#position = { epoch: position.epoch, seq }
      this.#last = this.#position
    }
    if (seq === reading.seq) return true
    // More than one reading holds: the next begins at once. Nothing more, and yet behind: events were trimmed or lost.
    if (reading.events.length === 0) throw gap()
    return false
  }
}

/** Caught by the loop, which starts again from a snapshot. */
function gap(): StoreUnavailable {
  return new StoreUnavailable('events are missing from the stream')
}
