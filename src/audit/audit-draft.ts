/**
 * The audit record of one request, begun before anything is checked and `unfinished` until somebody says otherwise: a path
 * that forgets it shows up as a fault, never as a success (DESIGN §5 step 1).
 */
import { sha256 } from '../kernel/digest.ts'
import type { PrincipalId } from '../kernel/ids.ts'
import { type DecisionId, newDecisionId } from '../kernel/ids.ts'
import type { RejectionReason } from '../kernel/rejection.ts'
import { AUDIT_RECORD_BYTES_MAX } from '../kernel/store-limits.ts'
import type { AuditEvent, AuditRecord } from '../model/audit-record.ts'
import type { Content } from '../model/commit.ts'
import type { Decision, Layer, Verdict } from '../model/decision.ts'
import type { ShadowAnswer } from '../model/shadow.ts'
import type { ChangeRecord } from './change-record.ts'

type Fields = Omit<AuditRecord, 'id' | 'at' | 'outcome' | 'reason' | 'by' | 'by_class'>

/** A question, as it is kept beside the record. */
interface KeptQuestion {
  readonly digest: string
  readonly contents: readonly Content[]
  /** The resource that a token was wanted for. */
  readonly target?: string | undefined
}

const PRINCIPAL_CLASSES = ['agent', 'service', 'user', 'operator'] as const

export class AuditDraft {
  readonly id: DecisionId
  readonly #at: string
  readonly #fields: Fields = { event: 'request.refused' }
  #by: PrincipalId | undefined
  #contents: readonly Content[] = []
  #uncertain = false

  /** @param id of what an earlier record began */
  constructor(nowMs: number, id: DecisionId = newDecisionId()) {
    this.id = id
    this.#at = new Date(nowMs).toISOString()
  }

  /** Whether somebody was authenticated: strangers' refusals are counted, not recorded one by one. */
  get authenticated(): boolean {
    return this.#by !== undefined
  }

  /** Who was authenticated; empty: nobody. */
  get by(): string {
    return this.#by ?? ''
  }

  authenticatedAs(principal: PrincipalId): void {
    this.#by = principal
  }

  /** A commit was sent and nobody knows whether it happened: the record must not say that it was refused. */
  leaveUnfinished(): void {
    this.#uncertain = true
  }

  /** Left so, and nobody will settle it: an API token has no session, and so no commit that could be undone. */
  get staysUnfinished(): boolean {
    return this.#uncertain && this.#fields.event === 'token.api'
  }

  /** The caller turned out to be somebody replaying the client's assertion: nothing of this is the client's doing. */
  disown(): void {
    this.#by = undefined
  }

  add(fields: Partial<Fields>): void {
    Object.assign(this.#fields, fields)
  }

  /** What the record names by digest: kept beside it wherever it is written. */
  get contents(): readonly Content[] {
    return this.#contents
  }

  /** @param kept the question, as it is kept; `shadow`: what a draft would have answered instead */
  addDecision(decision: Decision, kept: KeptQuestion, shadow?: ShadowAnswer): void {
    this.#contents = kept.contents
    const layers: Partial<Record<Layer, Verdict>> = {}
    for (const { layer, verdict } of decision.layers) layers[layer] = verdict
    this.add({
      policy: decision.policyVersion,
      question: kept.digest,
      layers,
      grants_evaluated: decision.grantsEvaluated,
      ...(kept.target === undefined ? {} : { resource: kept.target }),
      ...(decision.grantsMatched.length > 0 ? { grants: decision.grantsMatched } : {}),
      ...(decision.missing.length > 0 ? { missing: decision.missing } : {}),
      ...(shadow === undefined ? {} : { shadow }),
    })
  }

  /** What is changed from what to what: named by digests whose texts are kept beside the record. */
  addChange({ change, contents }: ChangeRecord): void {
    this.add({ change })
    this.#contents = contents
  }

  /** Written before a change is made: a later record of this id says how it ended. */
  intended(): string {
    return this.#serialise({ event: this.#fields.event, outcome: 'unfinished' })
  }

  /** @param event `undefined`: the one set before */
  granted(event: AuditEvent = this.#fields.event): string {
    return this.#serialise({ event, outcome: 'granted' })
  }

  /** @param reason `call_refused`: what was decided admits other calls, and not this one */
  refused(reason: RejectionReason | 'server_error' | 'call_refused'): string {
    return this.#serialise({ event: this.#fields.event, outcome: this.#uncertain ? 'unfinished' : 'refused', reason })
  }

  /** How a commit of unknown outcome ended: undone, or never performed. */
  settled(happened: boolean): string {
    return this.#serialise({
      event: this.#fields.event,
      outcome: happened ? 'undone' : 'refused',
      reason: 'store_unavailable',
    })
  }

  #serialise(end: Pick<AuditRecord, 'event' | 'outcome'> & { readonly reason?: string }): string {
    if (this.#by === undefined) throw new Error('an audit record needs an authenticated principal')
    const by = this.#by
    const byClass = PRINCIPAL_CLASSES.find((name) => by.startsWith(`${name}:`))
    if (byClass === undefined) throw new Error('an audit record needs a known class of principal')
    const record: AuditRecord = { id: this.id, at: this.#at, by, by_class: byClass, ...this.#fields, ...end }
    return serialiseWithinBounds(record)
  }
}

/** What a record sheds, first to last, until it fits: what the same question to the same policy would yield again. */
const SHEDDABLE: readonly (keyof AuditRecord)[] = [
  'missing',
  'grants',
  'layers',
  'grants_evaluated',
  'shadow',
  'asks',
  'detail',
]
/** Attribution and outcome are never shed: what is too long of it is named by its digest (DESIGN §8). */
const ADDRESSABLE = [
  'scope',
  'chain',
  'resource',
  'authorization_server',
  'node',
  'session',
  'correlation',
  'on_behalf_of',
  'by',
] as const

function serialiseWithinBounds(record: AuditRecord): string {
  let kept: AuditRecord = record
  for (const shorten of SHORTENINGS) {
    const text = JSON.stringify(kept)
    if (Buffer.byteLength(text) <= AUDIT_RECORD_BYTES_MAX) return text
    kept = { ...shorten(kept), shortened: true }
  }
  return JSON.stringify(kept)
}

const SHORTENINGS: readonly ((record: AuditRecord) => AuditRecord)[] = [
  ...SHEDDABLE.map((field) => (record: AuditRecord) => {
    const { [field]: _shed, ...rest } = record
    return rest as AuditRecord
  }),
  ...ADDRESSABLE.map((field) => (record: AuditRecord) => ({ ...record, ...addressed(field, record[field]) })),
]

function addressed(field: (typeof ADDRESSABLE)[number], value: string | readonly string[] | undefined) {
  if (value === undefined) return {}
  const digest = `sha256:${sha256(typeof value === 'string' ? value : value.join(' '))}`
  return { [field]: typeof value === 'string' ? digest : [digest] }
}
