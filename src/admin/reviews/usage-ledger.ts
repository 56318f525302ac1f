/**
 * Counts what agents use of what they may, for reviews. In memory while requests are answered (a few look-ups, no I/O), and
 * written behind: a crash loses what was counted since the last flush, a store that is away loses nothing, and the memory is
 * bounded by the registry and by `USAGE_*`. Nobody is ever refused for it: it is no record of decisions, the audit is that.
 */
import type { Clock } from '../../kernel/clock.ts'
import { MISSING_LINES_MAX } from '../../kernel/limits.ts'
import { USAGE_AGENTS_PER_FLUSH_MAX, USAGE_FLUSH_MS } from '../../kernel/store-limits.ts'
import type { Agent } from '../../model/client.ts'
import type { Issued } from '../../model/exchange.ts'
import type { RegistrySource } from '../../model/published-registry.ts'
import type { DocumentStore } from '../../store/ports.ts'
import { type AgentUsage, credentialName, newUsage, usageAt } from './agent-usage.ts'
import { introduce, mergeInto } from './usage-documents.ts'

const WRITES_AT_ONCE = 16

interface Counted {
  readonly usage: AgentUsage
  isNews: boolean
}

export class UsageLedger {
  readonly #documents: DocumentStore
  readonly #registries: RegistrySource
  readonly #clock: Clock
  readonly #counted = new Map<string, Counted>()
  /** Agents of `#version` whose document has still to be looked at. */
  #unknown: Agent[] = []
  #version: string | undefined
  #flushing: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  constructor(documents: DocumentStore, registries: RegistrySource, clock: Clock) {
    this.#documents = documents
    this.#registries = registries
    this.#clock = clock
  }

  start(): void {
    this.#timer = setInterval(() => void this.flush(), USAGE_FLUSH_MS)
    this.#timer.unref()
  }

  /** Writes what is news; the rest is looked at by whoever starts next. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#afterOthers(() => this.#writeNews())
  }

  /** Part of answering a request: nothing here waits, and only what is news allocates. */
  readonly issued = ({ by, now, decided }: Issued): void => {
    if (by.client.kind !== 'agent') {
      // A server on the way needs what it was called with: that of the agents is used, and nothing of theirs was shown.
      if (decided?.resource !== undefined) this.#usedByAll(decided, now)
      return
    }
    const own = this.#of(by.client, now)
    const { usage } = own
    let isNews = usage.credentials.record(credentialName(by), now)
    usage.seen = now
    if (decided !== undefined) {
      const { question, grants, resource } = decided
      if (question.user !== undefined) isNews = usage.users.record(question.subject, now) || isNews
      for (const grant of grants) isNews = usage.grants.record(grant, now) || isNews
      // The list is cut there: what it does not name may have matched all the same.
      if (grants.length >= MISSING_LINES_MAX) usage.grants.forget(now)
      if (resource !== undefined) this.#usedByAll(decided, now)
    }
    own.isNews = isNews || own.isNews
  }

  /** Writes what is news. Never throws: what could not be written waits for the next time. One after the other. */
  flush(): Promise<void> {
    return this.#afterOthers(async () => {
      await this.#introduceAgents()
      await this.#writeNews()
    })
  }

  #afterOthers(work: () => Promise<void>): Promise<void> {
    this.#flushing = this.#flushing.then(work).catch(() => undefined)
    return this.#flushing
  }

  /** Without theirs, nobody below them would hold it: what is passed on is used. */
  #usedByAll(decided: NonNullable<Issued['decided']>, now: number): void {
    for (const agent of [decided.question.agent, ...decided.question.chain]) this.#used(agent, decided, now)
  }

  #used(agent: Agent, { resource, authority }: NonNullable<Issued['decided']>, now: number): void {
    const granted = resource === undefined ? undefined : authority.resources.get(resource.url)
    if (resource === undefined || granted === undefined) return
    const counted = this.#of(agent, now)
    const there = usageAt(counted.usage, resource.id)
    if (there === undefined) return
    let { isNews } = counted
    for (const scope of granted.scopes) isNews = there.scopes.record(scope, now) || isNews
    for (const tool of granted.tools.keys()) isNews = there.tools.record(tool, now) || isNews
    counted.isNews = isNews
  }

  #of({ clientId }: Agent, now: number): Counted {
    let counted = this.#counted.get(clientId)
    if (counted === undefined) {
      counted = { usage: newUsage(now), isNews: false }
      this.#counted.set(clientId, counted)
    }
    return counted
  }

  async #writeNews(): Promise<void> {
    const news = [...this.#counted].filter(([, { isNews }]) => isNews).slice(0, USAGE_AGENTS_PER_FLUSH_MAX)
    for (let from = 0; from < news.length; from += WRITES_AT_ONCE) {
      const writes = news
        .slice(from, from + WRITES_AT_ONCE)
        .map(([clientId, counted]) => this.#write(clientId, counted))
      await Promise.all(writes)
    }
  }

  async #write(clientId: string, counted: Counted): Promise<void> {
    counted.isNews = false
    try {
      await mergeInto(this.#documents, clientId, counted.usage)
    } catch (fault) {
      counted.isNews = true
      throw fault
    }
  }

  /** From when on an agent has been there to be used must not depend on its being used. */
  async #introduceAgents(): Promise<void> {
    const registry = this.#registries.current
    if (registry.version !== this.#version) {
      this.#version = registry.version
      this.#unknown = [...registry.agents]
      for (const clientId of this.#counted.keys()) {
        if (registry.client(clientId) === undefined) this.#counted.delete(clientId)
      }
    }
    const now = Math.floor(this.#clock.nowMs() / 1000)
    for (let left = USAGE_AGENTS_PER_FLUSH_MAX; left > 0; left--) {
      const agent = this.#unknown.at(-1)
      if (agent === undefined) return
      await introduce(this.#documents, agent, now)
      this.#unknown.pop()
    }
  }
}
