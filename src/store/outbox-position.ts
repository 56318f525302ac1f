/**
 * Where a record lies in an outbox in Redis: the stream's own id, and the name that the broker who wrote it gave to this record
 * alone. An id may be given out again by a server that has come back without its last writes, and whose clock is behind; the
 * two together never are.
 */

/** An entry of a stream: `id` is `<ms>-<n>`, as the server gives it. */
export interface Placed {
  readonly id: string
  readonly name: string
}

export interface PlacedRecord extends Placed {
  readonly record: string
}

/** More would take a server that gives out ten thousand million ids in one millisecond. */
const DIGITS = 10

/** Entries of streams: `{id, {'record', text, 'name', name}}`. */
export function placedIn(answer: unknown): readonly PlacedRecord[] {
  return (answer as [string, string[]][]).map(([id, [, record = '', , name = '']]) => ({ id, record, name }))
}

/**
 * The name of a record that is written again because a server has lost it: its own, and the position at which it was acknowledged
 * first. No name has a `~` otherwise.
 */
export const nameAgain = (name: string, position: string): string => `${name}~${originOf(position)}`

/** Where this record was acknowledged first: the same for all positions that it was ever written at. Of any store's. */
export const originOf = (position: string): string => position.slice(position.indexOf('~') + 1)

/** Names of outboxes. */
export const STRANGERS = 'strangers'
export const shardOutbox = (shard: number): string => `s${shard}`

/** As text: positions of one stream sort as their ids do. */
export function positionOf({ id, name }: Placed): string {
  const [ms = '', n = ''] = id.split('-')
  return `${ms}-${n.padStart(DIGITS, '0')}-${name}`
}

/** @throws TypeError */
export function placeOf(position: string): Placed {
  const [, ms, n, name = ''] = /^([0-9]{1,16})-([0-9]{10})-(.*)$/.exec(position) ?? []
  if (ms === undefined) throw new TypeError('a position is one that `pending` has answered')
  return { id: `${ms}-${Number(n)}`, name }
}

/** Below 0: `a` comes first. */
export function compareIds(a: string, b: string): number {
  const [aMs = '', aN = ''] = a.split('-')
  const [bMs = '', bN = ''] = b.split('-')
  return Number(aMs) - Number(bMs) || Number(aN) - Number(bN)
}
