/**
 * Our own tokens coming back: each kind by its key class, its `typ` and its audience, so that none passes for another.
 *
 * Validates: signature by a key of the right class; `typ`; `iss` is us; `aud`; times, `exp` without tolerance (the clock that
 * set it is ours); form of every claim that is used; for handles, that the one who presents it is the one it was made for.
 * Does not validate: session, node and cut-offs (a token that verifies here may be long revoked), nor single use.
 */
import { type Actor, parseActorChain } from '../authority/actor-chain.ts'
import { versionsNamed } from '../authority/token-facts.ts'
import { JwtError } from '../jose/jwt-error.ts'
import type { SeenSignatures } from '../jose/seen-signatures.ts'
import { type AudienceRule, type VerifiedJwt, verifyJwt } from '../jose/verify-jwt.ts'
import type { ClientId, Jti, NodeId, PrincipalId, SessionId } from '../kernel/ids.ts'
import { ACCESS_TOKEN_LIFETIME_S_MAX, ACTOR_DEPTH_MAX, CLOCK_SKEW_S, SESSION_LIFETIME_S_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Client } from '../model/client.ts'
import type { Confirmation } from '../model/confirmation.ts'
import type { HandleEvidence, Verified } from '../model/evidence.ts'
import { JWT_TYP } from '../protocol/oauth.ts'
import { type Claims, claim, confirmationOf, integerClaim, nameClaim, nameListClaim } from './claim.ts'
import { inSlot } from './jwt-refusals.ts'
import { verified } from './verified.ts'

export interface OwnTokenDependencies {
  readonly ring: Pick<KeyRing, 'verificationKeys'>
  /** Our own issuer identifier. */
  readonly issuer: string
  /** A session token is presented by every exchange of its session. */
  readonly seen?: SeenSignatures | undefined
  /** Epoch seconds. */
  readonly now: number
  /**
   * A delegation's `exp` ends its acceptance, not the node it became: to revoke that node its token is good for as long as
   * any session may live. Absent: what has expired is refused.
   */
  readonly mayBeLate?: boolean
}

/** An access token of ours, verified as bytes; whether it is alive is for the cut-offs and its session. */
export type VerifiedAccess = Verified<{
  readonly kind: 'access'
  /** The one resource it is for, or the broker's own API. */
  readonly audience: string
  readonly jti: Jti
  readonly kid: string
  /** `undefined`: an API token, the one access token without a session. */
  readonly session: SessionId | undefined
  /** Path of nodes, root first; empty for an API token. */
  readonly path: readonly NodeId[]
  readonly clientId: ClientId
  readonly subject: PrincipalId
  readonly scope: string
  /** The key it is bound to; `undefined`: a bearer token. */
  readonly confirmation: Confirmation | undefined
  readonly act: Actor | undefined
  readonly versions: readonly string[]
  readonly rv: number
  readonly issuedAt: number
  readonly expiresAt: number
  readonly claims: Claims
  readonly signingInputHash: string
  readonly digest: string
}>

const ALGORITHMS = ['ES256', 'RS256', 'Ed25519']

/** A session's own token from its holder, or a delegation token from the agent it was made for. @throws Rejection `subject_*` */
export async function verifyHandle(
  token: Secret,
  kind: 'session' | 'delegation',
  deps: OwnTokenDependencies & { readonly client: Client },
): Promise<HandleEvidence> {
  const { evidence, audience } = await verifyEitherHandle(token, kind, deps)
  // Both are bound to a party, not to whoever holds the text: a stolen one is worthless without that party's own key.
  const madeFor: string = kind === 'session' ? evidence.clientId : audience
  if (madeFor !== deps.client.clientId) {
    throw new Rejection('subject_token_presenter', `the ${kind} token was made for another client`)
  }
  return evidence
}

/**
 * The same, whoever presents it: for revoking and inspecting, where the caller compares the parties itself. `clientId` is the
 * token's `client_id`: the holder of a session token, the delegator of a delegation token.
 * @throws Rejection `subject_*`
 */
export async function verifyOwnHandle(
  token: Secret,
  kind: 'session' | 'delegation',
  deps: OwnTokenDependencies,
): Promise<HandleEvidence> {
  return (await verifyEitherHandle(token, kind, deps)).evidence
}

async function verifyEitherHandle(
  token: Secret,
  kind: 'session' | 'delegation',
  deps: OwnTokenDependencies,
): Promise<{ readonly evidence: HandleEvidence; readonly audience: string }> {
  return await inSlot('subject_token', async () => {
    const jwt = await verifyOwn(token, deps, {
      keyClass: 'internal',
      typ: JWT_TYP[kind],
      audience: kind === 'session' ? { sole: deps.issuer } : { decidedByCaller: true },
      lifetimeSecondsMax: SESSION_LIFETIME_S_MAX,
    })
    const evidence = verified({
      kind,
      ...common(jwt),
      session: idClaim(jwt.claims, 'sid') as SessionId,
      path: path(jwt.claims),
      claims: jwt.claims,
    })
    return { evidence, audience: soleAudience(jwt) }
  })
}

