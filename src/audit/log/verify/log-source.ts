/** The log as whoever verifies it reads it: the store itself, or a broker that hands out what its store has, byte for byte. */
import type { LogStore } from '../../../store/ports.ts'
import type { Tree } from '../../../tlog/proofs.ts'

export type LogSource = Pick<LogStore, 'head' | 'read'>

/** A checkpoint whose signature was checked: what the log had to be, at one size. */
export interface Anchor extends Tree {
  /** For people: which checkpoint it is. */
  readonly name: string
}

/** The first thing that is wrong. */
export class LogFault extends Error {
  /** Of the first record that is not as it was, or of the first that may not be. */
  readonly index: number

  constructor(index: number, what: string) {
    super(what)
    this.name = 'LogFault'
    this.index = index
  }
}

export interface VerifiedLog {
  /** Records of the log, all of which were looked at. */
  readonly size: number
  /** So many of the first have no body any more. */
  readonly pruned: number
}

export interface VerifyOptions {
  readonly source: LogSource
  /** All that the log is held against. */
  readonly anchors: readonly Anchor[]
  /** Bodies before this index were removed on purpose. */
  readonly prunedBefore: number
  /** Told now and then how far it has come. */
  readonly progress?: (records: number, of: number) => void
}
