/**
 * What became of a request, for the books: each one that is answered is in exactly one of these, so that records made and requests
 * handled can be counted against each other (R164).
 */
export const ACCOUNTS = [
  /** A document that anybody may read. */
  'public',
  /** It has a record, or is of a reading of the audit log that has one. */
  'recorded',
  /** Nobody was authenticated, or somebody over a limit: one count of a record for many. */
  'counted',
  /** The store did not take the record: refused for it, and nothing was done. */
  'unrecorded',
] as const
export type Accounted = (typeof ACCOUNTS)[number]
