/**
 * JWT-SVIDs: a workload that SPIFFE vouches for (SPIFFE JWT-SVID), and the one client it is. Whatever it is presented as, it passes
 * the same rules; as client authentication they are draft-ietf-oauth-spiffe-client-auth's.
 *
 * Validates: `sub` is a SPIFFE ID, registered letter for letter for one client; signature by a JWT authority of exactly that ID's
 * trust domain, with an algorithm of JWT-SVID §2.1; `typ` absent, `JWT` or `JOSE`; `aud` is the issuer and nothing else; `exp`, and
 * a life of at most an hour; no `act`, `may_act` or `cnf`.
 * Does not validate: `iss`, which SVIDs need not have and whose keys are not asked; that it is presented once: workloads present
 * one SVID until it is renewed (`workload-binding.ts` says what stands in for it); revocation; that the client is active.
 */
import { decodeJwt, type JwsHeader } from '../../jose/decode-jws.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { KeySet } from '../../jose/key-set.ts'
import type { SeenSignatures } from '../../jose/seen-signatures.ts'
import { JWT_SVID_ALGORITHMS } from '../../jose/spiffe-bundle.ts'
import { type VerifiedJwt, verifyJwt } from '../../jose/verify-jwt.ts'
import { JWT_SVID_LIFETIME_S_MAX } from '../../kernel/credential-limits.ts'
import { CLOCK_SKEW_S } from '../../kernel/limits.ts'
import { Rejection, type RejectionReason } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { WorkloadSlot, WorkloadToken } from '../../model/evidence.ts'
import type { Registry } from '../../model/registry.ts'
import type { TrustDomain } from '../../model/trust-domain.ts'
import { clientKeysUnavailable } from '../../net/client-keys.ts'
import { NothingPublished } from '../../net/published.ts'
import type { TrustBundles } from '../../net/trust-bundles.ts'
import { parseSpiffeId, SPIFFE_ID_CHARS_MAX, type SpiffeId } from '../../protocol/spiffe-id.ts'
import { claim } from '../claim.ts'
import { makeUpFor } from '../decoy.ts'
import { asRejection, inSlot } from '../jwt-refusals.ts'
import { verified } from '../verified.ts'
import { refuseForeignClaims } from './workload-token.ts'

export interface SvidDependencies {
  readonly registry: Pick<Registry, 'trustDomain' | 'clientBySpiffeId'>
  readonly bundles: Pick<TrustBundles, 'jwtKeys'>
  /** Our issuer identifier: the only audience an SVID may have. */
  readonly issuer: string
  readonly seen?: SeenSignatures | undefined
  /** Epoch seconds. */
  readonly now: number
}

/** What an SVID may be presented as. */
export type SvidSlot = Exclude<WorkloadSlot, 'assertion'>

const UNKNOWN: Readonly<Record<SvidSlot, RejectionReason>> = {
  client_assertion: 'client_unknown',
  subject_token: 'workload_unmatched',
  actor_token: 'actor_mismatch',
}

/** Whether it says that it is one; nothing is verified. @throws JwtError where it is no JWT */
export function claimsSpiffeId(token: Secret): boolean {
  const sub = claim(decodeJwt(token).claims, 'sub')
  return typeof sub === 'string' && sub.startsWith('spiffe:')
}

/**
 * What waits for the network, and then what costs cryptography.
 * @throws Rejection of the slot, both
 */
export async function prepareJwtSvid(
  svid: Secret,
  slot: SvidSlot,
  deps: SvidDependencies,
): Promise<() => Promise<WorkloadToken>> {
  const { id, header } = await inSlot(slot, () => claimedSvid(svid))
  const bound = deps.registry.clientBySpiffeId(id.id)
  const domain = deps.registry.trustDomain(id.trustDomain)
  // An unknown workload costs nobody a request; the bundle is that of the ID's own trust domain and no other.
  const isKnown = bound !== undefined && domain !== undefined
  const keys = isKnown ? await keysOf(domain, header, slot, deps) : KeySet.of([])
  return async () => {
    const jwt = await verifyOrDecoy(svid, slot, keys, { ...deps, isKnown })
    if (!isKnown) throw unknownWorkload(slot)
    return verified({
      voucher: domain,
      sub: id.id,
      client: bound.client,
      version: bound.binding.version,
      // One that does not say it counts as older than any revocation.
      issuedAt: jwt.issuedAt ?? 0,
      expiresAt: jwt.expiresAt,
      digest: jwt.signingInputHash,
    })
  }
}

/** The SPIFFE ID it claims, whose rules it must pass; its header, to find the key. @throws JwtError */
function claimedSvid(svid: Secret): { readonly id: SpiffeId; readonly header: JwsHeader } {
  const { claims, header } = decodeJwt(svid)
  const sub = claim(claims, 'sub')
  const id = typeof sub === 'string' ? parseSpiffeId(sub) : undefined
  if (id === undefined) throw new JwtError('claims', 'sub must be a SPIFFE ID')
  // Before any bundle is read for it.
  if (!JWT_SVID_ALGORITHMS.includes(header.alg)) throw new JwtError('algorithm', 'the alg is not one of SVIDs')
  return { id, header }
}

async function keysOf(
  domain: TrustDomain,
  header: JwsHeader,
  slot: SvidSlot,
  { bundles }: SvidDependencies,
): Promise<KeySet> {
  try {
    return await bundles.jwtKeys(domain, header)
  } catch (error) {
    if (!(error instanceof NothingPublished)) throw error
    if (slot === 'client_assertion') throw clientKeysUnavailable(error)
    const { retryAfterSeconds, cause } = error
    const description = `the bundle of ${domain.slug} cannot be read at present`
    throw new Rejection('subject_issuer_unavailable', description, { retryAfterSeconds, cause })
  }
}

async function verifyOrDecoy(
  svid: Secret,
  slot: SvidSlot,
  keys: KeySet,
  { issuer, now, seen, isKnown }: SvidDependencies & { readonly isKnown: boolean },
): Promise<VerifiedJwt> {
  try {
    const jwt = await verifyJwt(svid, {
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
    refuseForeignClaims(jwt.claims)
    return jwt
  } catch (error) {
    await makeUpFor(error)
    if (!isKnown) throw unknownWorkload(slot)
    throw asRejection(slot, error)
  }
}

function unknownWorkload(slot: SvidSlot): Rejection {
  return new Rejection(UNKNOWN[slot], 'no client is registered for this workload')
}
