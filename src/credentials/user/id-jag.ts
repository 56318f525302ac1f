/**
 * An Identity Assertion JWT Authorization Grant (draft-ietf-oauth-identity-assertion-authz-grant-04, MCP Enterprise-Managed
 * Authorization) as evidence that a user's identity provider lets this agent work for them at one of our MCP servers.
 *
 * Validates: what `issuer-token.ts` does; that the issuer's entry accepts ID-JAGs, and that it is not this broker; `typ`;
 * `aud` is our issuer and nothing else; `client_id` is the authenticated client; tenant; life; `jti`; `resource` names MCP servers of
 * ours only, `scope` and `authorization_details` only what is registered at them; form of `cnf`; `may_act`; `act`
 * only from issuers trusted with it; that the user is known and active.
 * Does not validate: that it is presented once (claim `singleUse`), the proof that `cnf` asks for, revocation and blocks, nor what the user may do.
 */
import { type ParsedDetails, parseDetails } from '../../authority/details.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import type { VerifiedJwt } from '../../jose/verify-jwt.ts'
import { ID_JAG_LIFETIME_S_MAX } from '../../kernel/credential-limits.ts'
import { sha256 } from '../../kernel/digest.ts'
import { CLOCK_SKEW_S, TARGETS_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Agent } from '../../model/client.ts'
import type { IdJagEvidence, ScopeCeiling, SingleUse } from '../../model/evidence.ts'
import type { Issuer } from '../../model/issuer.ts'
import type { Registry } from '../../model/registry.ts'
import type { Resource } from '../../model/resource.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
import { parseScope, type ScopeSet } from '../../protocol/scope.ts'
import { type Claims, claim, confirmationOf, integerClaim } from '../claim.ts'
import { inSlot } from '../jwt-refusals.ts'
import { verified } from '../verified.ts'
import { findIssuer, verifyIssuerToken } from './issuer-token.ts'
import { checkNamedActor } from './meant-for.ts'
import { activeUser, authentication, riskOf, signedInAt } from './user-claims.ts'
import { foreignActor, type UserEvidenceDependencies } from './user-evidence.ts'

export interface VerifiedIdJag {
  readonly evidence: IdJagEvidence
  readonly singleUse: SingleUse
}

/** @throws Rejection `assertion_*`, `subject_*`, `may_act_mismatch`, `foreign_actor_not_accepted`, `user_*` */
export async function verifyIdJag(token: Secret, agent: Agent, deps: UserEvidenceDependencies): Promise<VerifiedIdJag> {
  return await inSlot('assertion', async () => {
    const found = findIssuer(token, deps.registry)
    const { issuer } = found
    if (issuer.idJagScope === undefined) {
      throw new Rejection('subject_token_type_unsupported', `ID-JAGs of issuer "${issuer.slug}" are not accepted`)
    }
    // Seen once: a signature remembered would be in the way of others'.
    const jwt = await verifyIssuerToken(token, found, [JWT_TYP.idJag], { ...deps, seen: undefined })
    checkAddressees(jwt, agent, deps.issuer)
    checkTenants(jwt.claims, issuer)
    const singleUse = useOf(jwt, issuer)
    checkNamedActor(jwt.claims, { agent, issuer, broker: deps.issuer })
    const said = authentication(jwt.claims, deps.now)
    const targets = targetsOf(jwt.claims, deps.registry)
    const details = detailsOf(jwt.claims, targets, deps.registry)
    const evidence: IdJagEvidence = verified({
      kind: 'user',
      issuer,
      ...activeUser(jwt.claims, issuer, deps.registry),
      ceiling: ceilingOf(jwt.claims, { targets, isBoundOtherwise: details !== undefined }, issuer),
      ...said,
      risk: riskOf(jwt.claims, issuer),
      signedInAt: signedInAt(issuer, said.authTime, integerClaim(jwt.claims, 'iat')),
      foreignActor: foreignActor(jwt.claims, issuer, deps.issuer),
      confirmation: confirmationOf(jwt.claims),
      expiresAt: jwt.expiresAt,
      digest: jwt.signingInputHash,
      targets,
      details,
    })
    return { evidence, singleUse }
  })
}

