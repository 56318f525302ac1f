/**
 * What witnesses say of the log: each new checkpoint is shown to them, and what they sign of it is kept. One that knows a larger
 * log, or another one, knows that this one was put back or altered: from then on nothing is signed here, until that witness
 * signs what the store has again.
 *
 * Guarantees: the first signature of a process comes after witnesses were asked about what was published before, as far as they
 * answer in time. A witness that cannot be reached holds nobody up otherwise: it is told, and asked again.
 */
import type { Ticks } from '../../kernel/clock.ts'
import { WITNESS_EVERY_MS, WITNESS_TIMEOUT_MS } from '../../kernel/log-limits.ts'
import type { LogSigner } from '../../keys/log-key.ts'
import type { GuardedPost } from '../../net/guarded-fetch.ts'
import { askWitness, type WitnessAddress, type WitnessReply } from '../../net/witness-client.ts'
import { type DocumentStore, type LogStore, StoreUnavailable } from '../../store/ports.ts'
import { formatCheckpoint, parseCheckpoint } from '../../tlog/checkpoint.ts'
import { EMPTY_ROOT } from '../../tlog/hashes.ts'
import { formatNote, parseNote, signaturesBy } from '../../tlog/note.ts'
import { consistencyProof } from '../../tlog/proofs.ts'
import { parseHead } from './head.ts'
import { tilesOf } from './layout.ts'
import { LogContradicted } from './log-contradicted.ts'
import { CHECKPOINT_DOCUMENT, COSIGNED_DOCUMENT } from './log-documents.ts'

/** Its first answer may say only what it knows; the second is then about that. */
const ASKED_MAX = 3

export interface WitnessingParts {
  readonly witnesses: readonly WitnessAddress[]
  readonly post: GuardedPost
  readonly documents: DocumentStore
  readonly log: Pick<LogStore, 'head' | 'read'>
  readonly ticks: Ticks
  /** Of the log, under the name that it has. @throws NoLogKey, KeyFileError, StoreUnavailable */
  readonly signer: () => Promise<LogSigner>
  /** One could not be asked. */
  readonly failed: (witness: string, error: unknown) => void
}

