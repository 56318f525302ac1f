/** A form endpoint other than /token: the record, the client, its single-use assertion; then the endpoint's own work. */
import type { AuditDraft } from '../audit/audit-draft.ts'
import type { Auditor } from '../audit/auditor.ts'
import { prepareAuthentication } from '../credentials/client/client-authentication.ts'
import { assertClientActive, claimedBy, presentedClient } from '../credentials/client/presented-client.ts'
import type { DpopNonces } from '../credentials/proof/dpop-nonces.ts'
import { provenKeys } from '../credentials/proof/possession.ts'
import { heldBy } from '../credentials/workload/workload-binding.ts'
import { assertClientVouchedFor } from '../credentials/workload/workload-review.ts'
import type { SeenSignatures } from '../jose/seen-signatures.ts'
import type { Clock } from '../kernel/clock.ts'
import { agentPrincipal, newNonce, servicePrincipal } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { KeyKeeper } from '../keys/key-keeper.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Client } from '../model/client.ts'
import type { SingleUse, VerifiedClient } from '../model/evidence.ts'
import type { RegistrySource } from '../model/published-registry.ts'
import type { Registry } from '../model/registry.ts'
import type { Arrival } from '../model/request-facts.ts'
import { type BrokerSettings, endpointUrls } from '../model/settings.ts'
import type { ClientKeys } from '../net/client-keys.ts'
import type { IssuerKeys } from '../net/issuer-keys.ts'
import type { TokenReviews } from '../net/token-reviews.ts'
import type { TrustBundles } from '../net/trust-bundles.ts'
import type { Form } from '../protocol/form.ts'
import type { Endpoint } from '../protocol/oauth.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import { assertWorkloadStands } from '../sessions/liveness.ts'
import { claimOnce } from '../sessions/replay-guard.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import { type Store, StoreUnavailable } from '../store/ports.ts'
import type { Issuances } from '../x509/issuances.ts'

export interface RevocationParts {
  readonly settings: BrokerSettings
  readonly registries: RegistrySource
  readonly clientKeys: Pick<ClientKeys, 'keysFor'>
  readonly bundles: Pick<TrustBundles, 'jwtKeys' | 'x509Authorities'>
  readonly issuances: Issuances
  /** Keys of platforms. */
  readonly keys: Pick<IssuerKeys, 'keysFor'>
  readonly reviews: Pick<TokenReviews, 'review'>
  readonly seen?: SeenSignatures
  /** Of DPoP proofs; `undefined`: they need none. */
  readonly nonces?: Pick<DpopNonces, 'isGood'> | undefined
  readonly ring: KeyRing
  readonly keeper: Pick<KeyKeeper, 'ensureSigner'>
  readonly store: Store
  readonly sessions: SessionRepository
  readonly cutoffs: LiveCutoffs
  readonly auditor: Auditor
  readonly clock: Clock
}

export interface ClientCall {
  readonly form: Form
  /** The version this request is judged by. */
  readonly registry: Registry
  readonly client: Client
  readonly draft: AuditDraft
  readonly nowMs: number
  readonly now: number
}

export interface ClientRequest {
  readonly form: () => Form
  readonly facts: Arrival
  readonly endpoint: Endpoint
  /** Repeating the request does no harm: it goes ahead where its assertion cannot be claimed, a full store must not stop a revoke. */
  readonly mayRepeat?: boolean
}

/** `false`: nobody can say whether it was used before, and the request goes ahead all the same. */
async function claim(use: SingleUse, request: ClientRequest, parts: RevocationParts): Promise<boolean> {
  try {
    await claimOnce(parts.store.claims, use, { nonce: newNonce(), cutoffs: parts.cutoffs })
    return true
  } catch (error) {
    const isOurs = error instanceof StoreUnavailable || (error instanceof Rejection && error.reason === 'cutoffs_stale')
    if (isOurs) request.facts.entry.excused(true)
    if (!(request.mayRepeat === true && isOurs)) throw error
    return false
  }
}

/** Whoever cannot be judged has done nothing wrong, and ends what they hold: a cluster that is down must not stop a revoke. */
async function vouchedFor(
  verified: VerifiedClient,
  { facts, mayRepeat }: ClientRequest,
  parts: RevocationParts,
): Promise<void> {
  try {
    await assertClientVouchedFor(verified, parts)
  } catch (error) {
    if (!(error instanceof Rejection && error.reason === 'workload_review_unavailable')) throw error
    facts.entry.excused(true)
    if (mayRepeat !== true) throw error
  }
}

/**
 * A workload's token stays with the key that it was first shown with here, too. Not where something is ended: that takes more
 * than this token, and must not wait for whoever has lost a key.
 */
async function usesOfWorkload(
  { workload }: VerifiedClient,
  { facts, endpoint, mayRepeat }: ClientRequest,
  { settings, nonces }: RevocationParts,
  now: number,
): Promise<readonly (SingleUse | undefined)[]> {
  if (workload === undefined || mayRepeat === true) return []
  const place = endpointUrls(settings, endpoint)
  const proven = await provenKeys(facts, { method: 'POST', ...place, token: undefined, nonces, now })
  return [heldBy(workload.token, workload.slot, proven), proven.singleUse]
}

/** @throws RefusedRequest, with its record written */
export async function callAsClient<T>(
  request: ClientRequest,
  parts: RevocationParts,
  work: (call: ClientCall) => Promise<T>,
): Promise<T> {
  const draft = parts.auditor.begin(request.facts)
  try {
    const nowMs = parts.clock.nowMs()
    const now = Math.floor(nowMs / 1000)
    const form = request.form()
    request.facts.entry.claim(claimedBy(form, request.facts))
    const presented = presentedClient(form, request.facts)
    const { clientKeys, keys, seen, bundles, issuances, settings } = parts
    const registry = parts.registries.current
    const known = { ...settings, registry, clientKeys, keys, seen, bundles, issuances, now }
    const authenticate = await prepareAuthentication(presented, { ...known, endpoint: request.endpoint })
    const verified = await request.facts.entry.admit(authenticate)
    await vouchedFor(verified, request, parts)
    const { client, authentication, workload } = verified
    const uses = [verified.singleUse, ...(await usesOfWorkload(verified, request, parts, now))]
    const claimed = uses.map((use) => use === undefined || claim(use, request, parts))
    if ((await Promise.all(claimed)).every(Boolean)) request.facts.entry.succeeded()
    draft.add({ client_auth: authentication })
    draft.authenticatedAs(client.kind === 'agent' ? agentPrincipal(client.clientId) : servicePrincipal(client.clientId))
    request.facts.entry.spend(request.endpoint)
    assertClientActive(verified, settings.environment)
    if (workload !== undefined && request.mayRepeat !== true) assertWorkloadStands(workload.token, parts.cutoffs)
    return await work({ form, registry, client, draft, nowMs, now })
  } catch (error) {
    throw await parts.auditor.refuse(draft, error, request.facts.source)
  }
}
