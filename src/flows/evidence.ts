/**
 * Which flow a request is, and how its credentials are verified (DESIGN §3). The kind of the subject token and what is asked
 * for select it; a missing parameter never changes what a request is.
 */
import { verifyActorToken } from '../credentials/client/actor-token.ts'
import { selfEvidence } from '../credentials/client/self-evidence.ts'
import { verifyHandle } from '../credentials/own-token.ts'
import type { DpopNonces } from '../credentials/proof/dpop-nonces.ts'
import { isCompactJws } from '../credentials/token-parameter.ts'
import { verifyIdJag } from '../credentials/user/id-jag.ts'
import { type OpaqueTokenDependencies, verifyOpaqueToken } from '../credentials/user/opaque-token.ts'
import { verifyUserEvidence } from '../credentials/user/user-evidence.ts'
import { verifyWorkloadEvidence, workloadEvidence } from '../credentials/workload/workload-evidence.ts'
import { peekIssuer } from '../jose/decode-jws.ts'
import { JwtError } from '../jose/jwt-error.ts'
import type { SeenSignatures } from '../jose/seen-signatures.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { SingleUse, SubjectEvidence, UserEvidence, VerifiedClient } from '../model/evidence.ts'
import type { FlowName } from '../model/exchange.ts'
import type { Registry } from '../model/registry.ts'
import type { ClientKeys } from '../net/client-keys.ts'
import type { Introspections } from '../net/introspections.ts'
import type { IssuerKeys } from '../net/issuer-keys.ts'
import type { TokenReviews } from '../net/token-reviews.ts'
import type { TrustBundles } from '../net/trust-bundles.ts'
import { GRANT_TYPE, TOKEN_TYPE } from '../protocol/oauth.ts'
import type { Issuances } from '../x509/issuances.ts'
import type { Framed, FrameInput, Party } from './flow.ts'
import { frameAccept } from './frame/accept.ts'
import { frameAutonomous } from './frame/autonomous.ts'
import { frameContinue } from './frame/continue.ts'
import { frameDelegate } from './frame/delegate.ts'
import { frameEnterpriseManaged } from './frame/enterprise-managed.ts'
import { frameOpen } from './frame/open.ts'
import type { ExchangeRequest, JwtBearerRequest, TokenRequest } from './token-request.ts'

export interface EvidenceSources {
  readonly registry: Registry
  readonly ring: KeyRing
  readonly keys: IssuerKeys
  readonly clientKeys: Pick<ClientKeys, 'keysFor'>
  readonly bundles: Pick<TrustBundles, 'jwtKeys' | 'x509Authorities'>
  readonly issuances: Issuances
  readonly introspections: Pick<Introspections, 'ask'>
  readonly reviews: Pick<TokenReviews, 'review'>
  readonly issuer: string
  readonly seen?: SeenSignatures
  /** Of DPoP proofs; `undefined`: they need none. */
  readonly nonces: Pick<DpopNonces, 'isGood'> | undefined
}

export interface VerifiedEvidence<E extends SubjectEvidence> {
  readonly evidence: E
  /** Single-use ids beside the client assertion's: of the subject or actor token, or of an assertion that is the grant. */
  readonly singleUses: readonly SingleUse[]
}

export interface Flow<R extends TokenRequest, E extends SubjectEvidence> {
  readonly name: FlowName
  verify(request: R, party: Party, sources: EvidenceSources, now: number): Promise<VerifiedEvidence<E>>
  frame(input: FrameInput<R, E>): Framed
}

// One cast for all flows: `selectFlow` pairs each request with the flow whose verify and frame take exactly it.
type AnyFlow = Flow<TokenRequest, SubjectEvidence>

function flow<R extends TokenRequest, E extends SubjectEvidence>(
  name: FlowName,
  verify: Flow<R, E>['verify'],
  frame: Flow<R, E>['frame'],
): AnyFlow {
  return { name, verify, frame } as unknown as AnyFlow
}

/** @throws Rejection `requested_token_type_unsupported`, `subject_token_presenter` */
export function selectFlow(request: TokenRequest, { workload }: Pick<VerifiedClient, 'workload'>): AnyFlow {
  if (request.grantType === GRANT_TYPE.clientCredentials) return AUTONOMOUS
  if (request.grantType === GRANT_TYPE.jwtBearer) return workload?.slot === 'assertion' ? WORKLOAD_GRANT : ID_JAG
  const wanted = request.requested
  switch (request.subjectTokenType) {
    case TOKEN_TYPE.idToken:
    case TOKEN_TYPE.accessToken:
      if (wanted === TOKEN_TYPE.delegation) throw unsupported('a delegation is made from a session token')
      // What the draft calls an identity assertion; an access token speaks of what its client may do.
      if (wanted === TOKEN_TYPE.idJag && request.subjectTokenType === TOKEN_TYPE.accessToken)
        throw unsupported('an ID-JAG is made from an ID token or a session token')
      return OPEN
    case TOKEN_TYPE.session:
      if (wanted === TOKEN_TYPE.session) throw unsupported('a session token is not exchanged for another session token')
      return wanted === TOKEN_TYPE.delegation ? DELEGATE : CONTINUE
    case TOKEN_TYPE.delegation:
      if (wanted === TOKEN_TYPE.delegation || wanted === TOKEN_TYPE.idJag)
        throw unsupported('accept the delegation first, then go on from its session token')
      return ACCEPT
    case TOKEN_TYPE.jwt:
      if (wanted === TOKEN_TYPE.delegation) throw unsupported('a delegation is made from a session token')
      if (wanted === TOKEN_TYPE.idJag) throw unsupported('an ID-JAG is about a user, and a workload is none')
      return WORKLOAD
    case TOKEN_TYPE.idJag:
      throw new Rejection('subject_token_type_unsupported', 'an ID-JAG is a grant (jwt-bearer), not a subject')
  }
}

