/** Which records of the outboxes are in the log: looked up in its bodies, where a cursor cannot be trusted. */
import type { LogStore } from '../../store/ports.ts'
import { decodeRecords } from './bodies.ts'
import { BUNDLE_RECORDS, bundleOf, recordsPiece } from './layout.ts'

/** Of a record of an outbox: no other has it. */
export function placeOf(outbox: string, position: string): string {
  return `${outbox} ${position}`
}

/** @param part from the bundle of this index on, of a log of this size */
export async function loggedPlaces(
  log: Pick<LogStore, 'read'>,
  part: { readonly from: number; readonly size: number },
): Promise<ReadonlySet<string>> {
  const places = new Set<string>()
  for (let bundle = bundleOf(part.from); bundle * BUNDLE_RECORDS < part.size; bundle++) {
    const [piece] = await log.read([recordsPiece(bundle)])
    if (piece === undefined) continue
    for (const { outbox, position } of decodeRecords(piece)) places.add(placeOf(outbox, position))
  }
  return places
}
