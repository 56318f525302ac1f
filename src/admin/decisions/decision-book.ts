/** Recorded decisions as operators read them: by id, newest first, and with the question that was asked. */

import type { AuditTrail } from '../../audit/trail/audit-trail.ts'
import type { Authority } from '../../authority/authority.ts'
import type { DecisionId } from '../../kernel/ids.ts'
import { DECISIONS_LOOKED_AT_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import type { Question } from '../../model/decision.ts'
import { findUserOrNobody } from '../../model/find-user.ts'
import type { Registry } from '../../model/registry.ts'
import type { QuestionSources } from '../../policy/encode-question.ts'
import { answerOfKept, type KeptAnswer, partsOfKept, questionOfKept } from '../../policy/recorded-decision.ts'

/** Versions of the policy, for as long as records may name them. */
export interface PolicyVersions {
  versionOf(version: string): Promise<Registry | undefined>
}

export interface StoredDecision {
  readonly record: AuditRecord
  /** How one ended that was unfinished. */
  readonly later: readonly AuditRecord[]
  /** `undefined`: no policy was asked, or its text is no longer kept. */
  readonly kept: KeptTexts | undefined
}

/** The question and its parts, as texts by digest. */
export interface KeptTexts {
  readonly text: string
  readonly parts: ReadonlyMap<string, string>
}

export interface DecisionFilter {
  readonly agent?: string | undefined
  /** `user:<issuer slug>:<sub>`. */
  readonly user?: string | undefined
  readonly resource?: string | undefined
  readonly outcome?: string | undefined
  readonly reason?: string | undefined
  /** Whether a draft in shadow would have answered otherwise. */
  readonly shadow?: 'differs' | undefined
  /** Epoch milliseconds: at or after, and before. */
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
}

export interface DecisionPage {
  readonly records: readonly AuditRecord[]
  /** Records read to find them. */
  readonly lookedAt: number
  /** The next page begins after it; absent: nothing older is kept, or none in the time asked for. */
  readonly after?: string
}

export class DecisionBook {
  readonly #trail: AuditTrail
  /** Of one use of the book: many decisions share them. */
  readonly #texts = new Map<string, string>()

  constructor(trail: AuditTrail) {
    this.#trail = trail
  }

  /** @throws Rejection `not_found` */
  async find(id: string): Promise<StoredDecision> {
    const records = (await this.#trail.find(id)).map(({ record }) => record)
    const record = records.find(({ question }) => question !== undefined) ?? records[0]
    if (record === undefined) throw new Rejection('not_found', 'no decision of this id is kept')
    return { record, later: records.filter((one) => one !== record), kept: await this.kept(record) }
  }

  /** Decisions of the policy, newest first; looks at so many records and no more. */
  async page(filter: DecisionFilter, limit: number, after?: string): Promise<DecisionPage> {
    const { shadow, ...exact } = filter
    const wanted = { ...exact, trait: shadow === undefined ? 'decision' : 'shadow_differs' }
    const records: AuditRecord[] = []
    let lookedAt = 0
    let at = after
    do {
      const page = await this.#trail.page(wanted, limit - records.length, at)
      records.push(...page.entries.map(({ record }) => record))
      lookedAt += page.lookedAt
      at = page.after
    } while (at !== undefined && records.length < limit && lookedAt < DECISIONS_LOOKED_AT_MAX)
    return { records, lookedAt, ...(at === undefined ? {} : { after: at }) }
  }

  /** What the record names, as far as it is kept. */
  async kept(record: AuditRecord): Promise<KeptTexts | undefined> {
    if (record.question === undefined) return undefined
    const text = await this.#trail.content(record.question, record)
    if (text === undefined) return undefined
    const parts = new Map<string, string>()
    for (const digest of partsOfKept(text)) {
      const part = this.#texts.get(digest) ?? (await this.#trail.content(digest, record))
      if (part === undefined) continue
      this.#texts.set(digest, part)
      parts.set(digest, part)
    }
    return { text, parts }
  }
}

/** Whose users a question is asked about: as they were then, or as the registry that is asked has them. */
export type UsersOf = 'then' | 'registry'

/** @throws QuestionUnreadable */
export function questionIn(kept: KeptTexts, id: string, registry: Registry, usersOf: UsersOf): Question {
  const sources: QuestionSources = {
    agent: (clientId) => {
      const client = registry.client(clientId)
      return client?.kind === 'agent' ? client : undefined
    },
    service: (clientId) => {
      const client = registry.client(clientId)
      return client?.kind === 'service' ? client : undefined
    },
    user: (then) => (usersOf === 'then' ? then : findUserOrNobody(registry, then)),
    part: (digest) => kept.parts.get(digest),
  }
  return questionOfKept(kept.text, id as DecisionId, sources)
}

/**
 * As it would be asked now, for as long as was asked for then: a grant may have ended since, or begun.
 * @param now epoch seconds. @throws QuestionUnreadable
 */
export function questionNow(kept: KeptTexts, id: string, registry: Registry, now: number): Question {
  const then = questionIn(kept, id, registry, 'registry')
  const later = <T extends Authority | undefined>(authority: T): T =>
    authority && { ...authority, notAfter: authority.notAfter + now - then.now }
  return { ...then, now, asked: later(then.asked), parent: later(then.parent), ceiling: later(then.ceiling) }
}

/** @throws QuestionUnreadable */
export function answerIn(kept: KeptTexts): KeptAnswer {
  return answerOfKept(kept.text, { part: (digest) => kept.parts.get(digest) })
}
