/**
 * Removes the bodies of records that need not be kept any longer, from the beginning of the log; entries and tiles stay, and so
 * does every proof. In this order, so that it may end between any two, and whoever comes next goes on:
 *
 * 1. announce: a record says up to where, signed by the log's key, written like any other;
 * 2. wait until that record is in the log, under a published checkpoint;
 * 3. remove, oldest first, a few bundles at once, together with the columns of chunks of which nothing is left: only while the
 *    head of the log is the one looked at, the sequencer's own fence; then the keys of what was captured with them.
 *
 * Guarantees: no body goes that the log does not say is to go; none that is not as it was written; none that a broker may have to
 * look up (`floor`). Runs beside everything else, a little at a time, in one broker at a time; two at once do no harm.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../kernel/clock.ts'
import { operatorPrincipal } from '../../kernel/ids.ts'
import {
  PRUNED_BUNDLES_PER_TURN,
  PRUNED_RECORDS_MAX,
  PRUNER_STAYS_MS,
  PRUNING_LOOKS_MS,
  PRUNING_TURN_MS,
  PRUNING_WAITS_MS,
  SEQUENCED_KEPT_MS,
} from '../../kernel/log-limits.ts'
import { announcedKeys, type LogSigner } from '../../keys/log-key.ts'
import type { DocumentStore, LogPiece, LogStore } from '../../store/ports.ts'
import { outsideBudget } from '../../store/time-budget.ts'
import { type NoteKey, parseVkey } from '../../tlog/note-keys.ts'
import { TiledTree } from '../../tlog/subtrees.ts'
import type { Auditor } from '../auditor.ts'
import type { Checkpoints } from '../log/checkpoints.ts'
import { DIMENSIONS } from '../log/columns.ts'
import { DamagedLog } from '../log/damaged-log.ts'
import { type LogHead, parseHead } from '../log/head.ts'
import { BUNDLE_RECORDS, bundleOf, chunkOf, columnPiece, contentsPiece, recordsPiece, tilesOf } from '../log/layout.ts'
import { LOG_KEYS_DOCUMENT } from '../log/log-documents.ts'
import { newestNotice, type PruningNotice } from '../log/pruning-boundary.ts'
import { signPruned } from '../log/pruning-notice.ts'
import { LogBodies } from '../trail/log-bodies.ts'
import { LogSearch } from '../trail/log-search.ts'
import { type Beyond, beyondKeeping, oldestKept, type RetentionSettings, wholeBundles } from './old-bundles.ts'
import { RetentionClaim } from './retention-claim.ts'

export interface RetentionParts {
  readonly settings: RetentionSettings
  readonly log: LogStore
  readonly documents: DocumentStore
  readonly auditor: Pick<Auditor, 'begin' | 'log'>
  readonly checkpoints: Pick<Checkpoints, 'publishedSize' | 'signer'>
  /** Why the log stands still: nothing is removed of one that is not what was signed of it. */
  readonly problem: () => string | undefined
  /** Data keys of what was captured before a time (epoch milliseconds) open nothing any more. */
  readonly forgetKeys: (beforeMs: number) => Promise<void>
  readonly clock: Clock
  /** The store's clock, epoch milliseconds: a machine that is set to a wrong year must not prune the whole log. */
  readonly storeNowMs: () => Promise<number>
  /** This broker, as no other is called. */
  readonly by: string
  readonly failed: (error: unknown) => void
}

const BROKER = operatorPrincipal('broker')
const REMOVE_ATTEMPTS_MAX = 8

export class Retention {
  readonly #parts: RetentionParts
  readonly #claim: RetentionClaim
  readonly #search: LogSearch
  /** Index of the first record that has a body, when it was looked at last. */
  #first = 0
  #notice: PruningNotice | undefined
  /** Announced here, and not seen in the log yet. */
  #awaited: { readonly to: number; readonly sinceMs: number } | undefined
  /** What was found to be beyond keeping, while it is looked for more. */
  #found: { readonly to: number; readonly why: Beyond } | undefined
  #timer: NodeJS.Timeout | undefined
  #turning: Promise<number> | undefined
  #isStopping = false

  constructor(parts: RetentionParts) {
    this.#parts = parts
    this.#claim = new RetentionClaim(parts.documents, parts.by)
    this.#search = new LogSearch(parts.log, new LogBodies(parts.log))
  }

  get firstKept(): number {
    return this.#first
  }

  start(): void {
    this.#arm(PRUNING_WAITS_MS)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#timer)
    await this.#turning
  }

  #arm(afterMs: number): void {
    if (this.#isStopping) return
    this.#timer = setTimeout(() => void this.turn().then((nextMs) => this.#arm(nextMs)), afterMs)
    this.#timer.unref()
  }

  /** @returns milliseconds until the next one. Never throws: what failed is told, and tried again. */
  turn(): Promise<number> {
    this.#turning ??= outsideBudget(() => this.#turn())
      .catch((error: unknown) => {
        this.#parts.failed(error)
        return PRUNING_LOOKS_MS
      })
      .finally(() => {
        this.#turning = undefined
      })
    return this.#turning
  }