/**
 * For introspection, revocation, the broker's own API, and servers that go on with it.
 * @throws Rejection `bearer_invalid`, of the slot `subject_token` `subject_*` | `actor_chain_*`
 */
export async function verifyAccessToken(
  token: Secret,
  deps: OwnTokenDependencies,
  slot: 'bearer' | 'subject_token' = 'bearer',
): Promise<VerifiedAccess> {
  return await inSlot(slot, async () => {
    const jwt = await verifyOwn(token, deps, {
      keyClass: 'access',
      typ: JWT_TYP.accessToken,
      audience: { decidedByCaller: true },
      lifetimeSecondsMax: ACCESS_TOKEN_LIFETIME_S_MAX,
    })
    const inSession = claim(jwt.claims, 'sid') !== undefined || claim(jwt.claims, 'anc') !== undefined
    const scope = claim(jwt.claims, 'scope') ?? ''
    if (typeof scope !== 'string') throw new JwtError('claims', 'scope must be a string')
    return verified({
      kind: 'access',
      ...common(jwt),
      audience: soleAudience(jwt),
      session: inSession ? (idClaim(jwt.claims, 'sid') as SessionId) : undefined,
      path: inSession ? path(jwt.claims) : [],
      scope,
      confirmation: confirmationOf(jwt.claims),
      claims: jwt.claims,
    })
  })
}

interface OwnRules {
  readonly keyClass: 'access' | 'internal'
  readonly typ: string
  readonly audience: AudienceRule
  readonly lifetimeSecondsMax: number
}

/** @throws JwtError */
export async function verifyOwn(token: Secret, deps: OwnTokenDependencies, rules: OwnRules): Promise<VerifiedJwt> {
  const jwt = await verifyJwt(token, {
    keys: deps.ring.verificationKeys(rules.keyClass, deps.now),
    algorithms: ALGORITHMS,
    typ: [rules.typ],
    issuer: deps.issuer,
    audience: rules.audience,
    requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti'],
    now: deps.now,
    // For `iat` only: two brokers' clocks differ by a second or two, and a token must be usable at either at once.
    skewSeconds: deps.mayBeLate === true ? SESSION_LIFETIME_S_MAX : CLOCK_SKEW_S,
    lifetimeSecondsMax: rules.lifetimeSecondsMax,
    seen: deps.seen,
  })
  if (deps.mayBeLate !== true && !(jwt.expiresAt > deps.now)) throw new JwtError('expired', 'the token has expired')
  return jwt
}

function common({ claims, kid, expiresAt, signingInputHash, digest }: VerifiedJwt) {
  const act = claim(claims, 'act')
  if (kid === undefined) throw new JwtError('key', 'a token of ours names its key')
  const clientId = nameClaim(claims, 'client_id') as ClientId
  const versions = versionsNamed(clientId, claim(claims, 'agent'))
  const inSession = claim(claims, 'sid') !== undefined
  if (versions === undefined || (inSession && versions.length === 0)) {
    throw new JwtError('claims', 'agent must name its version')
  }
  return {
    jti: idClaim(claims, 'jti') as Jti,
    kid,
    clientId,
    versions,
    subject: nameClaim(claims, 'sub') as PrincipalId,
    act: act === undefined ? undefined : parseActorChain(act),
    rv: integerClaim(claims, 'rv'),
    issuedAt: integerClaim(claims, 'iat'),
    expiresAt,
    signingInputHash,
    digest,
  }
}

function soleAudience({ audience }: VerifiedJwt): string {
  const [sole] = audience
  if (sole === undefined || audience.length !== 1) throw new JwtError('audience', 'aud must have one member')
  return sole
}

/** `anc`: one node per hop, so never more than there may be actors, and the root. */
function path(claims: Claims): readonly NodeId[] {
  const nodes = nameListClaim(claims, 'anc', 1, ACTOR_DEPTH_MAX + 1)
  if (!nodes.every(isId)) throw new JwtError('claims', 'anc must list node ids')
  return nodes as readonly NodeId[]
}

/** @throws JwtError */
export function idClaim(claims: Claims, name: string): string {
  const value = claim(claims, name)
  if (!isId(value)) throw new JwtError('claims', `${name} must be an id`)
  return value
}

/** Ids become parts of store keys and field names: nothing but what `kernel/ids.ts` writes. */
function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value)
}
