/**
 * Since when agents have nobody who answers for them, for all brokers of a store: the first that sees it says when, and no restart
 * makes it later. The time ends for whoever is given an owner again, or whose owner comes back.
 */
import type { Logger } from 'pino'
import type { Clock } from '../../kernel/clock.ts'
import { ORPHAN_LOOK_MS, POLICY_ATTEMPTS_MAX } from '../../kernel/policy-limits.ts'
import { inTurns } from '../../kernel/slices.ts'
import { type Orphans, orphaned } from '../../model/owner.ts'
import type { RegistrySource } from '../../model/published-registry.ts'
import type { Registry } from '../../model/registry.ts'
import type { DocumentStore } from '../../store/ports.ts'

export interface OrphanWatchParts {
  readonly documents: DocumentStore
  readonly registries: RegistrySource
  readonly clock: Clock
  readonly log: Pick<Logger, 'warn'>
}

/** By client id, in epoch milliseconds. */
type Since = Readonly<Record<string, number>>

const KEY = 'orphans'

export class OrphanWatch implements Orphans {
  readonly #parts: OrphanWatchParts
  #since: ReadonlyMap<string, number> = new Map()
  /** The version whose orphans are written. */
  #seen: Registry | undefined
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(parts: OrphanWatchParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    await this.look()
    if (this.#isStopped) return
    this.#timer = setTimeout(() => void this.start(), ORPHAN_LOOK_MS)
    this.#timer.unref()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  since(clientId: string): number | undefined {
    return this.#since.get(clientId)
  }

  /** Nothing, where the registry is the one looked at. Never throws: what could not be written is counted from now, and written later. */
  async look(): Promise<void> {
    const { registries, clock, log } = this.#parts
    const registry = registries.current
    if (registry === this.#seen) return
    const orphans = await inTurns(orphaned(registry))
    const ids = orphans.flatMap(({ kind, id }) => (kind === 'agent' ? [id] : []))
    const before = this.#since
    const nowMs = clock.nowMs()
    const written = await this.#write(ids, nowMs).catch(() => undefined)
    const found = written ?? Object.fromEntries(ids.map((id) => [id, before.get(id) ?? nowMs]))
    this.#since = new Map(Object.entries(found))
    if (written !== undefined) this.#seen = registry
    const news = ids.filter((id) => !before.has(id))
    if (news.length > 0) log.warn({ agents: news.slice(0, 20), count: news.length }, OWNERS_LEFT)
  }

  /** `undefined`: too many others write at the same time. */
  async #write(ids: readonly string[], nowMs: number): Promise<Since | undefined> {
    const { documents } = this.#parts
    for (let attempt = 0; attempt < POLICY_ATTEMPTS_MAX; attempt += 1) {
      const text = await documents.read(KEY)
      const known = new Map(Object.entries(text === undefined ? {} : (JSON.parse(text) as Since)))
      const next = Object.fromEntries(ids.map((id) => [id, known.get(id) ?? this.#since.get(id) ?? nowMs]))
      const nextText = JSON.stringify(next)
      if (nextText === (text ?? '{}') || (await documents.replace(KEY, text, nextText))) return next
    }
    return undefined
  }
}

const OWNERS_LEFT = 'whoever answered for these agents has left: after the grace they are issued nothing'
