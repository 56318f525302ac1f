/**
 * Client authentication: `private_key_jwt` with a registered key, and nothing else (RFC 7523 §2.2 and §3, rfc7523bis).
 *
 * Validates: exactly one method; assertion type; `iss` = `sub` = the client, and the `client_id` parameter when sent; key by
 * `kid`, algorithm by the key; `typ` absent, `JWT` or `client-authentication+jwt`; `aud` is the issuer and nothing else;
 * `exp` within minutes; `jti` present.
 * Does not validate: that the assertion is presented once (claim `singleUse`, after everything else of the request has been
 * verified); that the client is active: a suspended agent is still told apart from an impostor, and the pipeline refuses it
 * (`agent_inactive`, `service_inactive`) where the refusal can be recorded under its name.
 */
import { peekIssuer } from '../jose/decode-jws.ts'
import { JwtError } from '../jose/jwt-error.ts'
import { KeySet } from '../jose/key-set.ts'
import { type VerifiedJwt, verifyJwt } from '../jose/verify-jwt.ts'
import { sha256 } from '../kernel/digest.ts'
import { CLIENT_ASSERTION_LIFETIME_S_MAX, CLOCK_SKEW_S } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { SingleUse, VerifiedClient } from '../model/evidence.ts'
import type { Client, ClientKey, Registry } from '../model/registry.ts'
import type { ClientKeys } from '../net/client-keys.ts'
import { CLIENT_ASSERTION_TYPE_JWT, JWT_TYP } from '../protocol/oauth.ts'
import { keysOf } from './client-keys-of.ts'
import { verifyDecoy } from './decoy.ts'
import { asRejection, inSlot } from './jwt-refusals.ts'
import { verified } from './verified.ts'

/** What a request brought along that could be meant as client authentication. */
export interface PresentedClient {
  readonly clientId: string | undefined
  readonly assertion: Secret | undefined
  readonly assertionType: string | undefined
  /** Names of other methods seen, whatever they carried: `Authorization`, `client_secret`, … */
  readonly otherMethods: readonly string[]
}

export interface ClientAuthenticationDependencies {
  readonly registry: Registry
  /** Keys that clients publish themselves. */
  readonly clientKeys: Pick<ClientKeys, 'keysFor'>
  /** Our issuer identifier: the only audience an assertion may have. */
  readonly issuer: string
  /** Epoch seconds. */
  readonly now: number
}

/** @throws Rejection `client_*` */
export async function authenticateClient(
  presented: PresentedClient,
  deps: ClientAuthenticationDependencies,
): Promise<VerifiedClient> {
  const assertion = soleAssertion(presented)
  const claimed = await inSlot('client_assertion', () => peekIssuer(assertion))
  const client = deps.registry.client(claimed)
  const { jwt, keys } = await verifyAssertion(assertion, claimed, client, deps)
  if (client === undefined) throw unknownClient()
  if (jwt.subject !== claimed) throw claimsMismatch('sub must equal iss (RFC 7523 section 3)')
  if (presented.clientId !== undefined && presented.clientId !== claimed) {
    throw claimsMismatch('the client_id parameter must equal sub')
  }
  return verified({
    client,
    version: signingKey(keys, jwt).version,
    singleUse: assertionUse(client, jwt, 'client_assertion'),
  })
}

/** RFC 6749 §2.3: never more than one method; here, never another one. */
function soleAssertion({ assertion, assertionType, otherMethods }: PresentedClient): Secret {
  if (assertion === undefined) {
    if (otherMethods.length > 1) throw ambiguous()
    throw new Rejection('client_authentication_missing', 'authenticate with a client_assertion (private_key_jwt)')
  }
  if (otherMethods.length > 0) throw ambiguous()
  if (assertionType !== CLIENT_ASSERTION_TYPE_JWT) {
    throw new Rejection(
      'client_assertion_type_unsupported',
      `client_assertion_type must be ${CLIENT_ASSERTION_TYPE_JWT}`,
    )
  }
  return assertion
}

async function verifyAssertion(
  assertion: Secret,
  claimed: string,
  client: Client | undefined,
  deps: ClientAuthenticationDependencies,
): Promise<{ jwt: VerifiedJwt; keys: readonly ClientKey[] }> {
  try {
    const keys = client === undefined ? [] : await keysOf(client, assertion, deps.clientKeys)
    const jwt = await verifyJwt(assertion, {
      ...clientTokenRules(keys, claimed, deps),
      typ: [undefined, 'jwt', JWT_TYP.clientAuthentication],
    })
    return { jwt, keys }
  } catch (error) {
    // No signature was checked: make up for the time, so that a stranger cannot list our clients and their key ids.
    if (error instanceof JwtError && (error.code === 'key' || error.code === 'algorithm')) await verifyDecoy()
    if (client === undefined) throw unknownClient()
    throw asRejection('client_assertion', error)
  }
}

/** The rules for any JWT that a client makes of itself for one request. `typ` is the slot's own. */
export function clientTokenRules(
  keys: readonly ClientKey[],
  clientId: string,
  { issuer, now }: Pick<ClientAuthenticationDependencies, 'issuer' | 'now'>,
) {
  return {
    keys: KeySet.of(keys),
    // Most signers still write EdDSA (RFC 8037) where RFC 9864 says Ed25519: two spellings of one algorithm.
    algorithms: keys.flatMap((key) => (key.alg === 'Ed25519' ? ['Ed25519', 'EdDSA'] : [key.alg])),
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
  return { slot, key: `assertion:${client.clientId}:${id}`, expiresAtMs: (jwt.expiresAt + CLOCK_SKEW_S) * 1000 }
}

/** The key that verified it: its version of the agent is the one acting. */
function signingKey(keys: readonly ClientKey[], jwt: VerifiedJwt): ClientKey {
  const selected = KeySet.of(keys).select(jwt.kid, jwt.header.alg)
  const key = keys.find((candidate) => candidate === selected)
  if (key === undefined) throw new Error('the key that has verified an assertion is not registered')
  return key
}

function unknownClient(): Rejection {
  return new Rejection('client_unknown', 'the client is not registered')
}

function ambiguous(): Rejection {
  return new Rejection('client_authentication_ambiguous', 'use one client authentication method per request')
}

function claimsMismatch(description: string): Rejection {
  return new Rejection('client_assertion_claims', `client_assertion: ${description}`)
}
