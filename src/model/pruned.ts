/** What retention has removed of the audit log, as the record of it says. */

export const PRUNED_FOR = ['keep_days', 'keep_records'] as const

export interface Pruned {
  /** The bodies of all records before `to` are removed; those before `from` were gone already. */
  readonly from: number
  readonly to: number
  /** The setting that they were beyond. */
  readonly why: (typeof PRUNED_FOR)[number]
  /** Size and root (base64) of the log that the broker has seen signed last: whoever repeats it to another log is found. */
  readonly size: number
  readonly root: string
  /** The log's key over all of it, as a line under a signed note: who has the database only cannot say it. */
  readonly signature: string
}
