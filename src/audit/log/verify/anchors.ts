/** What a log is held against: the checkpoints there are, each only as far as a key that is trusted here has signed it. */
import { openCheckpoint, type SignedCheckpoint } from '../../../tlog/checkpoint.ts'
import { NoteError, type NoteKey } from '../../../tlog/note-keys.ts'
import type { OpenedContinuation } from '../continuation.ts'
import { anchorsOf, assertAllStated, assertTaken, continuationsIn, lostSince, underAllNames } from './continued.ts'
import { type Anchor, LogFault, type VerifiedLog, type VerifyOptions } from './log-source.ts'
import { statedBoundary } from './stated-boundary.ts'
import { verifyLog } from './verify-log.ts'

/** A checkpoint as it was found, and what people know it by. */
export interface FoundCheckpoint {
  readonly name: string
  readonly note: string
}

export interface Trust {
  readonly keys: readonly NoteKey[]
  /** Each of them must have signed `cosigned`. */
  readonly witnesses: readonly NoteKey[]
}

export interface CheckpointsFound {
  /** What the store has for the newest. */
  readonly newest: string | undefined
  readonly cosigned: string | undefined
  /** Where it says that the log went on without its end. */
  readonly continued?: string | undefined
  /** From elsewhere: kept, or handed over. */
  readonly kept: readonly FoundCheckpoint[]
}

export interface VerifiedAgainst extends VerifiedLog {
  readonly newest: SignedCheckpoint | undefined
  readonly cosigned: SignedCheckpoint | undefined
  /** Oldest first. */
  readonly continuations: readonly OpenedContinuation[]
  /** Checkpoints of records that are lost since, by name. */
  readonly lost: readonly string[]
}

/**
 * As `verifyLog`, against all of these. What comes behind the newest good checkpoint is vouched for by nobody, and is a fault
 * where the store's newest is not a good one; so is a continuation of the log under a name that is not trusted by name.
 * @throws LogFault
 */
export async function verifyAgainst(
  found: CheckpointsFound,
  { keys: given, witnesses }: Trust,
  options: Omit<VerifyOptions, 'anchors' | 'prunedBefore'>,
): Promise<VerifiedAgainst> {
  const continuations = await continuationsIn(found.continued, given)
  const keys = underAllNames(given, continuations)
  const held = await heldAgainst(found, [...keys, ...witnesses], continuations)
  const { newest, cosigned, faults, lost } = held
  const anchors = [...held.anchors, ...anchorsOf(continuations)]
  const verified = await verifyPruned({ ...options, anchors }, keys)
  await assertAllStated(options.source, verified.size, { continuations, keys })
  const good = goodOf(newest)
  if (good === undefined && verified.size > 0)
    faults.unshift('no checkpoint that is trusted here has the records from here on')
  const missing = witnesses.filter((witness) => !hasSigned(goodOf(cosigned), witness))
  if (missing.length > 0) faults.push(`${missing.map(({ name }) => name).join(', ')} has co-signed no checkpoint of it`)
  const covered = Math.max(0, ...held.anchors.map(({ size }) => size))
  if (faults.length > 0) throw new LogFault(good === undefined ? covered : good.checkpoint.size, faults.join('; '))
  assertTaken(continuations, given)
  return { ...verified, newest: good, cosigned: goodOf(cosigned), continuations, lost }
}

interface Held {
  readonly newest: Opened
  readonly cosigned: Opened
  readonly anchors: readonly Anchor[]
  readonly faults: string[]
  readonly lost: readonly string[]
}

/** What the log has to be, and what is not to be believed of it. */
async function heldAgainst(
  found: CheckpointsFound,
  all: readonly NoteKey[],
  continuations: readonly OpenedContinuation[],
): Promise<Held> {
  const newest = await opened(found.newest, all)
  const cosigned = await opened(found.cosigned, all)
  const [anchors, faults, lost]: [Anchor[], string[], string[]] = [[], [], []]
  const take = (name: string, one: Opened) => {
    if (one instanceof NoteError) faults.push(`${name}: ${one.message}`)
    else if (one !== undefined && lostSince(one.checkpoint, continuations) !== undefined) lost.push(name)
    else if (one !== undefined) anchors.push({ ...one.checkpoint, name })
  }
  take('the newest checkpoint', newest)
  take('the newest checkpoint that a witness has signed', cosigned)
  for (const { name, note } of found.kept) take(name, await opened(note, all))
  const last = continuations.at(-1)
  const isOf = goodOf(newest)?.checkpoint.origin
  if (last !== undefined && isOf !== undefined && isOf !== last.origin)
    faults.push(`it goes on as ${last.origin}, and its newest checkpoint is of ${isOf}`)
  // Of a log that goes on under another name, a witness has to have seen that.
  const isOld = last !== undefined && goodOf(cosigned)?.checkpoint.origin !== last.origin
  return { newest, cosigned: isOld ? undefined : cosigned, anchors, faults, lost }
}

/** Bodies may be missing only where the log says so itself, by a record that a trusted key has signed: by nobody else's word. */
async function verifyPruned(options: Omit<VerifyOptions, 'prunedBefore'>, keys: readonly NoteKey[]) {
  for (let prunedBefore = await statedBoundary(options.source, keys); ; ) {
    try {
      return await verifyLog({ ...options, prunedBefore })
    } catch (fault) {
      if (!(fault instanceof LogFault)) throw fault
      // More of it may have been pruned while it was read.
      const now = await statedBoundary(options.source, keys)
      if (now <= prunedBefore) throw fault
      prunedBefore = now
    }
  }
}

type Opened = SignedCheckpoint | NoteError | undefined

async function opened(note: string | undefined, keys: readonly NoteKey[]): Promise<Opened> {
  if (note === undefined) return undefined
  try {
    return await openCheckpoint(note, keys)
  } catch (error) {
    if (error instanceof NoteError) return error
    throw error
  }
}

function goodOf(one: Opened): SignedCheckpoint | undefined {
  return one instanceof NoteError ? undefined : one
}

function hasSigned(checkpoint: SignedCheckpoint | undefined, witness: NoteKey): boolean {
  return checkpoint?.signed.some(({ key }) => key.vkey === witness.vkey) === true
}