/** For us alone (or it could be replayed, here or there), and issued to the client that presents it. */
function checkAddressees(jwt: VerifiedJwt, agent: Agent, broker: string): void {
  if (jwt.audience.length !== 1 || jwt.audience[0] !== broker) {
    throw new JwtError('audience', 'aud must be the issuer identifier of this broker and no other')
  }
  if (claim(jwt.claims, 'client_id') !== agent.clientId) {
    throw new Rejection('assertion_client', 'the client_id of the assertion is not the client that has authenticated')
  }
}

/** One broker is one tenant: an assertion for a tenant of ours means another deployment, or one that nobody has told us of. */
function checkTenants(claims: Claims, { idJagTenant }: Issuer): void {
  if (claim(claims, 'tenant') !== idJagTenant) throw new JwtError('claims', 'tenant is not that of the issuer entry')
  if (claim(claims, 'aud_tenant') !== undefined) throw new JwtError('claims', 'aud_tenant: there are no tenants here')
}

/** By its issuer and its id: whose it is, and for whom, the id must not be reused for anyone. */
function useOf(jwt: VerifiedJwt, issuer: Issuer): SingleUse {
  const { jti, expiresAt } = jwt
  if (jti === undefined) throw new JwtError('claims', 'jti is required')
  const issuedAt = integerClaim(jwt.claims, 'iat')
  if (expiresAt - issuedAt > ID_JAG_LIFETIME_S_MAX) {
    throw new JwtError('lifetime', `the assertion must not live over ${ID_JAG_LIFETIME_S_MAX} s`)
  }
  return {
    slot: 'assertion',
    // The id is hashed: it is another's text and would otherwise choose parts of a key.
    key: `id-jag:${issuer.slug}:${sha256(jti)}`,
    issuedAtMs: issuedAt * 1000,
    expiresAtMs: (expiresAt + CLOCK_SKEW_S) * 1000,
  }
}

/** `resource`: a URL or a list of them, each an MCP server registered here. */
function targetsOf(claims: Claims, registry: Registry): readonly Resource[] {
  const value = claim(claims, 'resource')
  const named: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (named.length === 0 || named.length > TARGETS_MAX) throw wrongTarget(`resource must name 1 to ${TARGETS_MAX} URLs`)
  return named.map((name) => {
    const resource = typeof name === 'string' ? registered(name, registry) : undefined
    if (resource === undefined || resource.authorizationServer !== undefined)
      throw wrongTarget('resource must name an MCP server that is registered here')
    return resource
  })
}

function registered(url: string, registry: Registry): Resource | undefined {
  try {
    return registry.resource(url)
  } catch {
    return undefined
  }
}

/** No scope is no authority, unless the issuer's entry says that its assertions are about identity only. */
function ceilingOf(
  claims: Claims,
  { targets, isBoundOtherwise }: { readonly targets: readonly Resource[]; readonly isBoundOtherwise: boolean },
  issuer: Issuer,
): ScopeCeiling {
  const scope = claim(claims, 'scope')
  if (scope === undefined && (isBoundOtherwise || issuer.idJagScope === 'identity_only'))
    return { kind: 'identity_only' }
  if (typeof scope !== 'string' || scope === '') throw new JwtError('claims', 'the assertion carries no scope')
  const scopes = scopesOf(scope)
  const known = targets.flatMap((resource) => [...resource.tools.values()].map((tool) => tool.scope))
  if (!scopes.every((member) => known.includes(member))) {
    throw wrongTarget('a scope of the assertion is not registered for its resource')
  }
  return { kind: 'scopes', scopes }
}

function scopesOf(scope: string): ScopeSet {
  try {
    return parseScope(scope)
  } catch {
    throw new JwtError('claims', 'the scope of the assertion is malformed')
  }
}

/** What is not understood could restrict further: it refuses. */
function detailsOf(claims: Claims, targets: readonly Resource[], registry: Registry): ParsedDetails | undefined {
  const value = claim(claims, 'authorization_details')
  if (value === undefined) return undefined
  let details: ParsedDetails
  try {
    details = parseDetails(value)
  } catch (error) {
    if (!(error instanceof Rejection)) throw error
    throw new JwtError('claims', `the assertion's ${error.message}`)
  }
  for (const location of details.tools.keys()) {
    const resource = registered(location, registry)
    if (resource === undefined || !targets.includes(resource)) {
      throw wrongTarget('a location in the details of the assertion is not among its resources')
    }
  }
  return details
}

function wrongTarget(description: string): Rejection {
  return new Rejection('assertion_target', `assertion: ${description}`)
}