  async #turn(): Promise<number> {
    const { log, checkpoints, clock, storeNowMs, problem } = this.#parts
    const head = parseHead(await log.head())
    this.#first = await this.#firstKept(head.size)
    if (head.size < BUNDLE_RECORDS || checkpoints.publishedSize > head.size || problem() !== undefined) {
      this.#found = undefined
      return PRUNING_LOOKS_MS
    }
    const signer = await checkpoints.signer()
    const nowMs = Math.min(clock.nowMs(), await storeNowMs())
    const claim = await this.#claim.take(nowMs)
    if (claim === undefined) return PRUNER_STAYS_MS
    if (this.#first > 0 || claim.to > 0 || this.#notice !== undefined) await this.#lookForNotice(head.size, signer.key)
    const to = this.#notice?.to ?? 0
    if (this.#notice !== undefined && to > this.#first) return this.#carryOut(this.#notice)
    if (this.#first > to) throw new DamagedLog(`records before ${this.#first} are gone, and no record of it is signed`)
    if (this.#awaited !== undefined && nowMs - this.#awaited.sinceMs < SEQUENCED_KEPT_MS) return PRUNING_WAITS_MS
    const nextMs = await this.#look(head, nowMs, signer)
    if (nextMs === PRUNING_LOOKS_MS) await this.#claim.rest(claim, nowMs)
    return nextMs
  }

  /** Where it was, mostly. */
  async #firstKept(size: number): Promise<number> {
    const bundle = bundleOf(this.#first)
    const around = bundle === 0 ? [recordsPiece(0)] : [recordsPiece(bundle), recordsPiece(bundle - 1)]
    const [here, before] = await this.#parts.log.read(around)
    return here !== undefined && before === undefined ? this.#first : this.#search.firstKept(size)
  }

  /** By any key that brokers of this log have announced: whatever is removed by mistake for it, its own record would give away. */
  async #lookForNotice(size: number, own: NoteKey): Promise<void> {
    const { log, documents } = this.#parts
    const announced = announcedKeys(await documents.read(LOG_KEYS_DOCUMENT)).map(parseVkey)
    const fromChunk = this.#notice === undefined ? 0 : chunkOf(this.#notice.index)
    const keys = [own, ...announced]
    const newest = await newestNotice(log, size, { keys, fromChunk })
    // Of a log that has gone on without its end the one that was known may be lost: then an older one counts, if any.
    this.#notice = newest ?? (fromChunk > 0 ? await newestNotice(log, size, { keys }) : undefined)
    if ((this.#notice?.to ?? 0) >= (this.#awaited?.to ?? 0)) this.#awaited = undefined
  }

  async #carryOut(notice: PruningNotice): Promise<number> {
    const { log, checkpoints } = this.#parts
    if (checkpoints.publishedSize <= notice.index) return PRUNING_WAITS_MS
    const from = this.#first
    const to = wholeBundles(Math.min(notice.to, from + PRUNED_BUNDLES_PER_TURN * BUNDLE_RECORDS))
    const pieces = piecesOf(from, to).map((name): LogPiece => ({ name, put: undefined }))
    for (let attempt = 0; attempt < REMOVE_ATTEMPTS_MAX; attempt += 1) {
      const text = await log.head()
      // The log was put back to before it said so: what it has there by then may be other records.
      if (text === undefined || parseHead(text).size <= notice.index) {
        this.#notice = undefined
        return PRUNING_WAITS_MS
      }
      if (!(await log.append(text, text, pieces))) continue
      this.#first = to
      return PRUNING_TURN_MS
    }
    return PRUNING_TURN_MS
  }

  /** A few bundles at once; all that is beyond keeping is announced together. */
  async #look(head: LogHead, nowMs: number, signer: LogSigner): Promise<number> {
    const { log, checkpoints, settings } = this.#parts
    const { size, floor } = head
    const first = this.#first
    let { to, why } = this.#found ?? { to: first, why: undefined }
    const end = wholeBundles(Math.min(size, floor, checkpoints.publishedSize, first + PRUNED_RECORDS_MAX))
    for (let looked = 0; to < end; looked += 1) {
      if (looked === PRUNED_BUNDLES_PER_TURN && why !== undefined) {
        this.#found = { to, why }
        return PRUNING_TURN_MS
      }
      const beyond = await beyondKeeping(log, { bundle: bundleOf(to), size, nowMs }, settings)
      if (beyond === undefined) break
      why ??= beyond
      to += BUNDLE_RECORDS
      await turn()
    }
    this.#found = undefined
    if (why !== undefined) return this.#announce({ from: first, to, why }, nowMs, signer)
    if (first > 0) await this.#parts.forgetKeys(await oldestKept(log, first, size, nowMs))
    return PRUNING_LOOKS_MS
  }

  async #announce(
    stretch: { readonly from: number; readonly to: number; readonly why: Beyond },
    nowMs: number,
    signer: LogSigner,
  ): Promise<number> {
    const { log, auditor, checkpoints } = this.#parts
    const size = checkpoints.publishedSize
    const root = (await new TiledTree(size, tilesOf(log)).root()).toString('base64')
    const pruned = await signPruned({ ...stretch, size, root }, signer)
    if (!(await this.#claim.announce(stretch.to, nowMs))) return PRUNING_LOOKS_MS
    const draft = auditor.begin()
    draft.authenticatedAs(BROKER)
    draft.add({ pruned })
    await auditor.log.append(draft.id, draft.granted('audit.pruned'))
    this.#awaited = { to: stretch.to, sinceMs: nowMs }
    return PRUNING_WAITS_MS
  }
}

/** All that goes with the bodies of these records, which are whole bundles. */
function piecesOf(from: number, to: number): readonly string[] {
  const bundles = Array.from({ length: bundleOf(to) - bundleOf(from) }, (_, n) => bundleOf(from) + n)
  const [firstChunk, endChunk] = [chunkOf(from), chunkOf(to)]
  const chunks = Array.from({ length: endChunk - firstChunk }, (_, n) => firstChunk + n)
  return [
    ...bundles.flatMap((bundle) => [recordsPiece(bundle), contentsPiece(bundle)]),
    ...chunks.flatMap((chunk) => [...DIMENSIONS, 'at'].map((dimension) => columnPiece(dimension, chunk))),
  ]
}
