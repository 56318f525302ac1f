/**
 * A platform's token about a workload (Kubernetes, CI, a cloud), and the one client it is for. Whatever it is presented as, it
 * passes the same rules.
 *
 * Validates: the platform is configured (an unknown one costs no network access); algorithm, signature by the platform's own
 * keys; `typ` absent or `JWT`; `iss sub aud exp iat`, and what else the platform always writes; every audience is this
 * broker's; life; no `act`, `may_act` or `cnf`; that its claims are those of exactly one client, in one version of it.
 * Does not validate: that it is presented once: platforms keep tokens in files that are read again (`workload-binding.ts`
 * says what stands in for it); revocation; that the client is active.
 */
import { claimAt } from '../../jose/claim-at.ts'
import { decodeJwt, type JwsHeader } from '../../jose/decode-jws.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { KeySet } from '../../jose/key-set.ts'
import type { SeenSignatures } from '../../jose/seen-signatures.ts'
import { type VerifiedJwt, verifyJwt } from '../../jose/verify-jwt.ts'
import { CLOCK_SKEW_S } from '../../kernel/limits.ts'
import { Rejection, type RejectionReason } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { WorkloadSlot, WorkloadToken } from '../../model/evidence.ts'
import type { Registry, WorkloadMatch } from '../../model/registry.ts'
import type { WorkloadIssuer } from '../../model/workload.ts'
import { clientKeysUnavailable } from '../../net/client-keys.ts'
import type { IssuerKeys } from '../../net/issuer-keys.ts'
import { ENDPOINT, JWT_TYP } from '../../protocol/oauth.ts'
import { type Claims, claim, integerClaim, nameClaim } from '../claim.ts'
import { makeUpFor } from '../decoy.ts'
import { inSlot } from '../jwt-refusals.ts'
import { verified } from '../verified.ts'
import { pendingReview } from './workload-review.ts'

export interface WorkloadTokenDependencies {
  readonly registry: Pick<Registry, 'workloadIssuer' | 'workloads'>
  readonly keys: Pick<IssuerKeys, 'keysFor'>
  readonly seen?: SeenSignatures | undefined
  /** Our own issuer identifier. */
  readonly issuer: string
  /** Epoch seconds. */
  readonly now: number
}

/**
 * The platform that the token names; `undefined`: none of ours. Nothing is verified yet. An issuer may sign assertions about
 * users, too: those say so.
 * @throws JwtError where it is no JWT
 */
export function platformOf(token: Secret, registry: Pick<Registry, 'workloadIssuer'>): WorkloadIssuer | undefined {
  const { header, claims } = decodeJwt(token)
  if (header.typ === JWT_TYP.idJag) return undefined
  const named = claim(claims, 'iss')
  return typeof named === 'string' ? registry.workloadIssuer(named) : undefined
}

/**
 * What waits for the network, and then what costs cryptography.
 * @throws Rejection of the slot, both
 */
export async function prepareWorkloadToken(
  token: Secret,
  slot: WorkloadSlot,
  platform: WorkloadIssuer,
  deps: WorkloadTokenDependencies,
): Promise<() => Promise<WorkloadToken>> {
  const { header } = await inSlot(slot, () => decodeJwt(token))
  // No key is fetched for an algorithm that none of them may have.
  const isAllowed = platform.algorithms.includes(header.alg)
  const keys = isAllowed ? await keysOf(platform, header, slot, deps) : KeySet.of([])
  return () => inSlot(slot, () => verifyWorkloadToken(token, slot, { ...deps, platform, keys }))
}

async function keysOf(
  platform: WorkloadIssuer,
  header: JwsHeader,
  slot: WorkloadSlot,
  { keys }: WorkloadTokenDependencies,
): Promise<KeySet> {
  try {
    return await keys.keysFor(platform, header)
  } catch (error) {
    const isStrangers = slot === 'client_assertion' && error instanceof Rejection
    if (!isStrangers || error.reason !== 'subject_issuer_unavailable') throw error
    throw clientKeysUnavailable(error)
  }
}

interface Prepared extends Omit<WorkloadTokenDependencies, 'keys'> {
  readonly platform: WorkloadIssuer
  readonly keys: KeySet
}

