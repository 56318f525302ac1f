/**
 * Control entries as both stores keep them: one slot per (dimension, id), one line of text in it, merged so that nothing
 * stricter is ever replaced. `redis-scripts.ts` merges the same way in Lua.
 *
 * A lift takes its block's slot and keeps the block's expiry: a follower that still holds the block learns of the lift from
 * a snapshot, for as long as the block could matter. A newer block that takes the slot back carries the lift along, with that
 * expiry: without it, who missed the lift would hold the older, stricter block for good.
 */
import type { BlockKind, ControlEntry } from '../authority/cutoffs.ts'
import type { Dimension } from '../authority/dimensions.ts'
import { CURRENT_POLICY } from '../authority/policy-entry.ts'
import { CONTROL_ENTRIES_MAX, checkedInteger } from './bounds.ts'
import type { ControlWrite } from './ports.ts'

/** `-`: until lifted, and evidence of no age passes. */
const NONE = '-'
export const POLICY_SLOT = `policy|registry|${CURRENT_POLICY}`

export function slotOf(write: ControlWrite): string {
  if (write.entry === 'policy') return POLICY_SLOT
  return write.entry === 'cutoff' ? `cutoff|${write.dimension}|${write.id}` : `block|${write.kind}|${write.id}`
}

/** Refuses, before anything is written, what the stores could not keep. */
export function checkWrites(writes: readonly ControlWrite[], floor: number): void {
  checkedInteger(floor, 'the floor of a sequence number')
  if (writes.length > CONTROL_ENTRIES_MAX) throw new TypeError(`more than ${CONTROL_ENTRIES_MAX} entries in one write`)
  for (const write of writes) entryText(write, 0, 0)
}

/** One word: it is a field of the entry's text. */
function checkedVersion(version: string): string {
  if (!/^[\w-]{16,64}$/.test(version)) throw new TypeError('a policy version is 16 to 64 of A-Z a-z 0-9 _ -')
  return version
}

/** Which policy a slot's text says is published. */
export function versionIn(text: string | undefined): string | undefined {
  return text === undefined ? undefined : fieldsOf(text).newer
}

/** `<entry> <seq> <atMs> <expiresAtMs> <newerThanS, or the policy's version>`; a slot's text may go on with ` <seq> <atMs> <expiresAtMs>` of a lift. */
export function entryText(write: ControlWrite, seq: number | string, atMs: number | string): string {
  if (write.entry === 'policy') return `policy ${seq} ${atMs} ${NONE} ${checkedVersion(write.version)}`
  const expires =
    write.entry === 'lift' || write.expiresAtMs === null ? NONE : checkedInteger(write.expiresAtMs, 'expiresAtMs')
  const newer =
    write.entry === 'block' && write.newerThanS !== undefined ? checkedInteger(write.newerThanS, 'newerThanS') : NONE
  return `${write.entry} ${seq} ${atMs} ${expires} ${newer}`
}

/** What a snapshot delivers of a slot: what has not expired, a lift before the newer block that carries it. */
export function liveEntries(slot: string, text: string, nowMs: number): readonly ControlEntry[] {
  const { expires, lift } = fieldsOf(text)
  return [
    ...(lift !== undefined && isLive(lift.expires, nowMs) ? [parseEntry(slot, liftText(lift))] : []),
    ...(isLive(expires, nowMs) ? [parseEntry(slot, text)] : []),
  ]
}

/** What the slot's own entry is; a lift that a block carries is left out. */
export function parseEntry(slot: string, text: string): ControlEntry {
  const [, of = '', ...rest] = slot.split('|')
  const id = rest.join('|')
  const [entry, seqText, atText, expires = NONE, newer = NONE] = text.split(' ')
  const seq = Number(seqText)
  const atMs = Number(atText)
  if (entry === 'cutoff') {
    return { entry, dimension: of as Dimension, id, seq, atMs, expiresAtMs: Number(expires) }
  }
  if (entry === 'policy') return { entry, id: CURRENT_POLICY, version: newer, seq, atMs }
  const kind = of as BlockKind
  if (entry === 'lift') return { entry, kind, id, seq, atMs }
  if (entry !== 'block') throw new Error(`unknown control entry ${JSON.stringify(entry)}`)
  const expiresAtMs = expires === NONE ? null : Number(expires)
  return { entry, kind, id, seq, atMs, expiresAtMs, ...(newer === NONE ? {} : { newerThanS: Number(newer) }) }
}

