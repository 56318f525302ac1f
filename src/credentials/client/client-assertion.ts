/**
 * Client authentication by `private_key_jwt` with a registered key (RFC 7523 §2.2 and §3, rfc7523bis).
 *
 * Validates: `iss` = `sub` = the client, and the `client_id` parameter when sent; key by `kid`, algorithm by the key; `typ`
 * absent, `JWT` or `client-authentication+jwt`; `aud` is the issuer and nothing else; `exp` within minutes; `jti` present.
 *
 * What a registry entry may forgive, for SDKs that cannot do better: `legacy_assertion_audience` lets the sole audience be
 * the endpoint asked or the token endpoint, so that an assertion made for us under a name that an attacker's metadata could
 * also have printed is believed. `assertion_reuse` lets one assertion be presented until it expires: it must then say when
 * it was made (`iat`), so that five minutes are all its life and not the rest of a longer one. Both are recorded.
 */
import { peekIssuer } from '../../jose/decode-jws.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { KeySet } from '../../jose/key-set.ts'
import { type VerifiedJwt, verifyJwt } from '../../jose/verify-jwt.ts'
import { CLIENT_ASSERTION_LIFETIME_S_MAX } from '../../kernel/credential-limits.ts'
import { recordedName, sha256 } from '../../kernel/digest.ts'
import { CLOCK_SKEW_S, SHOWN_CHARS_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Client, ClientKey } from '../../model/client.ts'
import type { SingleUse, VerifiedClient } from '../../model/evidence.ts'
import type { Registry } from '../../model/registry.ts'
import type { ClientKeys } from '../../net/client-keys.ts'
import { CLIENT_AUTH_METHOD, ENDPOINT, type Endpoint, JWT_TYP } from '../../protocol/oauth.ts'
import { makeUpFor } from '../decoy.ts'
import { asRejection, inSlot } from '../jwt-refusals.ts'
import { verified } from '../verified.ts'
import { keysOf } from './client-keys-of.ts'
import type { PresentedClient } from './presented-client.ts'

export interface AssertionDependencies {
  readonly registry: Pick<Registry, 'client'>
  /** Keys that clients publish themselves. */
  readonly clientKeys: Pick<ClientKeys, 'keysFor'>
  /** Our issuer identifier: the only audience an assertion may have, unless its client's entry says otherwise. */
  readonly issuer: string
  /** Where the assertion has arrived. */
  readonly endpoint: Endpoint
  /** Epoch seconds. */
  readonly now: number
}

/**
 * What waits for the network, and gives what costs cryptography: those few who may do that at once must not wait for a server
 * that a client has chosen.
 * @throws Rejection `client_*`
 */
export async function prepareAssertion(
  assertion: Secret,
  presented: Pick<PresentedClient, 'clientId'>,
  deps: AssertionDependencies,
): Promise<() => Promise<VerifiedClient>> {
  const claimed = await inSlot('client_assertion', () => peekIssuer(assertion))
  const client = deps.registry.client(claimed)
  const keys = client === undefined ? [] : await keysOf(client, assertion, deps.clientKeys)
  return () => authenticateByAssertion(assertion, presented, { ...deps, claimed, client, keys })
}

interface Prepared extends AssertionDependencies {
  /** Its `iss`. */
  readonly claimed: string
  readonly client: Client | undefined
  /** Those that could have signed it. */
  readonly keys: readonly ClientKey[]
}

async function authenticateByAssertion(
  assertion: Secret,
  { clientId }: Pick<PresentedClient, 'clientId'>,
  deps: Prepared,
): Promise<VerifiedClient> {
  const { claimed, client, keys } = deps
  const jwt = await verifyAssertion(assertion, deps)
  if (client === undefined) throw unknownClient()
  if (jwt.subject !== claimed) throw claimsMismatch('sub must equal iss (RFC 7523 section 3)')
  if (clientId !== undefined && clientId !== claimed) throw claimsMismatch('the client_id parameter must equal sub')
  const isReusable = client.assertionReuse === 'until_exp'
  if (isReusable && jwt.issuedAt === undefined) throw claimsMismatch('iat is required of an assertion that is reused')
  const use = assertionUse(client, jwt, 'client_assertion')
  const key = signingKey(keys, jwt)
  return verified({
    client,
    version: key.version,
    authentication: {
      method: CLIENT_AUTH_METHOD.assertion,
      credential: nameOf(key),
      ...(jwt.audience[0] === deps.issuer ? {} : { legacy_audience: true as const }),
      ...(isReusable ? { reusable_assertion: sha256(jwt.jti ?? '') } : {}),
    },
    assertionKey: use.key,
    singleUse: isReusable ? undefined : use,
  })
}

