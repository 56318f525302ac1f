/** What an operator wants to know of the sequencer. */

export interface SequencerState {
  /** Records in the log, when it was looked at last. */
  readonly size: number
  /** Records read and not in the log yet: at least so many. */
  readonly unsequenced: number
  /** Since every record there was, was last known to be under a published checkpoint. */
  readonly behindMs: number
  /** Acknowledged records that are remembered because no checkpoint has covered them for long enough. */
  readonly remembered: number
  /** Why nothing is appended and signed, and will not be by itself. */
  readonly problem: string | undefined
}
