/**
 * Which broker prunes: the one that has said so last, until it has not been heard of for a while. It spares the others the work,
 * and the log records that say the same; that nothing is removed which nobody announced does not hang on it.
 */
import { z } from 'zod'
import { PRUNER_STAYS_MS, PRUNING_LOOKS_MS } from '../../kernel/log-limits.ts'
import type { DocumentStore } from '../../store/ports.ts'

const DOCUMENT = 'audit-retention'
const CLAIM = z.strictObject({
  v: z.literal(1),
  by: z.string(),
  at: z.number(),
  to: z.int().nonnegative(),
  /** It has looked, and there was nothing to do: the next look is for later, and whoever is first then may. */
  idle: z.boolean().default(false),
})

export interface Claim {
  /** Up to where a pruning was announced last, or was to be. */
  readonly to: number
}

export class RetentionClaim {
  readonly #documents: DocumentStore
  readonly #by: string
  /** As it was written here. */
  #own: string | undefined

  constructor(documents: DocumentStore, by: string) {
    this.#documents = documents
    this.#by = by
  }

  /** `undefined`: it is another's turn. */
  async take(nowMs: number): Promise<Claim | undefined> {
    const text = await this.#documents.read(DOCUMENT)
    const known = parse(text)
    // A clock that was put back keeps nobody waiting for it to come round again.
    const sinceMs = known === undefined ? Infinity : Math.abs(nowMs - known.at)
    const isOwn = known?.by === this.#by
    if (!isOwn && sinceMs < (known?.idle === true ? PRUNING_LOOKS_MS : PRUNER_STAYS_MS)) return undefined
    const to = known?.to ?? 0
    if (isOwn && known?.idle === false && sinceMs < PRUNER_STAYS_MS / 2) {
      this.#own = text
      return { to }
    }
    return (await this.#replace(text, { at: nowMs, to, idle: false })) ? { to } : undefined
  }

  /** There is nothing to do for now. */
  async rest({ to }: Claim, nowMs: number): Promise<void> {
    await this.#replace(this.#own, { at: nowMs, to, idle: true })
  }

  /** Whoever has said so may announce it; `false`: another was faster. */
  async announce(to: number, nowMs: number): Promise<boolean> {
    return this.#replace(this.#own, { at: nowMs, to, idle: false })
  }

  async #replace(expected: string | undefined, claim: Pick<z.output<typeof CLAIM>, 'at' | 'to' | 'idle'>) {
    const text = JSON.stringify({ v: 1, by: this.#by, ...claim } satisfies z.input<typeof CLAIM>)
    const isReplaced = await this.#documents.replace(DOCUMENT, expected, text)
    this.#own = isReplaced ? text : undefined
    return isReplaced
  }
}

/** What cannot be read is nobody's claim. */
function parse(text: string | undefined): z.output<typeof CLAIM> | undefined {
  try {
    return CLAIM.parse(JSON.parse(text ?? ''))
  } catch {
    return undefined
  }
}
