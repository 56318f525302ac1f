/**
 * The act of going on without the end of a log that is lost: only where the log does contradict what was signed, and only from an
 * end that is whole. Whatever can still be given back, by a broker or a failover, is given back first, by those who look each
 * moment; what is continued once is never joined again.
 */
import type { RecordedContinuation } from '../../model/continued.ts'
import type { LogStore } from '../../store/ports.ts'
import { NoteError } from '../../tlog/note-keys.ts'
import { TiledTree } from '../../tlog/subtrees.ts'
import type { Checkpoints } from './checkpoints.ts'
import { recordedOf } from './continuation.ts'
import type { NewContinuation } from './continuations.ts'
import { DamagedLog } from './damaged-log.ts'
import { type LogHead, parseHead } from './head.ts'
import { tilesOf } from './layout.ts'
import { LogContradicted } from './log-contradicted.ts'
import { LogTail } from './log-tail.ts'

export interface DraftedContinuation {
  /** What it would be, for its record. */
  readonly continued: RecordedContinuation
  readonly note: string
  /** vkey of the name that it gives. */
  readonly key: string
}

export interface LogContinuing {
  /**
   * What it would be now; nothing is changed yet. `undefined`: the log is what was signed of it.
   * @throws LogContradicted where it is not known what was signed, or this broker is not to believe it; DamagedLog, NoLogKey,
   *   KeyFileError, StoreUnavailable
   */
  draft(said: Pick<NewContinuation, 'reason' | 'record' | 'at'>): Promise<DraftedContinuation | undefined>
  /** `false`: another was faster, or the log is no longer what was left of it. @throws LogContradicted, StoreUnavailable */
  carryOut(drafted: Pick<DraftedContinuation, 'continued' | 'note'>): Promise<boolean>
}

const ATTEMPTS_MAX = 8

/** @param lookAgain whether this broker can give back what is lost, and what witnesses say by now. Never throws */
export function logContinuing(
  log: Pick<LogStore, 'head' | 'read'>,
  checkpoints: Checkpoints,
  lookAgain: () => Promise<unknown>,
): LogContinuing {
  return {
    draft: async (said) => {
      await lookAgain()
      const found = await contradicted(log, checkpoints)
      if (found === undefined) return undefined
      const { head, signed } = found
      await assertWhole(head, log)
      const { continued, ...signedAs } = await checkpoints.continuations.draft({
        from: head.size,
        root: head.root.toString('base64'),
        signed: signed.size,
        ...(signed.root === undefined ? {} : { signed_root: signed.root.toString('base64') }),
        ...said,
      })
      return { continued: recordedOf(continued, signedAs.note), ...signedAs }
    },
    carryOut: async ({ continued, note }) => {
      if (parseHead(await log.head()).size !== continued.from) return false
      if (!(await checkpoints.continuations.add(note))) return false
      // Nobody waits for it: that it was done is to be on record first.
      void lookAgain()
      return true
    },
  }
}

type Signed = NonNullable<LogContradicted['signed']>

/** Of a log that moves, head and checkpoints were not read at one moment: it is looked at again. */
async function contradicted(
  log: Pick<LogStore, 'head'>,
  checkpoints: Checkpoints,
): Promise<{ readonly head: LogHead; readonly signed: Signed } | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const text = await log.head()
    const head = parseHead(text)
    try {
      await checkpoints.check(head)
      return undefined
    } catch (error) {
      if (!(error instanceof LogContradicted) || error.signed === undefined) throw error
      if ((await log.head()) === text) return { head, signed: mostOf(error.signed, head, checkpoints.seen) }
    }
  }
  return undefined
}

/** A witness that is behind knows less than was signed here. */
function mostOf(signed: Signed, head: LogHead, seen: Signed | undefined): Signed {
  return seen !== undefined && seen.size > Math.max(signed.size, head.size) ? seen : signed
}

/** @throws DamagedLog where the end is not one that can be appended to, or the tree is not that of the head */
async function assertWhole(head: LogHead, log: Pick<LogStore, 'read'>): Promise<void> {
  await LogTail.open(head, log)
  const root = await new TiledTree(head.size, tilesOf(log)).root().catch((error: unknown) => {
    if (error instanceof RangeError || error instanceof NoteError) return undefined
    throw error
  })
  if (root?.equals(head.root) !== true) throw new DamagedLog('the tree of the audit log is not that of its head')
}
