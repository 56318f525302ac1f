/**
 * Control entries as both stores keep them: one slot per (dimension, id), one line of text in it, merged so that nothing
 * stricter is ever replaced. `redis-scripts.ts` merges the same way in Lua.
 *
 * A lift takes its block's slot and keeps the block's expiry: a follower that still holds the block learns of the lift from
 * a snapshot, for as long as the block could matter.
 */
import type { BlockKind, ControlEntry, Dimension } from '../authority/cutoffs.ts'
import { CONTROL_ENTRIES_MAX, checkedInteger } from './bounds.ts'
import type { ControlWrite } from './ports.ts'

/** `-`: until lifted, and evidence of no age passes. */
const NONE = '-'

export function slotOf(write: ControlWrite): string {
  return write.entry === 'cutoff' ? `cutoff|${write.dimension}|${write.id}` : `block|${write.kind}|${write.id}`
}

/** Refuses, before anything is written, what the stores could not keep. */
export function checkWrites(writes: readonly ControlWrite[], floor: number): void {
  checkedInteger(floor, 'the floor of a sequence number')
  if (writes.length > CONTROL_ENTRIES_MAX) throw new TypeError(`more than ${CONTROL_ENTRIES_MAX} entries in one write`)
  for (const write of writes) entryText(write, 0, 0)
}

/** `<entry> <seq> <atMs> <expiresAtMs> <newerThanS>` */
export function entryText(write: ControlWrite, seq: number | string, atMs: number | string): string {
  const expires =
    write.entry === 'lift' || write.expiresAtMs === null ? NONE : checkedInteger(write.expiresAtMs, 'expiresAtMs')
  const newer =
    write.entry === 'block' && write.newerThanS !== undefined ? checkedInteger(write.newerThanS, 'newerThanS') : NONE
  return `${write.entry} ${seq} ${atMs} ${expires} ${newer}`
}

export function parseEntry(slot: string, text: string): ControlEntry {
  const [, of = '', ...rest] = slot.split('|')
  const id = rest.join('|')
  const [entry, seqText, atText, expires = NONE, newer = NONE] = text.split(' ')
  const seq = Number(seqText)
  const atMs = Number(atText)
  if (entry === 'cutoff') {
    return { entry, dimension: of as Dimension, id, seq, atMs, expiresAtMs: Number(expires) }
  }
  const kind = of as BlockKind
  if (entry === 'lift') return { entry, kind, id, seq, atMs }
  if (entry !== 'block') throw new Error(`unknown control entry ${JSON.stringify(entry)}`)
  const expiresAtMs = expires === NONE ? null : Number(expires)
  return { entry, kind, id, seq, atMs, expiresAtMs, ...(newer === NONE ? {} : { newerThanS: Number(newer) }) }
}

/** When the slot may be forgotten; `undefined`: never. */
export function slotExpiryMs(text: string): number | undefined {
  const expires = text.split(' ')[3]
  return expires === NONE ? undefined : Number(expires)
}

/** `next` is newer than `stored` by its sequence number; `stored` has not expired. */
export function mergedText(stored: string | undefined, next: string): string {
  if (stored === undefined) return next
  const [storedEntry, , , storedExpires = NONE, storedNewer = NONE] = stored.split(' ')
  const [entry, seq, atMs, expires = NONE, newer = NONE] = next.split(' ')
  if (entry === 'lift') return `lift ${seq} ${atMs} ${storedExpires} ${NONE}`
  if (storedEntry !== entry) return next
  return `${entry} ${seq} ${atMs} ${later(storedExpires, expires)} ${later(storedNewer, newer)}`
}

/** `-` is the strictest of both fields. */
function later(a: string, b: string): string {
  if (a === NONE || b === NONE) return NONE
  return Number(a) >= Number(b) ? a : b
}
