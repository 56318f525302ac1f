/**
 * The trail over the log and what is not in it yet. A page token is an index of the log, so that nothing that is written,
 * sequenced or pruned later moves what it stands for: behind a page that shows all of what was not sequenced comes the log as it
 * was then; where that is more than a page, it is waited for until it is in the log.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ticks } from '../../kernel/clock.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { TRAIL_LOOKED_AT_MAX, TRAIL_WAIT_MS } from '../../kernel/store-limits.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import type { AuditStore, LogStore } from '../../store/ports.ts'
import { type LogHead, parseHead } from '../log/head.ts'
import { bundleOf } from '../log/layout.ts'
import type {
  AuditTrail,
  ContentOwner,
  LogSlice,
  TrailEntry,
  TrailExtent,
  TrailFilter,
  TrailGap,
  TrailPage,
} from './audit-trail.ts'
import { LogBodies, type LoggedEntry, type Unreadable } from './log-bodies.ts'
import { LogSearch, type Searched } from './log-search.ts'
import { matches, spelledOut } from './matching.ts'
import { isReached, readTail, type Tail } from './outbox-tail.ts'

const LOOK_AGAIN_MS = 25

export interface TrailParts {
  readonly audit: Pick<AuditStore, 'pending' | 'latest' | 'find' | 'content'>
  readonly log: Pick<LogStore, 'head' | 'read'>
  readonly ticks: Ticks
  /** Has sequenced what there was, where it is this broker's turn. */
  readonly sequence: () => Promise<void>
}

/** A record of this id has few others of it: how it ended, and what was learnt later. */
const SAME_ID_MAX = 64

export class LogTrail implements AuditTrail {
  readonly #parts: TrailParts
  readonly #bodies: LogBodies
  readonly #search: LogSearch
  /** Where what was answered is: whoever has a record asks for what it names. */
  readonly #places = new WeakMap<object, number>()

  constructor(parts: TrailParts) {
    this.#parts = parts
    this.#bodies = new LogBodies(parts.log)
    this.#search = new LogSearch(parts.log, this.#bodies)
  }

  async page(asked: TrailFilter, limit: number, after?: string): Promise<TrailPage> {
    const filter = spelledOut(asked)
    if (after === undefined) return this.#newest(filter, limit)
    const before = indexOf(after)
    const { size } = await this.#head()
    return this.#logged(filter, { before: Math.min(before, size), size, limit }, NOTHING)
  }

  async find(id: string): Promise<readonly TrailEntry[]> {
    const outside = await this.#parts.audit.find(id)
    const { size } = await this.#head()
    const logged = await this.#all({ id }, size, 0)
    const texts = new Set(logged.map(({ text }) => text))
    return [
      ...logged.toReversed(),
      ...outside.filter((text) => !texts.has(text)).map((text) => entryOf(unsequenced(text))),
    ]
  }

  async content(digest: string, of: ContentOwner): Promise<string | undefined> {
    for (const key of [of.session, of.id]) {
      const text = key === undefined ? undefined : await this.#parts.audit.content(digest, key)
      if (text !== undefined) return text
    }
    const { size } = await this.#head()
    const place = this.#places.get(of)
    if (place !== undefined) return this.#bodies.content(digest, bundleOf(place), size)
    const owner = of.id === undefined ? { session: of.session } : { id: of.id }
    for await (const bundle of this.#search.bundles(owner, size)) {
      const text = await this.#bodies.content(digest, bundle, size)
      if (text !== undefined) return text
    }
    return undefined
  }

