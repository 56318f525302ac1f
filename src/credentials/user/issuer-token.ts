/**
 * A token of a configured identity provider, verified as bytes and times; whom it was meant for is decided by the caller.
 *
 * Validates: the issuer is configured (an unknown one costs no network access, SSRF); the algorithm is one of that issuer's;
 * signature by that issuer's own keys; `typ`; `exp`, `nbf`, `iat`; `iss sub aud exp iat` are there.
 * Does not validate: `aud` beyond its form, `azp`, `act`, `may_act`, `cnf`, scope, nor whether the user is known.
 */
import { ALGORITHM_NAMES } from '../../jose/algorithms.ts'
import { type DecodedJwt, decodeJwt } from '../../jose/decode-jws.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import type { SeenSignatures } from '../../jose/seen-signatures.ts'
import { type VerifiedJwt, verifyJwt } from '../../jose/verify-jwt.ts'
import { CLOCK_SKEW_S } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Issuer } from '../../model/issuer.ts'
import type { Registry } from '../../model/registry.ts'
import type { IssuerKeys } from '../../net/issuer-keys.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
import { type Claims, claim, issuedTo } from '../claim.ts'

export interface IssuerTokenDependencies {
  readonly registry: Registry
  readonly keys: Pick<IssuerKeys, 'keysFor'>
  /** Users' tokens are presented by every exchange of an agent until they expire. */
  readonly seen?: SeenSignatures | undefined
  /** Epoch seconds. */
  readonly now: number
}

const REQUIRED = ['iss', 'sub', 'aud', 'exp', 'iat']

/** The configured issuer that the token names. Nothing is verified yet. @throws JwtError; Rejection `subject_issuer_unknown` */
export function findIssuer(token: Secret, registry: Registry): { readonly issuer: Issuer; readonly jwt: DecodedJwt } {
  const jwt = decodeJwt(token)
  const named = claim(jwt.claims, 'iss')
  const issuer = typeof named === 'string' ? registry.issuer(named) : undefined
  if (issuer === undefined) throw new Rejection('subject_issuer_unknown', 'the issuer of the token is not configured')
  return { issuer, jwt }
}

/** @throws JwtError; Rejection `subject_issuer_unavailable` */
export async function verifyIssuerToken(
  token: Secret,
  { issuer, jwt }: { readonly issuer: Issuer; readonly jwt: DecodedJwt },
  typ: readonly (string | undefined)[],
  deps: IssuerTokenDependencies,
): Promise<VerifiedJwt> {
  // Before any key is fetched for it.
  const algorithms = issuer.algorithms ?? ALGORITHM_NAMES
  if (!algorithms.includes(jwt.header.alg)) throw new JwtError('algorithm', 'the alg is not allowed here')
  return await verifyJwt(token, {
    // Each key is bound to an algorithm that the issuer's entry or its discovery document allows.
    keys: await deps.keys.keysFor(issuer, jwt.header),
    algorithms,
    typ,
    issuer: issuer.issuer,
    audience: { decidedByCaller: true },
    requiredClaims: REQUIRED,
    now: deps.now,
    skewSeconds: CLOCK_SKEW_S,
    lifetimeSecondsMax: undefined,
    seen: deps.seen,
  })
}

/**
 * Access, refresh and logout tokens that only say what they are inside (Keycloak's `typ`, Cognito's `token_use`, the scope of
 * Auth0's and Entra's untyped access tokens, how the application of those of Entra's without one has authenticated, `events` of
 * OpenID back-channel logout) must not pass for ID tokens.
 */
export function refuseOtherKinds(claims: Claims): void {
  const saysOtherwise = isOther(claim(claims, 'typ'), 'ID') || isOther(claim(claims, 'token_use'), 'id')
  if (saysOtherwise || NEVER_IN_ID_TOKENS.some((name) => Object.hasOwn(claims, name))) {
    throw new JwtError('typ', 'the token is not an ID token')
  }
}

const NEVER_IN_ID_TOKENS = ['scope', 'scp', 'events', 'azpacr', 'appidacr', 'appid', 'cid']

/**
 * Without a `typ` of their own (RFC 9068), access tokens must say otherwise what they are: an ID or refresh token of the same
 * issuer has the same signature.
 */
export function refuseOtherThanAccess(claims: Claims, typ: string | undefined): void {
  const says = [
    [claim(claims, 'typ'), 'Bearer'], // Keycloak
    [claim(claims, 'token_use'), 'access'], // Cognito
  ] as const
  const hasScope = ['scope', 'scp'].some((name) => Object.hasOwn(claims, name))
  const isAccess = typ === JWT_TYP.accessToken || hasScope || says.some(([value, access]) => value === access)
  const isAnother = ['nonce', 'at_hash', 'c_hash', 'events'].some((name) => Object.hasOwn(claims, name))
  if (!isAccess || isAnother || says.some(([value, access]) => isOther(value, access))) {
    throw new JwtError('typ', 'the token is not an access token')
  }
}

/**
 * An agent can get tokens about itself where it gets its users', and machines choose the audience of theirs: neither speaks for
 * a user, whatever it is called. Client credentials tokens are about a client (RFC 9068 §2.2: `sub` is its id; Auth0 says `gty`,
 * Entra `idtyp`, Keycloak names its service account); jobs of GitLab and pods have claims that no person has.
 */
export function refuseClientTokens(claims: Claims): void {
  const names = issuedTo(claims)
  const isClient = names.includes(claim(claims, 'sub')) || names.some((name) => isServiceAccount(claims, name))
  const saysSo = claim(claims, 'gty') === 'client-credentials' || claim(claims, 'idtyp') === 'app'
  const isMachine = MACHINES.some((marks) => marks.every((name) => Object.hasOwn(claims, name)))
  if (isClient || saysSo || isMachine) {
    throw new JwtError('claims', 'the token is about a client or a machine, not about a user')
  }
}

const MACHINES = [['clientHost', 'clientAddress'], ['job_id', 'pipeline_id'], ['kubernetes.io']]

/** Keycloak keeps user names in lower case. */
function isServiceAccount(claims: Claims, client: unknown): boolean {
  return claim(claims, 'preferred_username') === `service-account-${String(client).toLowerCase()}`
}

function isOther(value: unknown, expected: string): boolean {
  return value !== undefined && value !== expected
}
