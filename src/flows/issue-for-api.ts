/** The short line of an API token: no session, so no commit; its record is durable before it leaves. */
import type { AuditDraft } from '../audit/audit-draft.ts'
import type { Auditor } from '../audit/auditor.ts'
import { Rejection } from '../kernel/rejection.ts'
import { isInService } from '../model/client.ts'
import type { ProvenKeys } from '../model/confirmation.ts'
import type { VerifiedClient } from '../model/evidence.ts'
import type { ExchangeObserver } from '../model/exchange.ts'
import type { MintedToken } from '../model/minted.ts'
import type { Orphans } from '../model/owner.ts'
import { apiAudience, type BrokerSettings } from '../model/settings.ts'
import { formatScope } from '../protocol/scope.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import { assertWorkloadStands } from '../sessions/liveness.ts'
import type { Store } from '../store/ports.ts'
import type { Minter } from '../tokens/minter.ts'
import { grantedApiScopes, mintApiToken } from './api-token.ts'
import { assertGoverned } from './governance.ts'
import { issuedWithin } from './issuance.ts'
import { tellIssued } from './observed.ts'
import type { TokenRequest } from './token-request.ts'

export interface ApiIssueParts {
  readonly settings: BrokerSettings
  readonly orphans: Orphans
  readonly cutoffs: LiveCutoffs
  readonly minter: Minter
  readonly auditor: Auditor
  readonly store: Store
  readonly draft: AuditDraft
  readonly proven: ProvenKeys
  readonly rv: number
  readonly observer?: ExchangeObserver | undefined
  readonly now: number
  readonly nowMs: number
}

/** @throws Rejection as `grantedApiScopes` does, `agent_inactive`, `issuance_limited`, `cutoffs_stale`, `certification_overdue`, `agent_orphaned`; StoreUnavailable */
export async function issueForApi(
  request: TokenRequest,
  verified: VerifiedClient,
  parts: ApiIssueParts,
): Promise<MintedToken> {
  const { cutoffs, draft, store, rv, now } = parts
  cutoffs.assertFresh(rv)
  if (verified.workload !== undefined) assertWorkloadStands(verified.workload.token, cutoffs)
  const scopes = grantedApiScopes(request, verified, parts)
  const { client } = verified
  // Where tools are asked for, the decision says so.
  if (!isInService(client, parts.settings.environment)) {
    throw new Rejection('agent_inactive', 'this agent belongs to another environment')
  }
  if (client.kind === 'agent') assertGoverned([client], parts, now)
  const agent = client.kind === 'agent' ? client : { clientId: client.clientId, issuance: [] }
  return issuedWithin(store.windows, { agent, scopes, id: draft.id }, async () => {
    const minted = await mintApiToken(parts.minter, verified, scopes, { proven: parts.proven, rv, now })
    const resource = apiAudience(parts.settings.issuer)
    const granted = { resource, scope: formatScope(scopes), jti: minted.jti, expires_at: minted.expiresAt }
    draft.add({ event: 'token.api', ...granted })
    const record = draft.granted()
    draft.leaveUnfinished()
    await parts.auditor.log.append(draft.id, record)
    tellIssued(parts.observer, { by: verified, now })
    return minted
  })
}
