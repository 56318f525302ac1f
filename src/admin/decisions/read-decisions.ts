/** What is asked about recorded decisions: on record itself, and with one reading of the texts they share. */
import type { TrailParts } from '../audit/read-trail.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import { DecisionBook } from './decision-book.ts'

/** @throws RefusedRequest */
export function readDecisions<T>(
  request: ReadRequest,
  parts: TrailParts,
  work: (book: DecisionBook) => Promise<T>,
): Promise<T> {
  return readAs(request, parts, 'admin.read', () => work(new DecisionBook(parts.trail)))
}
