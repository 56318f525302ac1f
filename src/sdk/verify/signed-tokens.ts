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
import { checkTimes, type JwtRules, verifyJwt } from '../../jose/verify-jwt.ts'
import { type Clock, epochSeconds } from '../../kernel/clock.ts'
import { ACCESS_TOKEN_LIFETIME_S_MAX, CLOCK_SKEW_S, SEEN_TOKENS_MAX } from '../../kernel/limits.ts'
import type { Secret } from '../../kernel/secret.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
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
      onThisThread: true,
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
    const jwt = await verifyJwt(token, { ...this.#rules, keys, now })
    const key = keys.select(kid, alg)
    if (key === undefined) throw new JwtError('key', 'the key of the token has gone')
    const signed = { token: readOnly(readClaims(jwt, this.#options.resource)), kid, alg, key, digest }
    this.#seen.add(digest, signed)
    return signed
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
