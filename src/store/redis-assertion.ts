/**
 * The control slot after a failover, a restart or a flush: what brokers have heard of and the server does not have is written to it
 * again, as it was, by its own number; and what others have written there meanwhile under numbers that this broker has passed
 * is given new ones, because tokens minted here in between would outlive it.
 */
import type { ControlEntry } from '../authority/cutoffs.ts'
import { newNonce } from '../kernel/ids.ts'
import { CONTROL_ENTRIES_MAX } from './bounds.ts'
import { assertedText, slotExpiryMs, slotOf } from './control-text.ts'
import type { KnownEntries } from './ports.ts'
import { EVENTS_MAX, writeControl } from './redis-control-write.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'
import { readSnapshot } from './redis-readings.ts'

/** One script stays short. */
const SLOTS_PER_SCRIPT = 300
const ATTEMPTS_MAX = 20

/**
 * Whether the last write that was heard of is there. `lost`: it is not, so any may be missing. `unknown`: so many have followed
 * that nobody can tell.
 */
export async function controlSince(
  seq: number,
  link: RedisLink,
  keys: RedisKeys,
): Promise<'whole' | 'lost' | 'unknown'> {
  if (seq === 0) return 'whole'
  const events = keys.control('events')
  const [found, later, length] = await Promise.all([
    link.command(['XRANGE', events, `${seq}-0`, `${seq}-0`]),
    link.command(['XRANGE', events, '-', '+', 'COUNT', 1]),
    link.command(['XLEN', events]),
  ])
  if ((found as unknown[]).length === 1) return 'whole'
  const [first] = later as [string][]
  const isTrimmed = Number(length) >= EVENTS_MAX && Number(first?.[0].split('-')[0]) > seq
  return isTrimmed ? 'unknown' : 'lost'
}

export async function assertAgain(known: KnownEntries, link: RedisLink, keys: RedisKeys): Promise<void> {
  const strange = await strangersTo(known, link, keys)
  for (let at = 0; at < known.entries.length; at += SLOTS_PER_SCRIPT) {
    await assertSome(known.entries.slice(at, at + SLOTS_PER_SCRIPT), known.seq, link, keys)
  }
  // Also where nothing is: no later write has a number that was given before.
  for (let at = 0; at === 0 || at < strange.length; at += CONTROL_ENTRIES_MAX) {
    await writeControl(strange.slice(at, at + CONTROL_ENTRIES_MAX), known.seq + 1, { link, keys })
  }
}

/** Cut-offs in force on the server that this broker never heard of, under numbers it has passed. */
async function strangersTo({ seq, entries }: KnownEntries, link: RedisLink, keys: RedisKeys) {
  const numbers = new Map(entries.map((entry) => [slotOf(entry), entry.seq]))
  const snapshot = await readSnapshot(link, keys)
  return snapshot.entries.filter((entry) => {
    const isPassed = entry.seq <= seq && (numbers.get(slotOf(entry)) ?? 0) < entry.seq
    return isPassed && (entry.entry === 'cutoff' || entry.entry === 'block')
  })
}

async function assertSome(entries: readonly ControlEntry[], floor: number, link: RedisLink, keys: RedisKeys) {
  const parts = ['seq', 'entries', 'expiries', 'events', 'history'] as const
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const slots = [...new Set(entries.map((entry) => slotOf(entry)))]
    const stored = (await link.command(['HMGET', keys.control('entries'), ...slots])) as (string | null)[]
    const wanted = new Map(slots.map((slot, n) => [slot, stored[n] ?? undefined]))
    for (const entry of entries) wanted.set(slotOf(entry), assertedText(wanted.get(slotOf(entry)), entry))
    const changes = slots.flatMap((slot, n) => {
      const text = wanted.get(slot) ?? ''
      const before = stored[n] ?? ''
      return text === before ? [] : [slot, before, text, slotExpiryMs(text) ?? '-']
    })
    if (changes.length === 0) return
    const of = parts.map((part) => keys.control(part))
    if ((await link.durably('errandControlAssert', of, [floor + 1, EVENTS_MAX, newNonce(), ...changes])) === 1) return
  }
  throw new Error('others write to the control slot all the time')
}
