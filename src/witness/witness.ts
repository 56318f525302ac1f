/**
 * A witness (C2SP tlog-witness): signs a log's checkpoint only if what it signed before is its beginning, so that whoever has a
 * witnessed checkpoint knows that the log has neither forgotten nor changed anything since, and has shown the witness nothing
 * else.
 *
 * Guarantees: of each log one sequence of checkpoints, each proven to contain the one before; what was signed is on disk before
 * the signature leaves; requests for one log are taken one after the other.
 * Does not guarantee: that what the log says is true. A witness whose directory was put back to an older state can be led
 * astray: its directory is not to be restored from a backup.
 */
import type { KeyObject } from 'node:crypto'
import { openCheckpoint, parseCheckpoint, parseSize, type SignedCheckpoint } from '../tlog/checkpoint.ts'
import { EMPTY_ROOT, HASH_BYTES } from '../tlog/hashes.ts'
import { cosign, parseNote } from '../tlog/note.ts'
import { decodeBase64, NoteError, type NoteKey } from '../tlog/note-keys.ts'
import { PROOF_HASHES_MAX, type Tree, verifyConsistency } from '../tlog/proofs.ts'
import type { WitnessState } from './witness-state.ts'

export interface WitnessParts {
  readonly key: NoteKey
  readonly privateKey: KeyObject
  /** Whose checkpoints are signed: the name of a key is its log's origin, and one log may have several. */
  readonly logs: readonly NoteKey[]
  readonly state: WitnessState
  /** Epoch seconds. */
  readonly now: () => number
  /** A log has signed what cannot follow from what it signed before. */
  readonly onMisbehaviour: (origin: string, what: string) => void
}

/** Statuses as tlog-witness gives them. */
export type WitnessAnswer =
  | { readonly status: 200; readonly text: string }
  | { readonly status: 409; readonly size: number }
  | { readonly status: 400 | 403 | 404 | 422; readonly text: string }

interface AddRequest {
  readonly old: number
  readonly proof: readonly Buffer[]
  readonly note: string
}

export class Witness {
  readonly #parts: WitnessParts
  /** By origin: the request that is being answered, and those behind it. */
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(parts: WitnessParts) {
    this.#parts = parts
  }

  /** `add-checkpoint`. @throws where its directory cannot be read or written: nothing was signed then */
  async add(body: string): Promise<WitnessAnswer> {
    const request = parseAdd(body)
    if (request === undefined) return { status: 400, text: 'not an add-checkpoint request\n' }
    const origin = originOf(request.note)
    if (origin === undefined) return { status: 400, text: 'not a checkpoint\n' }
    const keys = this.#parts.logs.filter(({ name }) => name === origin)
    if (keys.length === 0) return { status: 404, text: 'this log is not known here\n' }
    const opened = await openCheckpoint(request.note, keys).catch(notSigned)
    if (opened === undefined) return { status: 403, text: 'no known key of this log has signed it\n' }
    if (request.old > opened.checkpoint.size) return { status: 400, text: 'the old size is the larger one\n' }
    return this.#inTurn(origin, () => this.#judge(request, opened, body))
  }

  async #judge({ old, proof, note }: AddRequest, opened: SignedCheckpoint, body: string): Promise<WitnessAnswer> {
    const { state, onMisbehaviour } = this.#parts
    const { checkpoint } = opened
    const last = await this.#last(checkpoint.origin)
    if (last.size !== old) return { status: 409, size: last.size }
    if (!verifyConsistency(last, checkpoint, proof)) {
      // Of the same size no proof is needed to see it: two roots, both signed.
      const isFork = last.size === checkpoint.size && !last.root.equals(checkpoint.root)
      if (isFork) {
        await state.keepEvidence(checkpoint.origin, body)
        onMisbehaviour(checkpoint.origin, `two roots at size ${last.size}`)
        return { status: 409, size: last.size }
      }
      onMisbehaviour(checkpoint.origin, `no proof that size ${checkpoint.size} contains size ${last.size}`)
      return { status: 422, text: 'the proof does not lead from the old size to the new one\n' }
    }
    // Of the same size: it is on disk, and is signed again, with the time it is now.
    if (last.size !== checkpoint.size || last.size === 0) await state.write(checkpoint.origin, note)
    const line = await cosign(opened.note.text, this.#parts.key, this.#parts.privateKey, this.#parts.now())
    return { status: 200, text: `${line}\n` }
  }

  async #last(origin: string): Promise<Tree> {
    const kept = await this.#parts.state.read(origin)
    return kept === undefined ? { size: 0, root: EMPTY_ROOT } : parseCheckpoint(parseNote(kept).text)
  }

  async #inTurn<T>(origin: string, act: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(origin) ?? Promise.resolve()
    const turn = before.then(act, act)
    this.#turns.set(
      origin,
      turn.catch(() => undefined),
    )
    return turn
  }
}

function notSigned(fault: unknown): undefined {
  if (fault instanceof NoteError) return undefined
  throw fault
}

function originOf(note: string): string | undefined {
  try {
    return parseCheckpoint(parseNote(note).text).origin
  } catch (fault) {
    return notSigned(fault)
  }
}

/** `old N`, hashes, an empty line, the checkpoint. */
function parseAdd(body: string): AddRequest | undefined {
  const end = body.indexOf('\n\n')
  const [oldLine = '', ...lines] = body.slice(0, Math.max(0, end)).split('\n')
  const old = oldLine.startsWith('old ') ? parseSize(oldLine.slice('old '.length)) : undefined
  const proof = lines.map(decodeBase64).filter((hash) => hash?.length === HASH_BYTES) as Buffer[]
  const isWhole = proof.length === lines.length && lines.length <= PROOF_HASHES_MAX
  return old === undefined || !isWhole ? undefined : { old, proof, note: body.slice(end + 2) }
}
