/**
 * JWT-SVIDs: a workload that SPIFFE vouches for (SPIFFE JWT-SVID; as client authentication draft-ietf-oauth-spiffe-client-auth).
 *
 * Validates: `sub` is a SPIFFE ID, registered letter for letter for one client; signature by a JWT authority of exactly that ID's
 * trust domain, with an algorithm of JWT-SVID §2.1; `typ` absent, `JWT` or `JOSE`; `aud` is the issuer and nothing else; `exp`, and
 * a life of at most an hour; the `client_id` parameter, when sent, names that client or that SPIFFE ID.
 * Does not validate: `iss`, which SVIDs need not have and whose keys are not asked; `jti`: workloads present one SVID until it is
 * renewed, and whoever has seen it can, too.
 */
import { decodeJwt, type JwsHeader } from '../jose/decode-jws.ts'
import { JwtError } from '../jose/jwt-error.ts'
import { KeySet } from '../jose/key-set.ts'
import type { SeenSignatures } from '../jose/seen-signatures.ts'
import { JWT_SVID_ALGORITHMS } from '../jose/spiffe-bundle.ts'
import { type VerifiedJwt, verifyJwt } from '../jose/verify-jwt.ts'
import { sha256 } from '../kernel/digest.ts'
import { CLOCK_SKEW_S, JWT_SVID_LIFETIME_S_MAX, SHOWN_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Client } from '../model/client.ts'
import type { VerifiedClient } from '../model/evidence.ts'
import type { Registry } from '../model/registry.ts'
import type { SpiffeBinding } from '../model/trust-domain.ts'
import { NothingPublished } from '../net/published.ts'
import type { TrustBundles } from '../net/trust-bundles.ts'
import { CLIENT_AUTH_METHOD } from '../protocol/oauth.ts'
import { parseSpiffeId, SPIFFE_ID_CHARS_MAX } from '../protocol/spiffe-id.ts'
import { claim } from './claim.ts'
import { verifyDecoy } from './decoy.ts'
import { asRejection, inSlot } from './jwt-refusals.ts'
import type { PresentedClient } from './presented-client.ts'
import { verified } from './verified.ts'

export interface SvidDependencies {
  readonly registry: Pick<Registry, 'trustDomain' | 'clientBySpiffeId'>
  readonly bundles: Pick<TrustBundles, 'jwtKeys'>
  /** Our issuer identifier: the only audience an SVID may have. */
  readonly issuer: string
  /** Workloads present one SVID until it is renewed. */
  readonly seen?: SeenSignatures | undefined
  /** Epoch seconds. */
  readonly now: number
}

/**
 * What waits for the network, and gives what costs cryptography, as `prepareAssertion` does.
 * @throws Rejection `client_*`
 */
export async function prepareJwtSvid(
  svid: Secret,
  presented: Pick<PresentedClient, 'clientId'>,
  deps: SvidDependencies,
): Promise<() => Promise<VerifiedClient>> {
  const { id, header } = await inSlot('client_assertion', () => claimedSvid(svid))
  const bound = deps.registry.clientBySpiffeId(id)
  const keys = bound === undefined ? KeySet.of([]) : await keysOf(id, header, deps)
  return async () => {
    const jwt = await verifyOrDecoy(svid, keys, bound !== undefined, deps)
    if (bound === undefined) throw unknownWorkload()
    return authenticated(jwt, bound, presented)
  }
}

/** The SPIFFE ID it claims, whose rules it must pass; its header, to find the key. @throws JwtError */
function claimedSvid(svid: Secret): { readonly id: string; readonly header: JwsHeader } {
  const { claims, header } = decodeJwt(svid)
  const sub = claim(claims, 'sub')
  const id = typeof sub === 'string' ? parseSpiffeId(sub)?.id : undefined
  if (id === undefined) throw new JwtError('claims', 'sub must be a SPIFFE ID')
  // Before any bundle is read for it.
  if (!JWT_SVID_ALGORITHMS.includes(header.alg)) throw new JwtError('algorithm', 'the alg is not one of SVIDs')
  return { id, header }
}

/** Of the ID's own trust domain and no other. @throws Rejection `client_keys_unavailable` */
async function keysOf(id: string, header: JwsHeader, { registry, bundles }: SvidDependencies): Promise<KeySet> {
  const domain = registry.trustDomain(parseSpiffeId(id)?.trustDomain ?? '')
  if (domain === undefined) return KeySet.of([])
  try {
    return await bundles.jwtKeys(domain, header)
  } catch (error) {
    if (!(error instanceof NothingPublished)) throw error
    throw new Rejection('client_keys_unavailable', 'client authentication cannot be checked at present: try again', {
      retryAfterSeconds: error.retryAfterSeconds,
      cause: error.cause,
    })
  }
}

async function verifyOrDecoy(
  svid: Secret,
  keys: KeySet,
  isKnown: boolean,
  { issuer, now, seen }: SvidDependencies,
): Promise<VerifiedJwt> {
  try {
    return await verifyJwt(svid, {
      keys,
      algorithms: JWT_SVID_ALGORITHMS,
      typ: [undefined, 'jwt', 'jose'],
      issuer: { unstated: true },
      audience: { sole: issuer },
      requiredClaims: ['sub', 'exp'],
      subjectCharsMax: SPIFFE_ID_CHARS_MAX,
      now,
      skewSeconds: CLOCK_SKEW_S,
      lifetimeSecondsMax: JWT_SVID_LIFETIME_S_MAX,
      seen,
    })
  } catch (error) {
    // No signature was checked: make up for the time, so that a stranger cannot list our workloads and their keys.
    if (error instanceof JwtError && error.code === 'key') await verifyDecoy()
    if (!isKnown) throw unknownWorkload()
    throw asRejection('client_assertion', error)
  }
}

function authenticated(
  jwt: VerifiedJwt,
  { client, binding }: { readonly client: Client; readonly binding: SpiffeBinding },
  { clientId }: Pick<PresentedClient, 'clientId'>,
): VerifiedClient {
  if (clientId !== undefined && clientId !== client.clientId && clientId !== binding.id) {
    throw new Rejection('client_assertion_claims', 'client_assertion: the client_id parameter names another client')
  }
  return verified({
    client,
    version: binding.version,
    authentication: {
      method: CLIENT_AUTH_METHOD.jwtSvid,
      credential: binding.id.length > SHOWN_CHARS_MAX ? `sha256:${sha256(binding.id)}` : binding.id,
      reusable_assertion: jwt.signingInputHash,
    },
    assertionKey: undefined,
    singleUse: undefined,
  })
}

function unknownWorkload(): Rejection {
  return new Rejection('client_unknown', 'the workload is not registered')
}
