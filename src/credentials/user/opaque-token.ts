/**
 * A user's opaque access token as evidence, by what its provider answers about it (RFC 7662).
 *
 * Validates: which provider it is of, by the request's word or because there is no choice, so that a token is shown to
 * nobody whose it is not; that the agent has a client id there; `active`; that it is an access token; `iss`
 * where said; `exp`, `nbf`, `iat`; whom it was meant for as of any other token (`aud`, or without one `client_id`); and all
 * that `user-evidence.ts` asks of what an issuer says.
 * Does not validate: revocation and blocks here. Nothing is kept: the next presentation is asked about again.
 */
import { JwtError } from '../../jose/jwt-error.ts'
import { checkAudience, checkTimes } from '../../jose/verify-jwt.ts'
import { CLOCK_SKEW_S } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Agent } from '../../model/client.ts'
import type { UserEvidence } from '../../model/evidence.ts'
import type { Issuer } from '../../model/issuer.ts'
import type { Registry } from '../../model/registry.ts'
import type { Introspections } from '../../net/introspections.ts'
import { type Claims, claim, optionalNameClaim } from '../claim.ts'
import { inSlot } from '../jwt-refusals.ts'
import { checkAccepts, type UserEvidenceDependencies, userEvidence } from './user-evidence.ts'

export interface OpaqueTokenDependencies extends UserEvidenceDependencies {
  readonly introspections: Pick<Introspections, 'ask'>
}

/** @param named identifier of the provider, where the request says it */
export async function verifyOpaqueToken(
  token: Secret,
  named: string | undefined,
  agent: Agent,
  deps: OpaqueTokenDependencies,
): Promise<UserEvidence> {
  return await inSlot('subject_token', async () => {
    const issuer = providerOf(named, agent, deps.registry)
    checkAccepts(issuer, 'access_token')
    const claims = await deps.introspections.ask(issuer, token, deps.now)
    checkAnswer(claims, issuer)
    const { expiresAt } = checkTimes(claims, {
      now: deps.now,
      skewSeconds: CLOCK_SKEW_S,
      lifetimeSecondsMax: undefined,
    })
    const said = { kind: 'access_token', claims, audience: audienceOf(claims), expiresAt } as const
    return userEvidence({ ...said, digest: token.fingerprint() }, issuer, agent, deps)
  })
}

/** Never by asking around: every provider asked could use the token. */
function providerOf(named: string | undefined, agent: Agent, registry: Registry): Issuer {
  const candidates = registry.issuers.filter(
    ({ introspection, slug }) => introspection !== undefined && agent.upstreamClientIds.has(slug),
  )
  if (named === undefined && candidates.length > 1) {
    throw new Rejection('parameter_missing', 'subject_issuer must say which identity provider the opaque token is of')
  }
  const found = named === undefined ? candidates[0] : candidates.find(({ issuer }) => issuer === named)
  if (found === undefined) {
    throw new Rejection('subject_issuer_unknown', 'no identity provider is configured to be asked about this token', {
      missing: ['an issuer with introspection, at which the agent has a client id, or a token that is a signed JWT'],
    })
  }
  return found
}

/**
 * Refresh tokens are active, too (RFC 7662 §2.1 lets a server look for other kinds): `token_type` must say what it is.
 */
function checkAnswer(claims: Claims, { issuer }: Issuer): void {
  if (claim(claims, 'active') !== true) {
    throw new Rejection('subject_token_inactive', 'its identity provider says that the token is not active')
  }
  const said = claim(claims, 'token_type')
  const type = typeof said === 'string' ? said.toLowerCase() : undefined
  const isAccess = type === 'bearer' || (type === 'dpop' && claim(claims, 'cnf') !== undefined)
  const isOther =
    !['Bearer', 'DPoP', undefined].includes(optionalNameClaim(claims, 'typ')) ||
    !['access', 'access_token', undefined].includes(optionalNameClaim(claims, 'token_use'))
  if (!isAccess || isOther)
    throw new JwtError('typ', 'the answer does not say that this is an access token (token_type)')
  const iss = claim(claims, 'iss')
  if (iss !== undefined && iss !== issuer) throw new JwtError('issuer', 'the answer is about a token of another issuer')
}

/** A token for no resource in particular is for the client it was issued to. */
function audienceOf(claims: Claims): readonly string[] {
  const client = optionalNameClaim(claims, 'client_id')
  if (claim(claims, 'aud') !== undefined) return checkAudience(claims, { decidedByCaller: true })
  if (client === undefined) throw new JwtError('audience', 'the answer says neither aud nor client_id')
  return [client]
}
