/** Consistent readings of the control slot: each is one script, so that its sequence number, time and content belong together. */
import type { ControlEntry } from '../authority/cutoffs.ts'
import { liveEntries, parseEntry } from './control-text.ts'
import type { ControlSnapshot } from './ports.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'

/** Events of one reading: a follower far behind catches up in several. */
const EVENTS_PER_READING_MAX = 500

export interface ControlEvent {
  readonly seq: number
  /** Sequence number of the write before it: how a follower knows that none is missing between two events. */
  readonly previous: number
  readonly entries: readonly ControlEntry[]
}

export interface ControlReading {
  readonly epoch: string
  readonly seq: number
  readonly atMs: number
  readonly events: readonly ControlEvent[]
}

export async function readSnapshot(connection: RedisLink, keys: RedisKeys): Promise<ControlSnapshot> {
  const of = [keys.control('seq'), keys.control('entries'), keys.control('history')]
  const answer = await connection.script('errandControlSnapshot', of, [])
  const [epoch, seq, at, flat] = answer as [string, string, string, string[]]
  const atMs = Number(at)
  return { epoch, seq: Number(seq), atMs, entries: parseEntries(flat, (slot, text) => liveEntries(slot, text, atMs)) }
}

/** The writes after `seq`, in order. */
export async function readSince(connection: RedisLink, keys: RedisKeys, seq: number): Promise<ControlReading> {
  const of = [keys.control('seq'), keys.control('events'), keys.control('history')]
  const answer = await connection.script('errandControlRead', of, [seq, EVENTS_PER_READING_MAX])
  const [epoch, last, at, events] = answer as [string, string, string, [string, string[]][]]
  return {
    epoch,
    seq: Number(last),
    atMs: Number(at),
    events: events.map(([id, [, previous = '', ...entries]]) => ({
      seq: Number(id.split('-')[0]),
      previous: Number(previous),
      entries: parseEntries(entries, (slot, text) => [parseEntry(slot, text)]),
    })),
  }
}

/** Returns when something was written after `seq`, or after `blockMs`. */
export async function awaitWrite(connection: RedisLink, keys: RedisKeys, seq: number, blockMs: number): Promise<void> {
  const from = ['STREAMS', keys.control('events'), `${seq}-0`] as const
  await connection.command(['XREAD', 'COUNT', 1, 'BLOCK', blockMs, ...from], blockMs)
}

/** `flat`: slot, text, slot, text. What has expired the server forgets only when it next writes. */
function parseEntries(
  flat: readonly string[],
  entriesOf: (slot: string, text: string) => readonly ControlEntry[],
): readonly ControlEntry[] {
  const entries: ControlEntry[] = []
  for (let index = 0; index + 1 < flat.length; index += 2) {
    entries.push(...entriesOf(flat[index] ?? '', flat[index + 1] ?? ''))
  }
  return entries
}
