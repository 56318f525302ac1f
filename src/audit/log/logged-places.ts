/** Which records of the outboxes are in the log: looked up in its bodies, where a cursor cannot be trusted. */

import { originOf } from '../../store/outbox-position.ts'
import type { LogStore } from '../../store/ports.ts'
import { decodeRecords } from './bodies.ts'
import { BUNDLE_RECORDS, bundleOf, recordsPiece } from './layout.ts'

/** Of an entry of an outbox: no other has it. */
export function placeOf(outbox: string, position: string): string {
  return `${outbox} ${position}`
}

/** Where it was acknowledged first: of a record that was lost and written again, all its places have the same. */
export function firstPlaceOf(outbox: string, position: string): string {
  return placeOf(outbox, originOf(position))
}

/** First places. @param part from the bundle of this index on, of a log of this size */
export async function loggedPlaces(
  log: Pick<LogStore, 'read'>,
  part: { readonly from: number; readonly size: number },
): Promise<ReadonlySet<string>> {
  const places = new Set<string>()
  for (let bundle = bundleOf(part.from); bundle * BUNDLE_RECORDS < part.size; bundle++) {
    const [piece] = await log.read([recordsPiece(bundle)])
    if (piece === undefined) continue
    for (const { outbox, position } of decodeRecords(piece)) places.add(firstPlaceOf(outbox, position))
  }
  return places
}