/** When the slot may be forgotten; `undefined`: never. */
export function slotExpiryMs(text: string): number | undefined {
  const expires = slotExpires(fieldsOf(text))
  return expires === NONE ? undefined : Number(expires)
}

/** `next` is newer than `stored` by its sequence number; `stored` may have expired, in part or whole. */
export function mergedText(stored: string | undefined, next: string, nowMs: number): string {
  if (stored === undefined) return next
  const old = fieldsOf(stored)
  const { entry, seq, atMs, expires, newer } = fieldsOf(next)
  // The newest policy replaces the one before it: of two, neither is stricter.
  if (entry === 'policy') return next
  if (entry === 'lift') {
    const lasting = slotExpires(old)
    return liftText({ seq, atMs, expires: isLive(lasting, nowMs) ? lasting : expires })
  }
  const lift = old.entry === 'lift' ? old : old.lift
  const carried = lift !== undefined && isLive(lift.expires, nowMs) ? ` ${lift.seq} ${lift.atMs} ${lift.expires}` : ''
  if (old.entry !== entry || !isLive(old.expires, nowMs)) return next + carried
  return `${entry} ${seq} ${atMs} ${later(old.expires, expires)} ${later(old.newer, newer)}${carried}`
}

/**
 * What the slot must hold so that this entry, by its own number, is in force as it was: it may be older or newer than what is
 * stored, which loses nothing by it.
 */
export function assertedText(stored: string | undefined, entry: ControlEntry): string {
  const text = entryText(entry, entry.seq, entry.atMs)
  if (stored === undefined) return text
  const old = fieldsOf(stored)
  const own = fieldsOf(text)
  if (own.entry === 'policy') return Number(old.seq) >= entry.seq ? stored : text
  if (own.entry === 'cutoff') return `cutoff ${both(old, own)} ${NONE}`
  const lifts = [old, own].flatMap((one) => (one.entry === 'lift' ? [one] : one.lift === undefined ? [] : [one.lift]))
  const blocks = [old, own].filter((one) => one.entry === 'block')
  const [lift] = lifts.sort((a, b) => Number(b.seq) - Number(a.seq))
  const standing = blocks.filter(({ seq }) => lift === undefined || Number(seq) >= Number(lift.seq))
  const lasting = [...lifts, ...blocks].map(({ expires }) => expires).reduce(later)
  const [first, second] = standing
  if (first === undefined) return lift === undefined ? stored : liftText({ ...lift, expires: lasting })
  const carried = lift === undefined ? '' : ` ${lift.seq} ${lift.atMs} ${lasting}`
  if (second === undefined) return `block ${first.seq} ${first.atMs} ${first.expires} ${first.newer}${carried}`
  return `block ${both(first, second)} ${later(first.newer, second.newer)}${carried}`
}

/** `<seq> <atMs> <expiresAtMs>`, of each the stricter. */
function both(a: LiftFields, b: LiftFields): string {
  return `${later(a.seq, b.seq)} ${later(a.atMs, b.atMs)} ${later(a.expires, b.expires)}`
}

interface LiftFields {
  readonly seq: string
  readonly atMs: string
  readonly expires: string
}

interface Fields extends LiftFields {
  readonly entry: string
  readonly newer: string
  readonly lift: LiftFields | undefined
}

function fieldsOf(text: string): Fields {
  const [entry = '', seq = '', atMs = '', expires = NONE, newer = NONE, ...carried] = text.split(' ')
  const [liftSeq = '', liftAtMs = '', liftExpires = NONE] = carried
  const lift = carried.length === 0 ? undefined : { seq: liftSeq, atMs: liftAtMs, expires: liftExpires }
  return { entry, seq, atMs, expires, newer, lift }
}

function liftText({ seq, atMs, expires }: LiftFields): string {
  return `lift ${seq} ${atMs} ${expires} ${NONE}`
}

function slotExpires({ expires, lift }: Fields): string {
  return lift === undefined ? expires : later(expires, lift.expires)
}

function isLive(expires: string, nowMs: number): boolean {
  return expires === NONE || Number(expires) > nowMs
}

/** `-` is the strictest of both fields. */
function later(a: string, b: string): string {
  if (a === NONE || b === NONE) return NONE
  return Number(a) >= Number(b) ? a : b
}
