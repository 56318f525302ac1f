/**
 * How the credentials of each flow are verified (DESIGN §3): the evidence that a request brings beside its client's own
 * authentication, and what of it is good for one use. Which flow a request is, `select-flow.ts` says.
 */
import { verifyActorToken } from '../credentials/client/actor-token.ts'
import { selfEvidence } from '../credentials/client/self-evidence.ts'
import { verifyInbound } from '../credentials/inbound-token.ts'
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
import type {
  HandleEvidence,
  IdJagEvidence,
  InboundEvidence,
  SelfEvidence,
  SingleUse,
  SubjectEvidence,
  UserEvidence,
  WorkloadEvidence,
} from '../model/evidence.ts'
import type { Registry } from '../model/registry.ts'
import type { ClientKeys } from '../net/client-keys.ts'
import type { Introspections } from '../net/introspections.ts'
import type { IssuerKeys } from '../net/issuer-keys.ts'
import type { TokenReviews } from '../net/token-reviews.ts'
import type { TrustBundles } from '../net/trust-bundles.ts'
import { TOKEN_TYPE } from '../protocol/oauth.ts'
import type { Issuances } from '../x509/issuances.ts'
import type { Asker, Party, ServerParty } from './flow.ts'
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

/** @param now epoch seconds @throws Rejection, which each says */
export type VerifyEvidence<R extends TokenRequest, E extends SubjectEvidence, P extends Asker = Party> = (
  request: R,
  party: P,
  sources: EvidenceSources,
  now: number,
) => Promise<VerifiedEvidence<E>>

/** A user's token. @throws Rejection `subject_*`, `user_*`, `actor_*`, and those of `verifyUserEvidence` */
export const fromUser: VerifyEvidence<ExchangeRequest, UserEvidence> = async (request, party, sources, now) => {
  if (claimedIssuer(request.subjectToken) === sources.issuer) {
    throw new Rejection(
      'subject_token_presenter',
      'a token of this broker is presented as session or delegation token; its access tokens are for MCP servers to receive',
    )
  }
  const evidence = await verifyUser(request, party, { ...sources, now })
  return { evidence, singleUses: await verifyActor(request, party, sources, now) }
}

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

/** One of our own. @throws Rejection `subject_*`, `actor_*` */
export const fromHandle =
  (kind: 'session' | 'delegation'): VerifyEvidence<ExchangeRequest, HandleEvidence> =>
  async (request, party, sources, now) => {
    const client = party.agent
    const evidence = await verifyHandle(request.subjectToken, kind, { ...sources, now, client })
    return { evidence, singleUses: await verifyActor(request, party, sources, now) }
  }

/** One that the server was called with. @throws Rejection `subject_*`, `actor_*` */
export const fromInbound: VerifyEvidence<ExchangeRequest, InboundEvidence, ServerParty> = async (
  request,
  party,
  sources,
  now,
) => {
  const evidence = await verifyInbound(request.subjectToken, party.server, { ...sources, now })
  return { evidence, singleUses: await verifyActor(request, party, sources, now) }
}

/** Nothing: the agent has authenticated. */
export const fromItself: VerifyEvidence<TokenRequest, SelfEvidence> = async (_request, party) => {
  return { evidence: selfEvidence(party.agent), singleUses: [] }
}

/** A token of the agent's workload as subject. @throws Rejection `subject_*`, `workload_*`, `actor_*` */
export const fromWorkload: VerifyEvidence<ExchangeRequest, WorkloadEvidence> = async (request, party, sources, now) => {
  const { evidence, singleUse } = await verifyWorkloadEvidence(request.subjectToken, party, { ...sources, now })
  return { evidence, singleUses: [singleUse, ...(await verifyActor(request, party, sources, now))] }
}

/** The assertion that has authenticated the client is the evidence, too. */
export const fromWorkloadGrant: VerifyEvidence<JwtBearerRequest, WorkloadEvidence> = async (_request, party) => {
  const { agent, verified } = party
  if (verified.workload === undefined) throw new Error('a workload grant is of a client that has authenticated with it')
  return { evidence: workloadEvidence(agent, verified.workload.token), singleUses: [] }
}

/** @throws Rejection `assertion_*`, `subject_*`, and those of `verifyIdJag` */
export const fromIdJag: VerifyEvidence<JwtBearerRequest, IdJagEvidence> = async (request, party, sources, now) => {
  if (claimedIssuer(request.assertion) === sources.issuer) {
    throw new Rejection(
      'subject_token_presenter',
      'an assertion of this broker is for another authorization server, which it names; here it is no grant',
    )
  }
  const { evidence, singleUse } = await verifyIdJag(request.assertion, party.agent, { ...sources, now })
  return { evidence, singleUses: [singleUse] }
}

/** `actor_token` is optional: the authenticated client is the actor. Present, it must say the same (DESIGN §3). */
async function verifyActor(
  request: ExchangeRequest,
  party: Asker,
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
