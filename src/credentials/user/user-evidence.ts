/**
 * A user's ID or access token as evidence that the user is behind an agent's request (DESIGN §3, evidence rules).
 *
 * Validates: what `issuer-token.ts` does; that the token is of the kind it is offered as; that it was meant for this agent
 * (`meant-for.ts`); form of `cnf`; `act` only from issuers trusted with it; what its scope means; form of
 * `auth_time`, `acr`, `amr`; that the user is known and active.
 * Does not validate: revocation and blocks (compare `signedInAt` and `digest` with the cut-offs), that the key in
 * `cnf` is proven (the pipeline demands it), nor what the user may do. A missing scope never means all of it.
 */
import { type Actor, actors, parseActorChain } from '../../authority/actor-chain.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Agent } from '../../model/client.ts'
import type { ScopeCeiling, UserEvidence } from '../../model/evidence.ts'
import type { Issuer } from '../../model/issuer.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
import { parseScope } from '../../protocol/scope.ts'
import { type Claims, claim, confirmationOf, integerClaim } from '../claim.ts'
import { inSlot } from '../jwt-refusals.ts'
import { verified } from '../verified.ts'
import {
  findIssuer,
  type IssuerTokenDependencies,
  refuseClientTokens,
  refuseOtherKinds,
  refuseOtherThanAccess,
  verifyIssuerToken,
} from './issuer-token.ts'
import { checkMeantFor } from './meant-for.ts'
import { activeUser, authentication, riskOf, signedInAt } from './user-claims.ts'

export type UserTokenKind = 'id_token' | 'access_token'

export interface UserEvidenceDependencies extends IssuerTokenDependencies {
  /** Our own issuer identifier. */
  readonly issuer: string
}

/** `typ` decides: RFC 9068 §2.1 for access tokens; ID tokens have none, or JWT. So have access tokens of older profiles. */
const UNTYPED: readonly (string | undefined)[] = [undefined, 'jwt']
function typesOf(kind: UserTokenKind, issuer: Issuer): readonly (string | undefined)[] {
  if (kind === 'id_token') return UNTYPED
  return issuer.accessTokenTyp === 'jwt' ? [JWT_TYP.accessToken, ...UNTYPED] : [JWT_TYP.accessToken]
}

/** @throws Rejection `subject_*`, `token_malformed`, `may_act_mismatch`, `foreign_actor_not_accepted`, `user_*` */
export async function verifyUserEvidence(
  token: Secret,
  kind: UserTokenKind,
  agent: Agent,
  deps: UserEvidenceDependencies,
): Promise<UserEvidence> {
  return await inSlot('subject_token', async () => {
    const found = findIssuer(token, deps.registry)
    checkAccepts(found.issuer, kind)
    const jwt = await verifyIssuerToken(token, found, typesOf(kind, found.issuer), deps)
    if (kind === 'id_token') refuseOtherKinds(jwt.claims)
    else refuseOtherThanAccess(jwt.claims, jwt.header.typ)
    // Of what was signed, not of the text: an ECDSA signature has a twin that verifies as well, and a block must hold for both.
    const { claims, audience, expiresAt, signingInputHash: digest } = jwt
    return userEvidence({ kind, claims, audience, expiresAt, digest }, found.issuer, agent, deps)
  })
}

/** What an issuer says of one user's token, by its signature or by introspection. */
export interface SaidByIssuer {
  readonly kind: UserTokenKind
  readonly claims: Claims
  readonly audience: readonly string[]
  readonly expiresAt: number
  /** Names the token in records and blocks. */
  readonly digest: string
}

/** @throws JwtError; Rejection: as `verifyUserEvidence` */
export function userEvidence(
  token: SaidByIssuer,
  issuer: Issuer,
  agent: Agent,
  deps: UserEvidenceDependencies,
): UserEvidence {
  const { claims, kind } = token
  refuseClientTokens(claims)
  checkMeantFor(token, { agent, issuer, broker: deps.issuer })
  const said = authentication(claims, deps.now)
  return verified({
    kind: 'user',
    issuer,
    ...activeUser(claims, issuer, deps.registry),
    ceiling: scopeCeiling(claims, issuer, kind),
    ...said,
    risk: riskOf(claims, issuer),
    signedInAt: signedInAt(issuer, said.authTime, integerClaim(claims, 'iat')),
    foreignActor: foreignActor(claims, issuer, deps.issuer),
    confirmation: confirmationOf(claims),
    expiresAt: token.expiresAt,
    digest: token.digest,
  })
}

/** A configuration's word: what an issuer's tokens may be offered as. */
export function checkAccepts(issuer: Issuer, kind: UserTokenKind): void {
  if (kind === 'id_token' && !issuer.acceptsIdTokens) {
    throw new Rejection('subject_token_type_unsupported', `ID tokens of issuer "${issuer.slug}" are not accepted`)
  }
  if (kind === 'access_token' && issuer.accessTokenScope === undefined) {
    throw new Rejection('subject_scope_undeclared', `what a scope of issuer "${issuer.slug}" means is not configured`)
  }
}

/** An unknown scope is no scope, and no scope is refused, not "everything" (Transaction Tokens, "Unknown subject_token scope"). */
function scopeCeiling(claims: Claims, issuer: Issuer, kind: UserTokenKind): ScopeCeiling {
  if (kind === 'id_token' || issuer.accessTokenScope === 'identity_only') return { kind: 'identity_only' }
  const scope = scopeText(claims)
  if (typeof scope !== 'string' || scope === '') throw new JwtError('claims', 'the token carries no scope')
  try {
    return { kind: 'scopes', scopes: parseScope(scope) }
  } catch {
    throw new JwtError('claims', 'the scope of the token is malformed')
  }
}

/** `scope` (RFC 9068 §2.2.3), or `scp` of those that had it before (Entra: a string; Okta: a list); both could disagree. */
function scopeText(claims: Claims): unknown {
  const [scope, scp] = [claim(claims, 'scope'), claim(claims, 'scp')]
  if (scope !== undefined && scp !== undefined) throw new JwtError('claims', 'the token carries scope and scp')
  if (!Array.isArray(scp)) return scope ?? scp
  if (!scp.every((member) => typeof member === 'string')) throw new JwtError('claims', 'scp must be a list of strings')
  return scp.join(' ')
}

/** Who is said to act already is part of the story: accepted from issuers trusted with it, else refused, never dropped. */
export function foreignActor(claims: Claims, issuer: Issuer, ours: string): Actor | undefined {
  const act = claim(claims, 'act')
  if (act === undefined) return undefined
  if (!issuer.acceptsForeignActors) {
    throw new Rejection('foreign_actor_not_accepted', `tokens of issuer "${issuer.slug}" must not carry act`)
  }
  const chain = parseActorChain(act)
  // Only this broker names its agents: an issuer that could would put words into their mouths, and into their records.
  if (actors(chain).some(({ iss }) => iss === ours)) {
    throw new Rejection('foreign_actor_not_accepted', 'act names an actor of this broker, which only the broker may')
  }
  return chain
}
