/** A request of a service that enforces decisions: its record, who calls, one version of the registry for all of it. */
import type { AuditDraft } from '../audit/audit-draft.ts'
import type { Auditor } from '../audit/auditor.ts'
import type { Capture } from '../audit/captured/capture.ts'
import type { Clock } from '../kernel/clock.ts'
import type { DecisionId } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { AuditEvent } from '../model/audit-record.ts'
import type { Caller } from '../model/caller.ts'
import type { Service } from '../model/client.ts'
import type { CallObserver } from '../model/exchange.ts'
import type { Orphans } from '../model/owner.ts'
import type { RegistrySource } from '../model/published-registry.ts'
import type { Registry } from '../model/registry.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import type { Resource } from '../model/resource.ts'
import type { BrokerSettings } from '../model/settings.ts'
import type { Shadow } from '../model/shadow.ts'
import type { ExternalPolicy } from '../net/external-policy.ts'
import type { DriftWatch } from '../sessions/drift-watch.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import type { CallStore, WindowStore } from '../store/call-ports.ts'
import { withinBudget } from '../store/time-budget.ts'
import type { ApprovalParts } from './approvals/approval-parts.ts'
import type { Bearer } from './bearer.ts'
import { ownResources } from './matter.ts'

export interface EvaluationParts {
  readonly settings: BrokerSettings
  readonly registries: RegistrySource
  readonly ring: KeyRing
  readonly sessions: SessionRepository
  readonly calls: CallStore
  readonly windows: WindowStore
  /** `undefined`: nobody counts. */
  readonly observer: CallObserver | undefined
  readonly cutoffs: LiveCutoffs
  readonly auditor: Auditor
  readonly capture: Pick<Capture, 'modeOf' | 'onto'>
  readonly clock: Clock
  /** `undefined`: none is configured. */
  readonly external: Pick<ExternalPolicy, 'ask'> | undefined
  readonly shadow: Shadow
  readonly orphans: Orphans
  readonly approvals: ApprovalParts
  readonly drift: Pick<DriftWatch, 'refused'>
}

export interface ServiceRequest {
  readonly caller: () => Promise<Caller>
  readonly facts: RequestFacts
  /** One request of this client. @throws Rejection `client_limited` */
  readonly spend: (clientId: string) => void
  /** The JSON object of the body. @throws Rejection `body_malformed` */
  readonly body: () => Readonly<Record<string, unknown>>
}

export interface ServiceCall {
  readonly parts: EvaluationParts
  readonly registry: Registry
  readonly caller: Service
  /** The servers that it authenticates as: all it may ask about. */
  readonly own: readonly Resource[]
  readonly body: Readonly<Record<string, unknown>>
  readonly nowMs: number
  /** By the fingerprint of their token: many evaluations of one request are about one of them. */
  readonly bearers: Map<string, Promise<Bearer | undefined>>
  /** Another record of this request. @param id of what an earlier one began */
  draft(id?: DecisionId): AuditDraft
}

/** @throws RefusedRequest, with its record written */
export async function callAsService<T>(
  request: ServiceRequest,
  parts: EvaluationParts,
  work: (call: ServiceCall) => Promise<T>,
  event: AuditEvent = 'access.evaluate',
): Promise<T> {
  const registry = parts.registries.current
  const draft = parts.auditor.begin(request.facts)
  const about = (one: AuditDraft, caller: Caller): AuditDraft => {
    one.authenticatedAs(caller.principal)
    one.add({ event })
    return one
  }
  try {
    const caller = await request.caller()
    about(draft, caller)
    if (caller.kind !== 'client' || caller.client.kind !== 'service') {
      throw new Rejection('bearer_scope', 'only a service asks, about the servers that it authenticates as')
    }
    const { client } = caller
    request.spend(client.clientId)
    const own = ownResources(registry, client.clientId)
    const nowMs = parts.clock.nowMs()
    const call = { parts, registry, caller: client, own, body: request.body(), nowMs, bearers: new Map() }
    return await withinBudget(() =>
      work({ ...call, draft: (id) => about(parts.auditor.begin(request.facts, id), caller) }),
    )
  } catch (error) {
    throw await parts.auditor.refuse(draft, error, request.facts.source)
  }
}
