/**
 * The audit record of one request, begun before anything is checked and `unfinished` until somebody says otherwise: a path
 * that forgets it shows up as a fault, never as a success (DESIGN §5 step 1).
 */
import type { PrincipalId } from '../kernel/ids.ts'
import { type DecisionId, newDecisionId } from '../kernel/ids.ts'
import type { RejectionReason } from '../kernel/rejection.ts'
import type { AuditEvent, AuditRecord, UserSnapshot } from '../model/audit-record.ts'
import type { CapturedKind } from '../model/captured.ts'
import type { Content } from '../model/commit.ts'
import type { Decision, Layer, Verdict } from '../model/decision.ts'
import { EVENTS, lackingIn } from '../model/event-catalogue.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import type { ShadowAnswer } from '../model/shadow.ts'
import type { ChangeRecord } from './change-record.ts'
import { traceRecord } from './record-attributes.ts'
import { serialiseWithinBounds } from './shorten-record.ts'

/** What was captured of one kind: how the record names it, and what is kept beside it, if anything is. */
export interface Captured {
  readonly kind: CapturedKind
  readonly name: string
  readonly content: Content | undefined
}

type Fields = Omit<AuditRecord, 'id' | 'at' | 'outcome' | 'reason' | 'by' | 'by_class'>

/** A question, as it is kept beside the record. */
interface KeptQuestion {
  readonly digest: string
  readonly contents: readonly Content[]
  /** The resource that a token was wanted for. */
  readonly target?: string | undefined
  /** The user it was decided for. */
  readonly user?: UserSnapshot | undefined
}

/** What a record says of the request itself. */
export type Arrived = Pick<RequestFacts, 'source' | 'correlation' | 'trace' | 'userAgent'>

/** Told of each record as it is made, also of the second one of the same id. */
export type RecordObserver = (record: Pick<AuditRecord, 'event' | 'outcome' | 'reason'>) => void

const PRINCIPAL_CLASSES = ['agent', 'service', 'user', 'operator'] as const

export class AuditDraft {
  readonly id: DecisionId
  readonly #at: string
  readonly #made: RecordObserver | undefined
  /** In the order in which it became known; put together once, at the end. */
  readonly #said: Partial<Fields>[] = []
  #by: PrincipalId | undefined
  #contents: readonly Content[] = []
  #captured: readonly Content[] = []
  #uncertain = false

  /**
   * @param arrived the request; `undefined`: the broker does it by itself
   * @param id of what an earlier record began
   */
  constructor(nowMs: number, arrived?: Arrived, id: DecisionId = newDecisionId(), made?: RecordObserver) {
    this.id = id
    this.#made = made
    this.#at = new Date(nowMs).toISOString()
    if (arrived !== undefined) this.add(describeArrival(arrived))
  }

  /** Whether somebody was authenticated: strangers' refusals are counted, not recorded one by one. */
  get authenticated(): boolean {
    return this.#by !== undefined
  }

  /** Who was authenticated; empty: nobody. */
  get by(): string {
    return this.#by ?? ''
  }

  get #fields(): Fields {
    return Object.assign({ event: 'request.refused' }, ...this.#said)
  }

  /** The piece of work that it is of, as far as is known. */
  get txn(): string | undefined {
    return this.#fields.txn
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
    this.#said.push(fields)
  }

  /** What the record names by digest: kept beside it wherever it is written. */
  get contents(): readonly Content[] {
    return [...this.#contents, ...this.#captured]
  }

  /** One of each kind: what comes later is what counts. */
  addCaptured({ kind, name, content }: Captured): void {
    this.#captured = this.#captured.filter(({ digest }) => digest !== this.#fields.captured?.[kind])
    if (content !== undefined) this.#captured = [...this.#captured, content]
    this.add({ captured: { ...this.#fields.captured, [kind]: name } })
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
      ...(kept.user === undefined ? {} : { user: kept.user }),
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
    const begun = { id: this.id, at: this.#at, by, by_class: byClass, event: 'request.refused' }
    const record: AuditRecord = Object.assign(begun, ...this.#said, end)
    const isChecked = end.reason === undefined && EVENTS[record.event].ends !== true
    const lacking = isChecked ? lackingIn(record) : []
    if (lacking.length > 0) throw new Error(`a record of ${record.event} must say ${lacking.join(', ')}`)
    traceRecord(record)
    this.#made?.(record)
    return serialiseWithinBounds(record)
  }
}

function describeArrival({ source, correlation, trace, userAgent }: Arrived): Partial<Fields> {
  return {
    ip: source,
    ...(userAgent === undefined ? {} : { user_agent: userAgent }),
    ...(correlation === undefined ? {} : { correlation }),
    // Until it is known of which piece of work this is.
    ...(trace === undefined ? {} : { txn: trace.traceId, trace: { trace_id: trace.traceId, span_id: trace.spanId } }),
  }
}
