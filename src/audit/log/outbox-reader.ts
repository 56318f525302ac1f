/**
 * Reads the outboxes from where the log ends: all that came since, in the order of each outbox, those of different outboxes by
 * the time in their records.
 */
import { SEQUENCED_AT_ONCE_MAX, SEQUENCED_OF_OUTBOX_MAX } from '../../kernel/log-limits.ts'
import { inTurns, type Sliced } from '../../kernel/slices.ts'
import { originOf } from '../../store/outbox-position.ts'
import type { AuditStore, LogStore, OutboxEntry } from '../../store/ports.ts'
import type { KnownRecords } from '../../store/record-watcher.ts'
import type { LogHead } from './head.ts'
import type { Incoming } from './log-tail.ts'
import { firstPlaceOf, loggedPlaces } from './logged-places.ts'
import { parsedRecord } from './record-time.ts'

export type OutboxSource = Pick<AuditStore, 'outboxes' | 'pending' | 'trim' | 'contentsIn'>
type Cursors = ReadonlyMap<string, string>

/** What came, and from where the outboxes are read on. */
export interface Reading {
  readonly incoming: readonly Incoming[]
  /** Differ from the head's only where an outbox came back without its last records. */
  readonly cursors: Cursors
  /** To go on from afterwards, where not all that was read is new to the log. */
  readonly passed?: Cursors
  /** There is more than was read. */
  readonly isFull: boolean
}

export class OutboxReader {
  readonly #audit: OutboxSource
  readonly #log: Pick<LogStore, 'read'>
  readonly #known: KnownRecords
  #limit: number

  /** @param known what this process has written need not be read */
  constructor(audit: OutboxSource, log: Pick<LogStore, 'read'>, known: KnownRecords) {
    this.#audit = audit
    this.#log = log
    this.#known = known
    this.#limit = this.#leastLimit
  }

  async read(head: LogHead): Promise<Reading> {
    const limit = this.#limit
    const found = await this.#audit.pending(head.cursors, limit, this.#known)
    const doubted = [...found].filter(([, entries]) => entries.some(({ again }) => again === true))
    if (doubted.length > 0)
      return this.#readAgain(
        head,
        doubted.map(([outbox]) => outbox),
      )
    const isFull = [...found.values()].some(({ length }) => length >= limit)
    const incoming = inOrderOfTime(await inTurns(parsed(found)))
    this.#adapt(isFull, incoming.length)
    const cursors = head.cursors
    if (!incoming.some(isAgain)) return { incoming, cursors, isFull }
    return { incoming: await this.#withoutLogged(incoming, head), cursors, isFull, passed: behind(incoming, cursors) }
  }

  /**
   * A record was written again, and after that the log was given back what it had: it is in there already. Looked for among what
   * may still be in an outbox: who takes longer than outboxes keep what is in the log (`trimmer.ts`) from finding a record missing
   * to writing it again doubles it.
   */
  async #withoutLogged(incoming: readonly Incoming[], { floor, size }: LogHead): Promise<readonly Incoming[]> {
    const known = new Set(await loggedPlaces(this.#log, { from: floor, size }))
    return incoming.filter(({ outbox, position }) => {
      const place = firstPlaceOf(outbox, position)
      const isFirst = !known.has(place)
      known.add(place)
      return isFirst
    })
  }

  get #leastLimit(): number {
    const each = Math.ceil(SEQUENCED_AT_ONCE_MAX / Math.max(1, this.#audit.outboxes.length))
    return Math.min(each, SEQUENCED_OF_OUTBOX_MAX)
  }

  /** Where one outbox has most of the records, more is read of each. */
  #adapt(isFull: boolean, count: number): void {
    if (count > SEQUENCED_AT_ONCE_MAX || !isFull) this.#limit = this.#leastLimit
    else this.#limit = Math.min(2 * this.#limit, SEQUENCED_OF_OUTBOX_MAX)
  }

  /** Where each of these outboxes goes on behind the last record of it that is in the log. */
  async #readAgain(head: LogHead, doubted: readonly string[]): Promise<Reading> {
    const logged = await loggedPlaces(this.#log, { from: head.floor, size: head.size })
    const cursors = new Map(head.cursors)
    for (const outbox of doubted) cursors.delete(outbox)
    for (let open = doubted; open.length > 0; ) {
      const found = await this.#audit.pending(cursors, SEQUENCED_OF_OUTBOX_MAX)
      const further: string[] = []
      for (const outbox of open) {
        const entries = found.get(outbox) ?? []
        const fresh = entries.findIndex(({ position }) => !logged.has(firstPlaceOf(outbox, position)))
        const last = entries[(fresh < 0 ? entries.length : fresh) - 1]
        if (last !== undefined) cursors.set(outbox, last.position)
        if (fresh < 0 && entries.length > 0) further.push(outbox)
      }
      open = further
    }
    return { incoming: [], cursors, isFull: true }
  }
}

/** Of each outbox, what came of it. */
function* parsed(found: ReadonlyMap<string, readonly OutboxEntry[]>): Sliced<readonly (readonly Incoming[])[]> {
  const all: Incoming[][] = []
  for (const [outbox, entries] of found) {
    const incoming: Incoming[] = []
    all.push(incoming)
    for (const entry of entries) {
      incoming.push(incomingOf(outbox, entry))
      yield
    }
  }
  return all
}

const isAgain = ({ position }: Incoming): boolean => originOf(position) !== position

function behind(incoming: readonly Incoming[], cursors: Cursors): Cursors {
  const passed = new Map(cursors)
  // Of each outbox they come in its order.
  for (const { outbox, position } of incoming) passed.set(outbox, position)
  return passed
}

function incomingOf(outbox: string, { position, record: text }: OutboxEntry): Incoming {
  return { outbox, position, text, record: parsedRecord(text) }
}

/** Stable: within an outbox, a record whose time is earlier than that of the one before it stays behind it. */
function inOrderOfTime(outboxes: readonly (readonly Incoming[])[]): readonly Incoming[] {
  const timed = outboxes.flatMap((incoming) => {
    let latest = ''
    return incoming.map((one) => {
      if (one.record !== undefined && one.record.at > latest) latest = one.record.at
      return { one, at: latest }
    })
  })
  return timed.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)).map(({ one }) => one)
}