export class Witnessing {
  readonly #parts: WitnessingParts
  /** By name: the size it has signed last, as far as is known here. */
  readonly #known = new Map<string, number>()
  /** By name: why nothing is signed. */
  readonly #contradicted = new Map<string, LogContradicted>()
  /** By name: when it was last known to have signed what there was. */
  readonly #signedMs: Map<string, number>
  /** Once, at least, about what was published then; or there was nothing. */
  #hasAsked = false
  /** Of a log that was continued: its name since, which alone is asked about. */
  #origin: string | undefined
  #asking: Promise<void> | undefined
  #done: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(parts: WitnessingParts) {
    this.#parts = parts
    const nowMs = parts.ticks.ticksMs()
    this.#signedMs = new Map(parts.witnesses.map(({ key }) => [key.name, nowMs]))
  }

  /** By name: for how long it has not signed what there is. Of one that answers, and of a log that stands still, seconds at most. */
  get behindMs(): ReadonlyMap<string, number> {
    const nowMs = this.#parts.ticks.ticksMs()
    return new Map(Array.from(this.#signedMs, ([name, atMs]) => [name, nowMs - atMs]))
  }

  start(): void {
    this.#timer = setInterval(() => void this.ask(), WITNESS_EVERY_MS)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#asking
  }

  /** The log has this name from now on: what witnesses know of it under another says nothing of what is signed next. */
  continued(origin: string): void {
    this.#origin = origin
    this.#forget()
  }

  #forget(): void {
    this.#known.clear()
    this.#contradicted.clear()
    this.#done = undefined
    this.#hasAsked = false
  }

  /** @throws LogContradicted where a witness knows better; StoreUnavailable where none could be asked yet for want of the store */
  async assertMaySign(): Promise<void> {
    if (!this.#hasAsked) await this.ask()
    if (!this.#hasAsked) throw new StoreUnavailable('what witnesses are to be asked about could not be read')
    for (const contradiction of this.#contradicted.values()) throw contradiction
  }

  /** Shows them the newest checkpoint there is, unless all of them have signed it. Never throws. */
  ask(): Promise<void> {
    this.#asking ??= this.#round()
      .catch((error: unknown) => this.#parts.failed('', error))
      .finally(() => {
        this.#asking = undefined
      })
    return this.#asking
  }

  async #round(): Promise<void> {
    const { documents, witnesses } = this.#parts
    const origin = this.#origin
    const published = await documents.read(CHECKPOINT_DOCUMENT)
    const isOurs = origin === undefined || originOf(published) === origin
    const note = isOurs && published !== undefined ? published : await this.#question()
    if (note === undefined || note === this.#done) {
      this.#hasAsked = true
      for (const { key } of witnesses) this.#hasSigned(key.name)
      return
    }
    const lines = await Promise.all(witnesses.map((witness) => this.#askOne(witness, note)))
    if (origin !== this.#origin) return this.#forget()
    this.#hasAsked = true
    const signed = lines.filter((line) => line !== undefined)
    if (note !== published) return
    if (signed.length > 0) await this.#keep(note, signed)
    if (signed.length === witnesses.length) this.#done = note
  }

  /**
   * Where nothing is published, before the first signature: a checkpoint of no records, which binds nobody. A witness that has
   * signed some says so, and a store that was put back without its checkpoints is found like any other.
   */
  async #question(): Promise<string | undefined> {
    if (this.#hasAsked) return undefined
    const signer = await this.#parts.signer()
    const text = formatCheckpoint({ origin: signer.key.name, size: 0, root: EMPTY_ROOT })
    return formatNote({ text, lines: [await signer.sign(text)] })
  }

  async #askOne(witness: WitnessAddress, note: string): Promise<string | undefined> {
    const { name } = witness.key
    try {
      const reply = await this.#replyOf(witness, note)
      if (reply?.kind === 'signed') {
        this.#contradicted.delete(name)
        this.#hasSigned(name)
        return reply.line
      }
      if (reply === undefined) this.#hasSigned(name)
      else this.#contradict(name, reply, note)
    } catch (error) {
      this.#parts.failed(name, error)
    }
    return undefined
  }

  #hasSigned(name: string): void {
    this.#signedMs.set(name, this.#parts.ticks.ticksMs())
  }

  /** `undefined`: there is a newer checkpoint than this by now, which it has signed. */
  async #replyOf(witness: WitnessAddress, note: string): Promise<WitnessReply | undefined> {
    const { post, log } = this.#parts
    const { name } = witness.key
    const { size } = parseCheckpoint(parseNote(note).text)
    let old = Math.min(size, this.#known.get(name) ?? 0)
    for (let asked = 1; ; asked++) {
      const proof = await consistencyProof(old, size, tilesOf(log))
      const reply = await askWitness(post, witness, { old, proof, note, timeoutMs: WITNESS_TIMEOUT_MS })
      this.#known.set(name, reply.kind === 'signed' ? size : reply.kind === 'known' ? reply.size : old)
      if (reply.kind !== 'known') return reply
      if (reply.size > size) return parseHead(await log.head()).size >= reply.size ? undefined : reply
      // It has just been told so much, and says the same: of one size it knows another root.
      if (reply.size === old || asked === ASKED_MAX) return { kind: 'refused' }
      old = reply.size
    }
  }

  #contradict(name: string, reply: Exclude<WitnessReply, { kind: 'signed' }>, note: string): void {
    const { size } = parseCheckpoint(parseNote(note).text)
    const contradiction =
      reply.kind === 'known'
        ? new LogContradicted(
            'rolled_back',
            `the audit log is signed up to ${size} records, and ${name} has co-signed ${reply.size}`,
            { size: reply.size },
          )
        : new LogContradicted('forked', `the audit log is not the one that ${name} has co-signed`, { size })
    this.#contradicted.set(name, contradiction)
    this.#parts.failed(name, contradiction)
  }

  /** In place of what is older, or has fewer of their signatures. */
  async #keep(note: string, signed: readonly string[]): Promise<void> {
    const { documents } = this.#parts
    const { text, lines } = parseNote(note)
    const cosigned = formatNote({ text, lines: [...lines.filter((line) => !signed.includes(line)), ...signed] })
    const { size, origin } = parseCheckpoint(text)
    for (;;) {
      const found = await documents.read(COSIGNED_DOCUMENT)
      const kept = await this.#worthOf(found, origin)
      if (kept.size > size || (kept.size === size && kept.signatures >= signed.length)) return
      if (await documents.replace(COSIGNED_DOCUMENT, found, cosigned)) return
    }
  }

  /** What no witness has signed is worth nothing, whoever has put it there; nor what the log was signed with under another name. */
  async #worthOf(
    note: string | undefined,
    of: string,
  ): Promise<{ readonly size: number; readonly signatures: number }> {
    try {
      const parsed = parseNote(note ?? '')
      const signed = await signaturesBy(
        parsed,
        this.#parts.witnesses.map(({ key }) => key),
      )
      const { size, origin } = parseCheckpoint(parsed.text)
      return signed.length === 0 || origin !== of ? { size: 0, signatures: 0 } : { size, signatures: signed.length }
    } catch {
      return { size: 0, signatures: 0 }
    }
  }
}

/** `undefined`: there is none, or it is no checkpoint. */
function originOf(note: string | undefined): string | undefined {
  try {
    return parseCheckpoint(parseNote(note ?? '').text).origin
  } catch {
    return undefined
  }
}