  async extent(): Promise<TrailExtent> {
    const head = await this.#head()
    const { entries } = await readTail(this.#parts.audit, head.cursors)
    const pruned = await this.#search.firstKept(head.size)
    const [body] = pruned < head.size ? await this.#bodies.at([pruned]) : []
    const oldest = typeof body === 'object' ? body.record : entries.at(-1)?.record
    return { size: head.size, pruned, waiting: entries.length, oldest }
  }

  async from(index: number, limit: number): Promise<LogSlice> {
    const { size } = await this.#head()
    const next = Math.min(size, index + limit)
    const indexes = Array.from({ length: Math.max(0, next - index) }, (_, n) => index + n)
    const bodies = await this.#bodies.at(indexes)
    const entries = bodies.filter((body) => typeof body !== 'string')
    return { entries, next, gaps: gapsIn(bodies, index) }
  }

  /** Shows all that is not in the log yet, or waits until it is. */
  async #newest(filter: TrailFilter, limit: number): Promise<TrailPage> {
    const { ticks } = this.#parts
    const untilMs = ticks.ticksMs() + TRAIL_WAIT_MS
    let ends: Tail['ends'] | undefined
    for (;;) {
      const head = await this.#head()
      const tail = await readTail(this.#parts.audit, head.cursors)
      const log = { before: head.size, size: head.size, limit }
      if (ends !== undefined && isReached(ends, head.cursors)) return this.#logged(filter, log, NOTHING)
      const matching = tail.entries.filter(({ record }) => matches(record, filter))
      if (!tail.isCut && matching.length <= limit) {
        const entries = await this.#unlogged(matching, head)
        return this.#logged(filter, log, { entries, gaps: [], lookedAt: tail.entries.length })
      }
      if (ticks.ticksMs() >= untilMs) return this.#behind(filter, log, head)
      if (!tail.isCut) ends ??= tail.ends
      await Promise.race([this.#parts.sequence(), sleep(TRAIL_WAIT_MS)])
      await sleep(LOOK_AGAIN_MS)
    }
  }

  /** The log does not get on: the newest of what waits, and then the log. */
  async #behind(filter: TrailFilter, log: Searched, head: LogHead): Promise<TrailPage> {
    const newest = await this.#parts.audit.latest(TRAIL_LOOKED_AT_MAX)
    const matching = newest.map(({ record: text }) => unsequenced(text)).filter(({ record }) => matches(record, filter))
    const entries = await this.#unlogged(matching.slice(0, log.limit), head)
    return this.#logged(filter, log, { entries, gaps: [{ why: 'not_sequenced' }], lookedAt: newest.length })
  }

  /** Behind what was found elsewhere. */
  async #logged(filter: TrailFilter, log: Searched, above: Above): Promise<TrailPage> {
    const limit = log.limit - above.entries.length
    if (limit <= 0) return { ...above, after: String(log.before) }
    const { entries, from, gaps, lookedAt } = await this.#search.find(filter, { ...log, limit })
    for (const { record, index } of entries) this.#places.set(record, index)
    return {
      entries: [...above.entries, ...entries],
      gaps: [...above.gaps, ...gaps],
      lookedAt: above.lookedAt + lookedAt,
      ...(from === undefined || from === 0 ? {} : { after: String(from) }),
    }
  }

  /** Those that are not in the log: what is in an outbox still may be, from `floor` on. */
  async #unlogged(entries: readonly Unsequenced[], head: LogHead): Promise<readonly TrailEntry[]> {
    const doubted = entries.filter(({ isDoubted }) => isDoubted)
    if (doubted.length === 0) return entries.map(entryOf)
    const ids = [...new Set(doubted.map(({ record }) => record.id))]
    const logged = new Set((await this.#all({ id: ids }, head.size, head.floor)).map(({ text }) => text))
    return entries.filter(({ isDoubted, text }) => !(isDoubted && logged.has(text))).map(entryOf)
  }

  /** Newest first, from the end down to an index. */
  async #all(filter: TrailFilter, size: number, floor: number): Promise<readonly LoggedEntry[]> {
    const all: LoggedEntry[] = []
    for (let before: number | undefined = size; before !== undefined && before > floor; ) {
      const { entries, from } = await this.#search.find(filter, { before, size, limit: SAME_ID_MAX })
      all.push(...entries)
      before = from
    }
    for (const { record, index } of all) this.#places.set(record, index)
    return all
  }

  async #head(): Promise<LogHead> {
    return parseHead(await this.#parts.log.head())
  }
}

type Above = Omit<TrailPage, 'after'>
type Unsequenced = Tail['entries'][number]

const NOTHING: Above = { entries: [], gaps: [], lookedAt: 0 }

/** Of a text in an outbox, which may be in the log by now. */
function unsequenced(text: string): Unsequenced {
  return { text, record: JSON.parse(text) as AuditRecord, isDoubted: true }
}

function entryOf({ text, record }: Unsequenced): TrailEntry {
  return { index: undefined, text, record }
}

/** @throws Rejection `parameter_malformed` */
function indexOf(token: string): number {
  if (/^[0-9]{1,15}$/.test(token)) return Number(token)
  throw new Rejection('parameter_malformed', 'after must be what an earlier page ended with')
}

/** In order, each without a record in between that can be read: whoever follows the log goes on behind its end. */
function gapsIn(bodies: readonly (LoggedEntry | Unreadable)[], index: number): readonly TrailGap[] {
  const gaps: { why: Unreadable; first: number; records: number }[] = []
  for (const [at, why] of bodies.entries()) {
    if (typeof why !== 'string') continue
    const last = gaps.at(-1)
    if (last?.why === why && last.first + last.records === index + at) last.records += 1
    else gaps.push({ why, first: index + at, records: 1 })
  }
  return gaps
}
