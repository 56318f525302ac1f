/**
 * Checkpoints: what this broker signs of the log, and what it has seen signed. It signs nothing that contradicts a checkpoint that
 * it has ever seen, whatever the store says now: a log that was set back or is another one is never vouched for.
 *
 * The newest checkpoint is one document, replaced by a larger one only. A store that has lost it is given it again. Where somebody
 * has continued the log without what is lost of it, it has another name from there on, and what was signed before counts no more.
 */
import { announcedKeys, type LogKey, type LogSigner } from '../../keys/log-key.ts'
import type { DocumentStore, LogStore } from '../../store/ports.ts'
import { formatCheckpoint, openCheckpoint } from '../../tlog/checkpoint.ts'
import { formatNote } from '../../tlog/note.ts'
import { NoteError, type NoteKey, parseVkey } from '../../tlog/note-keys.ts'
import { consistencyProof, type Tree, verifyConsistency } from '../../tlog/proofs.ts'
import { type OpenedContinuation, treeOf } from './continuation.ts'
import { Continuations } from './continuations.ts'
import { tilesOf } from './layout.ts'
import { LogContradicted } from './log-contradicted.ts'
import { CHECKPOINT_DOCUMENT, LOG_KEYS_DOCUMENT } from './log-documents.ts'

interface SeenCheckpoint extends Tree {
  /** As it was signed. */
  readonly note: string
  /** By this broker's own key for the log, and not by one that is only announced, as anybody who writes to the store can. */
  readonly isOwn: boolean
}

export interface CheckpointParts {
  readonly documents: DocumentStore
  readonly log: Pick<LogStore, 'read'>
  readonly logKey: Pick<LogKey, 'signer'>
  /** Asked before anything is appended to or signed. @throws LogContradicted where a witness has signed otherwise */
  readonly assertMaySign?: (() => Promise<void>) | undefined
  /** The log has another name from now on. */
  readonly continued?: ((continuation: OpenedContinuation) => void) | undefined
}

export class Checkpoints {
  readonly #parts: CheckpointParts
  readonly continuations: Continuations
  /** The largest one that this broker signed, or took for one of its log. */
  #seen: SeenCheckpoint | undefined
  /**
   * The largest one of its own key that was ever read: a store that came back with an older one does not make this broker forget
   * it. One of another key counts while it is published: a forgery that is taken away again has no more say.
   */
  #largest: SeenCheckpoint | undefined
  /** What was published when it was looked at last. */
  #published: SeenCheckpoint | undefined

  constructor(parts: CheckpointParts) {
    this.#parts = parts
    this.continuations = new Continuations(parts)
  }

  /** What is published is at least so large. */
  get publishedSize(): number {
    return this.#published?.size ?? 0
  }

  /** The largest checkpoint known. */
  get seen(): Tree | undefined {
    return this.#newest
  }

  /** The same, as it was signed. */
  get newest(): string | undefined {
    return this.#newest?.note
  }

