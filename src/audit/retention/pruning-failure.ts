/** Why nothing is pruned: a closed set, for metrics. */
import { KeyFileError } from '../../keys/key-file.ts'
import { StoreUnavailable } from '../../store/ports.ts'
import { DamagedLog } from '../log/damaged-log.ts'
import { NoLogKey } from '../log/log-contradicted.ts'
import { LogFault } from '../log/verify/log-source.ts'

/** `damaged`: what would be next is not as it was written; `key`: there is none here to say with what is pruned; `fault`: ours. */
export const PRUNING_FAILURES = ['store', 'damaged', 'key', 'fault'] as const
export type PruningFailure = (typeof PRUNING_FAILURES)[number]

export function pruningFailureOf(error: unknown): PruningFailure {
  if (error instanceof LogFault || error instanceof DamagedLog) return 'damaged'
  if (error instanceof NoLogKey || error instanceof KeyFileError) return 'key'
  return error instanceof StoreUnavailable ? 'store' : 'fault'
}
