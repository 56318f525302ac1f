/**
 * The verifier: what an MCP server asks before it believes a token of Errand's. Any fault refuses.
 *
 * Validates: form, signature by the broker's published keys, `typ`, issuer, audience (this resource and no other), times
 * (RFC 9068 §4); that a bound token comes with its certificate
 * (RFC 8705 §3) or the proof of its key (RFC 9449 §7); the actor chain, and that its newest actor is the client; details for this resource only; and, where
 * the feed or introspection is configured, that the token lives now.
 * Does not validate: the call. See `tool-call.ts`.
 */
import { parseDetails } from '../../authority/details.ts'
import { JwtError, type JwtErrorCode } from '../../jose/jwt-error.ts'
import { type Clock, systemClock, systemTicks, type Ticks } from '../../kernel/clock.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { Secret } from '../../kernel/secret.ts'
import { STATEMENT_ALG } from '../../protocol/oauth.ts'
import { parseScope } from '../../protocol/scope.ts'
import { type JsonDoor, jsonOverHttp, type StreamDoor, streamOverHttp } from '../broker/http.ts'
import { assertProven, type ProofRules, rememberedProofs } from './dpop.ts'
import { type RevocationOptions, Revocations } from './feed/revocations.ts'
import { assertHeldBy, type Holder } from './holder.ts'
import { confirmActive, type Introspection } from './introspection.ts'
import { KeySource } from './key-source.ts'
import { SignedTokens } from './signed-tokens.ts'
import { TokenRefused, type VerifiedToken, withoutRevoked } from './verified-token.ts'

export type { DpopRequest, ProofRules } from './dpop.ts'
export type { RevocationOptions, RevocationState } from './feed/revocations.ts'
export type { Holder } from './holder.ts'
export type { Introspection } from './introspection.ts'

export interface VerifierOptions {
  /** The broker's issuer identifier, exactly. */
  readonly issuer: string
  /** This server's URL, exactly as registered with the broker. */
  readonly resource: string
  /** Default: `{issuer}/jwks`. */
  readonly jwksUri?: string
  /** Default: ES256 alone. */
  readonly algorithms?: readonly string[]
  /** Without it, a revoked token is believed until it expires. */
  readonly introspection?: Introspection
  /**
   * Hears of revocations as they are written, by the broker's feed: no question per token. Close the verifier when it is no
   * longer needed.
   */
  readonly revocations?: RevocationOptions
  /** What is asked of DPoP proofs beyond RFC 9449 §4.3. Default: that this process has not seen them. */
  readonly proofs?: ProofRules
  /** `required`: tokens that are bound to no key are refused. Default: `optional`. */
  readonly senderConstraint?: 'optional' | 'required'
  readonly door?: JsonDoor
  readonly streams?: StreamDoor
  readonly clock?: Clock
  readonly ticks?: Ticks
}

export interface Verifier {
  /** @param holder what the request that brought the token has proven. @throws TokenRefused */
  verify(token: string, holder?: Holder): Promise<VerifiedToken>
  /** As configured: what the server's drop-ins tell clients. */
  readonly issuer: string
  readonly resource: string
  readonly senderConstraint: 'optional' | 'required'
  /** What it knows of the revocations, and how old that is; `undefined`: it does not follow them. */
  readonly revocations: Followed | undefined
}

/** Of a verifier that follows the revocations. */
type Followed = Pick<Revocations, 'ready' | 'state' | 'close'>

/** Fixed phrases: they travel in `WWW-Authenticate`. Whatever is not here is `not valid`, which tells a forger nothing. */
const PHRASES: Partial<Record<JwtErrorCode, string>> = {
  expired: 'the token has expired',
  not_yet_valid: 'the token is not valid yet',
  audience: 'the token was made for another resource',
  issuer: 'the token is of another issuer',
  typ: 'the token is not an access token',
}

export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, resource, introspection } = options
  const { jwksUri = `${issuer}/jwks`, algorithms = ['ES256'], door = jsonOverHttp, clock = systemClock } = options
  const { streams = streamOverHttp, ticks = systemTicks } = options
  const network = { door, streams, clock, ticks }
  // The identifier is compared byte for byte, and every path hangs on it: a slash too many would refuse for ever, as if the
  // broker were away.
  if (!URL.canParse(issuer) || issuer.endsWith('/'))
    throw new TypeError('issuer must be a URL without a trailing slash')
  const proofs = { isFirstUse: rememberedProofs(() => clock.nowMs()), ...options.proofs }
  // Signed answers come with keys of their own algorithm.
  const keyAlgorithms = [...new Set([...algorithms, STATEMENT_ALG])]
  const keySource = new KeySource({ jwksUri, algorithms: keyAlgorithms, door, clock })
  const signedTokens = new SignedTokens({ keys: keySource, issuer, resource, algorithms, clock })

  const revocations = options.revocations && new Revocations(options.revocations, { ...network, issuer, resource })

  const verified = async (token: Secret, holder: Holder): Promise<VerifiedToken> => {
    const signed = await signedTokens.read(token)
    const { claims } = signed.token
    if (options.senderConstraint === 'required' && !Object.hasOwn(claims, 'cnf')) {
      throw new TokenRefused('invalid', 'this server takes only tokens that are bound to a key')
    }
    const at = { token, resource, nowMs: clock.nowMs() }
    await assertHeldBy(holder, claims, (request, thumbprint) => assertProven(request, proofs, { ...at, thumbprint }))
    const result = revocations === undefined ? signed.token : revocations.judged(signed)
    if (introspection === undefined) return result
    const known = { issuer, introspection, door, clock, keys: keySource }
    return asAnswered(result, await confirmActive({ token, jti: result.jti }, known))
  }

  return {
    issuer,
    resource,
    senderConstraint: options.senderConstraint ?? 'optional',
    revocations,
    verify: async (text, holder = {}) => {
      try {
        return await verified(new Secret(text), holder)
      } catch (error) {
        throw asRefusal(error)
      }
    },
  }
}

/** Live, it may open less than was signed: tools of it may have been cut off. Never more. */
function asAnswered(token: VerifiedToken, answer: Readonly<Record<string, unknown>>): VerifiedToken {
  const { scope, authorization_details: details } = answer
  const scopes = typeof scope === 'string' ? parseScope(scope) : token.scopes
  const narrowed = { ...token, scopes: token.scopes.filter((one) => scopes.includes(one)) }
  if (details === undefined) return narrowed
  const tools = [...parseDetails(details).tools.values()].flatMap((here) => [...here.tools.keys()])
  return withoutRevoked(narrowed, (tool) => !tools.includes(tool))
}

/** Whatever was not foreseen is no verdict on the token, and no pass either. */
function asRefusal(error: unknown): TokenRefused {
  if (error instanceof TokenRefused) return error
  if (error instanceof JwtError)
    return new TokenRefused('invalid', PHRASES[error.code] ?? 'the token is not valid', error)
  if (error instanceof Rejection) return new TokenRefused('invalid', 'the token is not valid', error)
  return new TokenRefused('unavailable', 'the token cannot be verified at present', error)
}
