/**
 * What tokens say, once their signature has been verified; and a memory of it, since a token comes with every call.
 *
 * Guarantees: what is remembered is found by the digest of the token's whole text, and holds neither that text nor a verdict: it
 * stands in for the mathematics of the signature and the reading of the claims, which cannot come out differently. Whatever can
 * is judged anew each time: that its key is published *now*, and the times; by `verifier.ts` the holder, the revocations, the
 * broker's own answer. Where the key or the times do not hold, the token is verified as if it had never been seen, and refused
 * as that refuses. No refusal is remembered: a stranger's tokens leave nothing here.
 */
import { decodeJwt } from '../../jose/decode-jws.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import type { KeySet } from '../../jose/key-set.ts'
import { checkTimes, type JwtRules, type VerifiedJwt, verifyJwtHere } from '../../jose/verify-jwt.ts'
import { type Clock, epochSeconds } from '../../kernel/clock.ts'
import { ACCESS_TOKEN_LIFETIME_S_MAX, CLOCK_SKEW_S, SEEN_ALIKE_MAX, SEEN_TOKENS_MAX } from '../../kernel/limits.ts'
import type { Secret } from '../../kernel/secret.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
import { type Alike, alikeOf, saysAlike } from './alike.ts'
import type { KeySource } from './key-source.ts'
import { readClaims } from './read-claims.ts'
import { readOnly } from './read-only.ts'
import { SeenTokens } from './seen-tokens.ts'
import type { SignedToken } from './signed-token.ts'

const REQUIRED_CLAIMS = ['sub', 'client_id', 'iat', 'jti', 'scope', 'sid']

export interface SignedTokensOptions {
  readonly keys: Pick<KeySource, 'keysFor'>
  readonly issuer: string
  readonly resource: string
  readonly algorithms: readonly string[]
  readonly clock: Clock
}

export class SignedTokens {
  readonly #options: SignedTokensOptions
  readonly #rules: Omit<JwtRules, 'keys' | 'now'>
  readonly #seen = new SeenTokens<SignedToken>(SEEN_TOKENS_MAX)
  readonly #alike = new SeenTokens<Alike>(SEEN_ALIKE_MAX)

  constructor(options: SignedTokensOptions) {
    this.#options = options
    this.#rules = {
      algorithms: options.algorithms,
      typ: [JWT_TYP.accessToken],
      issuer: options.issuer,
      audience: { sole: options.resource },
      requiredClaims: REQUIRED_CLAIMS,
      skewSeconds: CLOCK_SKEW_S,
      lifetimeSecondsMax: ACCESS_TOKEN_LIFETIME_S_MAX,
    }
  }

  /** @throws TokenRefused, JwtError, Rejection */
  async read(token: Secret): Promise<SignedToken> {
    const digest = token.fingerprint()
    const known = this.#seen.get(digest)
    const { kid, alg } = known ?? decodeJwt(token).header
    const keys = await this.#options.keys.keysFor(kid, alg)
    const now = epochSeconds(this.#options.clock)
    if (known !== undefined && this.#holds(known, keys, now)) return known
    const { jwt, key } = verifyJwtHere(token, { ...this.#rules, keys, now })
    const signed = { ...this.#said(jwt), kid, alg, key, digest }
    this.#seen.add(digest, signed)
    return signed
  }

  /** A token differs from the one before it in little: the rest is compared, and not read again where it is the same. */
  #said(jwt: VerifiedJwt): Pick<SignedToken, 'token' | 'alike'> {
    const claims = jwt.claims as Record<string, unknown>
    // Only where to look: that it is the same is compared.
    const place = `${claims['sid']} ${claims['client_id']} ${jwt.kid}`
    const known = this.#alike.get(place)
    if (known === undefined || known.kid !== jwt.kid || !saysAlike(claims, known)) {
      const token = readOnly(readClaims(jwt, this.#options.resource))
      const alike = alikeOf(token, jwt.kid)
      this.#alike.add(place, alike)
      return { token, alike }
    }
    // The same, and sealed already.
    for (const [name, member] of known.members) claims[name] = member
    Object.freeze(claims)
    const token = { ...known.token, expiresAt: jwt.expiresAt, jti: claims['jti'] as string, claims }
    return { token: Object.freeze(token), alike: known }
  }

  /** By the very key object that the set gives for it now: one that was withdrawn or replaced is another. */
  #holds({ token, kid, alg, key }: SignedToken, keys: KeySet, now: number): boolean {
    if (keys.select(kid, alg) !== key) return false
    try {
      checkTimes(token.claims, { ...this.#rules, now })
      return true
    } catch (error) {
      if (error instanceof JwtError) return false
      throw error
    }
  }
}
