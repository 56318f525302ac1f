/** What a route is, and what every route may reach. */
import type { Context } from 'hono'
import type { DecidingParts } from '../admin/approvals/decide-approval.ts'
import type { ContinueParts } from '../admin/audit/continue-log.ts'
import type { CallerParts } from '../admin/callers.ts'
import type { CapturedParts } from '../admin/captured/read-captured.ts'
import type { ChallengeParts } from '../admin/decisions/resolve-challenge.ts'
import type { LoginParts } from '../admin/login.ts'
import type { ShadowRequestParts } from '../admin/publication/shadow-requests.ts'
import type { ReviewParts } from '../admin/reviews/read-review.ts'
import type { TraceParts } from '../admin/session-traces.ts'
import type { Admission } from '../admission/admission.ts'
import type { EvaluationParts } from '../calls/service-call.ts'
import type { DpopNonces } from '../credentials/proof/dpop-nonces.ts'
import type { TokenPipeline } from '../flows/pipeline.ts'
import type { Clock } from '../kernel/clock.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Accounted } from '../model/accounted.ts'
import type { RegistrySource } from '../model/published-registry.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import type { FaultLog } from '../operate/fault-log.ts'
import type { Readiness } from '../operate/readiness.ts'
import type { Tracing } from '../operate/tracing/tracing.ts'
import type { RevocationParts } from '../revocation/client-call.ts'
import type { RevocationFeed } from '../revocation/feed.ts'
import type { CertificatesOf } from './client-certificate.ts'
import type { SourceOf } from './source-address.ts'

export interface RouterParts {
  readonly issuer: string
  readonly registries: RegistrySource
  readonly ring: KeyRing
  readonly clock: Clock
  readonly pipeline: TokenPipeline
  readonly revocation: RevocationParts & { readonly feed: RevocationFeed }
  readonly listing: ReviewParts & DecidingParts & CapturedParts & TraceParts & ContinueParts
  readonly policy: ChallengeParts & ShadowRequestParts
  readonly callers: CallerParts
  readonly login: LoginParts
  readonly evaluation: EvaluationParts
  readonly admission: Admission
  /** Where proofs must carry one; `undefined`: they need none. */
  readonly nonces: Pick<DpopNonces, 'current'> | undefined
  readonly sourceOf: SourceOf
  readonly certificatesOf: CertificatesOf
  readonly readiness: Pick<Readiness, 'look'>
  readonly report: FaultLog
  /** Told once of each request; `undefined`: nobody counts. */
  readonly accounted?: ((account: Accounted) => void) | undefined
  /** `undefined`: nothing is traced. */
  readonly tracing: Pick<Tracing, 'request'> | undefined
}

export type Handler = (context: Context, facts: RequestFacts) => Promise<Response> | Response
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

export interface Route {
  readonly path: string
  readonly methods: Readonly<Partial<Record<Method, Handler>>>
  /** Anybody may read it: no caller, no record. */
  readonly isPublic?: true
  /** Takes bearer tokens: its 401 is RFC 6750's. */
  readonly bearer?: true
  /** Its answers repeat the `X-Request-ID` of what was asked (AuthZEN 1.0 §10.1.3). */
  readonly echoesRequestId?: true
}
