/** Why a turn at the log has failed: a closed set, for metrics. */
import { KeyFileError } from '../../keys/key-file.ts'
import { StoreUnavailable } from '../../store/ports.ts'
import { DamagedLog } from './damaged-log.ts'
import { LogContradicted, NoLogKey } from './log-contradicted.ts'

/**
 * `rolled_back`, `forked`: the log is not what was signed of it; `damaged`: it is not as it was written; `key`: there is none here
 * to sign it with; `fault`: ours.
 */
export const SEQUENCING_FAILURES = ['store', 'rolled_back', 'forked', 'damaged', 'key', 'fault'] as const
export type SequencingFailure = (typeof SEQUENCING_FAILURES)[number]

export function failureOf(error: unknown): SequencingFailure {
  if (error instanceof LogContradicted) return error.how
  if (error instanceof DamagedLog) return 'damaged'
  if (error instanceof NoLogKey || error instanceof KeyFileError) return 'key'
  return error instanceof StoreUnavailable ? 'store' : 'fault'
}
