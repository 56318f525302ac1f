/** What an operator wants to know of the sequencer, and what it knows of the log. */
import type { LogHead } from './head.ts'

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

/** The head of the log as it was read last. */
export interface KnownHead {
  readonly text: string | undefined
  /** Since when it is this one, by a clock that only runs on. */
  readonly movedMs: number
  readonly head: LogHead
  /** It was this broker's and larger: the log has lost its end. */
  readonly isSetBack: boolean
}