async function verifyWorkloadToken(token: Secret, slot: WorkloadSlot, deps: Prepared): Promise<WorkloadToken> {
  const { platform, registry } = deps
  const jwt = await verifyBytes(token, slot, deps)
  checkAudience(jwt, slot, deps)
  refuseForeignClaims(jwt.claims)
  if (platform.never.some((name) => claim(jwt.claims, name) !== undefined)) {
    throw new JwtError('claims', 'the token is one that this platform gives to users')
  }
  if (!platform.always.every(({ path, value }) => claimAt(jwt.claims, path) === value)) {
    throw new JwtError('claims', 'the token is not what this platform gives to workloads')
  }
  const { client, version } = soleMatch(registry.workloads(platform, jwt.claims), slot)
  return verified({
    voucher: platform,
    sub: nameClaim(jwt.claims, 'sub'),
    client,
    version,
    issuedAt: integerClaim(jwt.claims, 'iat'),
    expiresAt: jwt.expiresAt,
    digest: jwt.signingInputHash,
    ...pendingReview(token, jwt.claims, platform),
  })
}

/** Delegated, or bound to a key whose proof nobody asks for here: a workload's own token is neither. @throws JwtError */
export function refuseForeignClaims(claims: Claims): void {
  for (const name of ['act', 'may_act', 'cnf']) {
    if (claim(claims, name) !== undefined) throw new JwtError('claims', `a workload token must not carry ${name}`)
  }
}

const REQUIRED = ['iss', 'sub', 'aud', 'exp', 'iat']

async function verifyBytes(token: Secret, slot: WorkloadSlot, deps: Prepared): Promise<VerifiedJwt> {
  const { platform, keys, now, seen } = deps
  try {
    return await verifyJwt(token, {
      keys,
      algorithms: platform.algorithms,
      typ: [undefined, 'jwt'],
      issuer: platform.issuer,
      audience: { decidedByCaller: true },
      // Only where it stands alone for a client (MCP Workload Identity Federation): clouds leave it out.
      requiredClaims: [...REQUIRED, ...platform.requiredClaims, ...(slot === 'assertion' ? ['jti'] : [])],
      now,
      skewSeconds: CLOCK_SKEW_S,
      lifetimeSecondsMax: platform.lifetimeSecondsMax,
      seen,
    })
  } catch (error) {
    await makeUpFor(error)
    throw error
  }
}

/**
 * Each audience could use the token against us, or we against it: none but ours. The token endpoint is one only of a token
 * that is a grant (MCP Workload Identity Federation, WAG), where both spellings are in use.
 */
function checkAudience({ audience }: VerifiedJwt, slot: WorkloadSlot, { platform, issuer }: Prepared): void {
  const ours = [issuer, ...platform.audiences, ...(slot === 'assertion' ? [issuer + ENDPOINT.token] : [])]
  if (audience.every((member) => ours.includes(member))) return
  throw new JwtError(
    'audience',
    'aud must name this broker, as its issuer or an audience of the platform, and no other',
  )
}

const REFUSALS: Readonly<Record<WorkloadSlot, Readonly<Record<'nobody' | 'several', RejectionReason>>>> = {
  client_assertion: { nobody: 'client_unknown', several: 'client_ambiguous' },
  assertion: { nobody: 'workload_unmatched', several: 'workload_ambiguous' },
  subject_token: { nobody: 'workload_unmatched', several: 'workload_ambiguous' },
  actor_token: { nobody: 'actor_mismatch', several: 'actor_mismatch' },
}

function soleMatch(matches: readonly WorkloadMatch[], slot: WorkloadSlot): WorkloadMatch {
  const [match, ...others] = matches
  if (match === undefined) throw new Rejection(REFUSALS[slot].nobody, 'no client is registered for this workload')
  const isSame = ({ client, version }: WorkloadMatch) => client === match.client && version === match.version
  if (others.every(isSame)) return match
  // Whichever was taken, the workload would have chosen it by what it is asked for.
  throw new Rejection(REFUSALS[slot].several, 'rules of more than one client, or version, match this workload')
}