function unsupported(why: string): Rejection {
  return new Rejection('requested_token_type_unsupported', why)
}

const OPEN = flow(
  'open',
  async (request: ExchangeRequest, party, sources, now) => {
    if (claimedIssuer(request.subjectToken) === sources.issuer) {
      throw new Rejection(
        'subject_token_presenter',
        'a token of this broker is presented as session or delegation token; its access tokens are for MCP servers to receive',
      )
    }
    const evidence = await verifyUser(request, party, { ...sources, now })
    return { evidence, singleUses: await verifyActor(request, party, sources, now) }
  },
  frameOpen,
)

async function verifyUser(
  { subjectToken, subjectTokenType, subjectIssuer }: ExchangeRequest,
  { agent }: Party,
  deps: OpaqueTokenDependencies,
): Promise<UserEvidence> {
  if (!isCompactJws(subjectToken)) return await verifyOpaqueToken(subjectToken, subjectIssuer, agent, deps)
  const claimed = claimedIssuer(subjectToken)
  if (subjectIssuer !== undefined && claimed !== undefined && claimed !== subjectIssuer) {
    throw new Rejection('subject_issuer_mismatch', 'the subject token is of another issuer than subject_issuer')
  }
  const type = subjectTokenType === TOKEN_TYPE.idToken ? 'id_token' : 'access_token'
  return await verifyUserEvidence(subjectToken, type, agent, deps)
}

const fromHandle =
  (kind: 'session' | 'delegation') =>
  async (request: ExchangeRequest, party: Party, sources: EvidenceSources, now: number) => {
    const client = party.agent
    const evidence = await verifyHandle(request.subjectToken, kind, { ...sources, now, client })
    return { evidence, singleUses: await verifyActor(request, party, sources, now) }
  }

const CONTINUE = flow('continue', fromHandle('session'), frameContinue)
const DELEGATE = flow('delegate', fromHandle('session'), frameDelegate)
const ACCEPT = flow('accept', fromHandle('delegation'), frameAccept)

const AUTONOMOUS = flow(
  'autonomous',
  async (_request, party) => ({ evidence: selfEvidence(party.agent), singleUses: [] }),
  frameAutonomous,
)

const WORKLOAD = flow(
  'autonomous',
  async (request: ExchangeRequest, party, sources, now) => {
    const { evidence, singleUse } = await verifyWorkloadEvidence(request.subjectToken, party, { ...sources, now })
    return { evidence, singleUses: [singleUse, ...(await verifyActor(request, party, sources, now))] }
  },
  frameAutonomous,
)

/** The assertion that has authenticated the client is the evidence, too. */
const WORKLOAD_GRANT = flow(
  'workload_grant',
  async (_request: JwtBearerRequest, { agent, verified: { workload } }) => {
    if (workload === undefined) throw new Error('a workload grant is of a client that has authenticated with it')
    return { evidence: workloadEvidence(agent, workload.token), singleUses: [] }
  },
  frameAutonomous,
)

const ID_JAG = flow(
  'id_jag',
  async (request: JwtBearerRequest, party, sources, now) => {
    if (claimedIssuer(request.assertion) === sources.issuer) {
      throw new Rejection(
        'subject_token_presenter',
        'an assertion of this broker is for another authorization server, which it names; here it is no grant',
      )
    }
    const { evidence, singleUse } = await verifyIdJag(request.assertion, party.agent, { ...sources, now })
    return { evidence, singleUses: [singleUse] }
  },
  frameEnterpriseManaged,
)

/** `actor_token` is optional: the authenticated client is the actor. Present, it must say the same (DESIGN §3). */
async function verifyActor(
  request: ExchangeRequest,
  party: Party,
  sources: EvidenceSources,
  now: number,
): Promise<readonly SingleUse[]> {
  if (request.actor === undefined) return []
  // What is signed: an ECDSA signature has a twin that verifies as well.
  if (signedText(request.actor.token) === signedText(request.subjectToken)) {
    throw new Rejection(
      'actor_token_unacceptable',
      'one JWT fills one slot: subject_token and actor_token are the same',
    )
  }
  const { token, type } = request.actor
  return [await verifyActorToken(token, type, party, { ...sources, now })]
}

function signedText(token: Secret): string {
  const text = token.reveal()
  return text.slice(0, text.lastIndexOf('.'))
}

/** Decoded, not believed: only chooses the error that helps. What is no JWT is refused by its verification. */
function claimedIssuer(token: Secret): string | undefined {
  try {
    return peekIssuer(token)
  } catch (error) {
    if (error instanceof JwtError) return undefined
    throw error
  }
}