  get #newest(): SeenCheckpoint | undefined {
    return largestOf([this.#seen, this.#largest, this.#published])
  }

  /** @throws NoLogKey, KeyFileError, StoreUnavailable */
  signer(): Promise<LogSigner> {
    return this.continuations.signer()
  }

  /**
   * Reads what is published, too.
   * @throws LogContradicted where a checkpoint that was ever seen is not of this log; StoreUnavailable
   */
  async check(head: Tree): Promise<void> {
    await this.#heed()
    await this.look()
    await this.assertMaySign()
    const { last } = this.continuations
    const known = [last && treeOf(last), this.#seen, this.#largest, this.#published].filter((one) => one !== undefined)
    // The largest first: what is missing is told whole.
    const ordered = [...new Set(known)].sort((a, b) => b.size - a.size)
    for (const checkpoint of ordered) await this.#checkOne(checkpoint, head)
    this.#seen = this.#newest
  }

  async #checkOne(seen: Tree, head: Tree): Promise<void> {
    if (seen.size > head.size) {
      const found = `the audit log has ${head.size} records, and ${seen.size} were signed`
      throw new LogContradicted('rolled_back', found, seen)
    }
    if (!(await isBeginning(seen, head, this.#parts.log))) {
      const found = `the first ${seen.size} records of the audit log are not those that were signed`
      throw new LogContradicted('forked', found, seen)
    }
  }

  /** Said at once, and not only when there is something to sign. @throws LogContradicted where a witness knows better */
  async assertMaySign(): Promise<void> {
    if (this.#parts.assertMaySign === undefined) return
    await this.signer()
    await this.#parts.assertMaySign()
  }

  /**
   * Signs what is durable, and publishes it. The caller knows that it is what `check` has admitted, and what was added since.
   * @throws LogContradicted
   */
  async publish(tree: Tree): Promise<void> {
    await this.assertMaySign()
    const signer = await this.signer()
    const { last } = this.continuations
    // Somebody may have continued it while this was appended: what was appended before has no place under its new name.
    if (last !== undefined) await this.#checkOne(treeOf(last), tree)
    const text = formatCheckpoint({ origin: signer.key.name, size: tree.size, root: tree.root })
    const note = formatNote({ text, lines: [await signer.sign(text)] })
    this.#seen = { size: tree.size, root: tree.root, note, isOwn: true }
    await this.look()
  }

  /** Reads what is published, and publishes what is known here where that is more. @throws StoreUnavailable */
  async look(): Promise<void> {
    const { documents } = this.#parts
    for (;;) {
      const { count } = this.continuations
      const text = await documents.read(CHECKPOINT_DOCUMENT)
      const published = await this.#read(text)
      // Heeded meanwhile, by another look: what was read is of the name that the log had.
      if (this.continuations.count !== count) continue
      const before = this.#published
      this.#published = published
      if (published?.isOwn === true) this.#largest = largestOf([this.#largest, published])
      const known = this.#newest
      const isLess = this.publishedSize < Math.max(known?.size ?? 0, text === undefined ? 0 : 1)
      // Under another name by now, perhaps: then what was signed before is not given back.
      if (isLess && text !== before?.note && (await this.#heed())) continue
      if (known === undefined || known.size <= this.publishedSize) return
      if (!(await documents.replace(CHECKPOINT_DOCUMENT, text, known.note))) continue
      this.#published = known
      return
    }
  }

  /** Whether the log has another name since: then nothing is known of what was signed under it. */
  async #heed(): Promise<boolean> {
    if (!(await this.continuations.look())) return false
    this.#seen = undefined
    this.#largest = undefined
    this.#published = undefined
    const { last } = this.continuations
    if (last !== undefined) this.#parts.continued?.(last)
    return true
  }

  /** `undefined`: there is none, or none that a key of this log has signed. */
  async #read(text: string | undefined): Promise<SeenCheckpoint | undefined> {
    if (text === undefined) return undefined
    if (text === this.#seen?.note) return this.#seen
    const { documents } = this.#parts
    const { key } = await this.signer()
    const own = await opened(text, [key])
    if (own !== undefined) return { ...own, isOwn: true }
    const announced = announcedKeys(await documents.read(LOG_KEYS_DOCUMENT)).map(parseVkey)
    const others = await opened(
      text,
      announced.filter(({ name }) => name === key.name),
    )
    return others && { ...others, isOwn: false }
  }
}

/** `undefined`: none of these keys has signed it. */
async function opened(text: string, keys: readonly NoteKey[]): Promise<Omit<SeenCheckpoint, 'isOwn'> | undefined> {
  try {
    const { checkpoint } = await openCheckpoint(text, keys)
    return { size: checkpoint.size, root: checkpoint.root, note: text }
  } catch (error) {
    if (error instanceof NoteError) return undefined
    throw error
  }
}

/** Of two of one size, the first. */
function largestOf(all: readonly (SeenCheckpoint | undefined)[]): SeenCheckpoint | undefined {
  return all.reduce((largest, one) => ((one?.size ?? 0) > (largest?.size ?? 0) ? one : largest), undefined)
}

async function isBeginning(old: Tree, tree: Tree, log: Pick<LogStore, 'read'>): Promise<boolean> {
  try {
    return verifyConsistency(old, tree, await consistencyProof(old.size, tree.size, tilesOf(log)))
  } catch (error) {
    // Tiles that are missing or cut short.
    if (error instanceof RangeError) return false
    throw error
  }
}
