/**
 * Lists for people, written a few times a second whatever the traffic: every session is in three of them, and a write for each
 * would cost an exchange as much as its commit does. What is read through the same store is written first.
 *
 * A member that waits is lost if the process dies: its session is missing from the list, and lives, dies and is found by its id
 * like any other (DESIGN §9).
 */
import { INDEX_ENTRIES_WAITING_MAX, INDEX_WAIT_MS } from '../kernel/store-limits.ts'
import { checkedExpiry } from './bounds.ts'
import { type IndexStore, StoreUnavailable } from './ports.ts'

/** By list: its members with their expiry. */
export type ListedMembers = ReadonlyMap<string, ReadonlyMap<string, number>>

/** What a backend does with lists. */
export interface IndexBackend {
  /** A member's expiry never moves backwards. What is written of a list is written at once. */
  addAll(lists: ListedMembers): Promise<void>
  list(index: string, nowMs: number, limit: number): Promise<readonly string[]>
  count(index: string, nowMs: number, limit: number): Promise<number>
}

interface Batch {
  readonly members: Map<string, Map<string, number>>
  readonly written: Promise<void>
  write(): void
}

export class BatchedIndexes implements IndexStore {
  readonly #backend: IndexBackend
  #waiting: Batch | undefined
  /** Those that wait, and those being written now. */
  readonly #unwritten = new Set<Batch>()
  #entries = 0

  constructor(backend: IndexBackend) {
    this.#backend = backend
  }

  /** Resolves when it is written. */
  async add(index: string, member: string, expiresAtMs: number): Promise<void> {
    const expiry = checkedExpiry(expiresAtMs)
    // An outage must not collect entries without end.
    if (this.#entries >= INDEX_ENTRIES_WAITING_MAX)
      throw new StoreUnavailable('too many list entries wait to be written')
    const batch = this.#batch()
    const members = batch.members.get(index) ?? new Map<string, number>()
    batch.members.set(index, members)
    if (!members.has(member)) this.#entries += 1
    members.set(member, Math.max(members.get(member) ?? 0, expiry))
    return batch.written
  }

  async list(index: string, nowMs: number, limit: number): Promise<readonly string[]> {
    if (limit <= 0) return []
    await this.flush()
    return this.#backend.list(index, nowMs, limit)
  }

  async count(index: string, nowMs: number, limit: number): Promise<number> {
    await this.flush()
    return this.#backend.count(index, nowMs, limit)
  }

  /** What waits is written now, and what is being written is waited for. Never throws: whoever added an entry hears of its failure. */
  async flush(): Promise<void> {
    this.#waiting?.write()
    await Promise.allSettled([...this.#unwritten].map(({ written }) => written))
  }

  #batch(): Batch {
    if (this.#waiting !== undefined) return this.#waiting
    const members = new Map<string, Map<string, number>>()
    let begin: () => void = () => undefined
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    const timer = setTimeout(begin, INDEX_WAIT_MS)
    const written = begun.then(async () => {
      clearTimeout(timer)
      if (this.#waiting === batch) this.#waiting = undefined
      try {
        await this.#backend.addAll(members)
      } finally {
        this.#unwritten.delete(batch)
        for (const entries of members.values()) this.#entries -= entries.size
      }
    })
    written.catch(() => undefined)
    const batch: Batch = { members, written, write: begin }
    this.#waiting = batch
    this.#unwritten.add(batch)
    return batch
  }
}
