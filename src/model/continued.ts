/** How the audit log goes on where records that were signed are lost for good. */

export interface Continued {
  /** The log's name from there on, and the one before it. */
  readonly origin: string
  readonly before: string
  /** Size and root (base64) of what was left: with these records it goes on. */
  readonly from: number
  readonly root: string
  /** How many records were signed under the name before, as far as is known, and their root, where that is. */
  readonly signed: number
  readonly signed_root?: string
  readonly reason: string
  /** Id of the record that says who it was. */
  readonly record: string
  /** RFC 3339. */
  readonly at: string
}

/** As that record has it: once it is done, with the log's key over all of it, as a line under a signed note. */
export type RecordedContinuation = Omit<Continued, 'record'> & { readonly signature?: string }