async function verifyAssertion(assertion: Secret, deps: Prepared): Promise<VerifiedJwt> {
  const { claimed, client, keys } = deps
  try {
    const isLegacy = client?.legacyAssertionAudience === true
    const jwt = await verifyJwt(assertion, {
      ...clientTokenRules(keys, claimed, deps),
      ...(isLegacy ? { audience: { decidedByCaller: true } as const } : {}),
      typ: [undefined, 'jwt', JWT_TYP.clientAuthentication],
    })
    if (isLegacy) assertLegacyAudience(jwt.audience, deps)
    return jwt
  } catch (error) {
    await makeUpFor(error)
    if (client === undefined) throw unknownClient()
    throw asRejection('client_assertion', error)
  }
}

/** Still one audience, and one of ours: an assertion that also names another server could be replayed there, or come from there. */
function assertLegacyAudience(audience: readonly string[], { issuer, endpoint }: AssertionDependencies): void {
  const accepted = [issuer, `${issuer}/`, issuer + ENDPOINT.token, issuer + endpoint]
  const [sole] = audience
  if (audience.length === 1 && sole !== undefined && accepted.includes(sole)) return
  throw new JwtError('audience', 'aud must be the issuer or the endpoint, and no other')
}

/** The rules for any JWT that a client makes of itself for one request. `typ` is the slot's own. */
export function clientTokenRules(
  keys: readonly ClientKey[],
  clientId: string,
  { issuer, now }: Pick<AssertionDependencies, 'issuer' | 'now'>,
) {
  const set = KeySet.of(keys)
  return {
    keys: set,
    algorithms: set.algorithms,
    issuer: clientId,
    // The issuer alone: an assertion that also names another server could be replayed there, or come from there.
    audience: { sole: issuer },
    requiredClaims: ['sub', 'exp', 'jti'],
    now,
    skewSeconds: CLOCK_SKEW_S,
    lifetimeSecondsMax: CLIENT_ASSERTION_LIFETIME_S_MAX,
  }
}

/** One namespace for assertions and actor tokens: an id used in one slot is spent for the other. */
export function assertionUse(client: Client, jwt: VerifiedJwt, slot: SingleUse['slot']): SingleUse {
  // The id is hashed: it is a stranger's text and would otherwise choose parts of a key.
  const id = sha256(jwt.jti ?? '')
  const issuedAt = jwt.issuedAt ?? jwt.expiresAt - CLIENT_ASSERTION_LIFETIME_S_MAX
  return {
    slot,
    key: `assertion:${client.clientId}:${id}`,
    issuedAtMs: issuedAt * 1000,
    expiresAtMs: (jwt.expiresAt + CLOCK_SKEW_S) * 1000,
  }
}

/** The key that verified it: its version of the agent is the one acting. */
function signingKey(keys: readonly ClientKey[], jwt: VerifiedJwt): ClientKey {
  const selected = KeySet.of(keys).select(jwt.kid, jwt.header.alg)
  const key = keys.find((candidate) => candidate === selected)
  if (key === undefined) throw new Error('the key that has verified an assertion is not registered')
  return key
}

function nameOf({ kid }: ClientKey): string {
  if (kid === undefined) return 'the sole key'
  return recordedName(kid, SHOWN_CHARS_MAX)
}

function unknownClient(): Rejection {
  return new Rejection('client_unknown', 'the client is not registered')
}

function claimsMismatch(description: string): Rejection {
  return new Rejection('client_assertion_claims', `client_assertion: ${description}`)
}
