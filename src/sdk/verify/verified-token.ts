/** What a verified access token says to the server it was made for, and the one way of being refused. */
import type { ToolConstraints, ToolLimits } from '../../authority/authority.ts'
import type { ScopeSet } from '../../protocol/scope.ts'

export interface VerifiedToken {
  /** On whose behalf: `user:<issuer>:<sub>`, or the agent itself when it works for nobody else. */
  readonly subject: string
  /** `user:<issuer>:<sub>`; absent where the work is on no user's behalf. */
  readonly user?: string
  /** Client id of the current actor. */
  readonly clientId: string
  readonly scopes: ScopeSet
  /** Who acts for whom, newest first; empty when the agent acts for itself. */
  readonly actors: readonly string[]
  /** Epoch seconds. */
  readonly expiresAt: number
  readonly jti: string
  readonly session: string
  /** The piece of work: the same in every token and record of it, from what set it off to the last call downstream. */
  readonly txn?: string
  /** What the session is for, as far as a server may know; absent where the token says nothing of it. */
  readonly intent?: TokenIntent
  /** Tools of this server that the token opens, with what their arguments must satisfy. */
  readonly tools: ReadonlyMap<string, ToolConstraints>
  /** Tools that were cut off since it was issued: a new token may open them again. */
  readonly revokedTools: ReadonlySet<string>
  readonly limits: ToolLimits
  readonly claims: Readonly<Record<string, unknown>>
}

export interface TokenIntent {
  /** Salted hash of the declared purpose: the same for every token of the session; the sentence stays with the broker. */
  readonly hash: string
  /** What set it off: `user_request`, `agent_plan`, `schedule` or `upstream_agent`. */
  readonly origin?: { readonly type: string; readonly ref?: string; readonly assertedBy?: string }
  /** The broker's environment: `production`, for one. */
  readonly environment?: string
}

/** Who acts now: the newest actor, or the agent itself where it works for nobody else. */
export function currentActor(token: VerifiedToken): string {
  return token.actors[0] ?? token.subject
}

/** What is left of a token where single tools of this server were cut off since it was issued. */
export function withoutRevoked(token: VerifiedToken, isRevoked: (tool: string) => boolean): VerifiedToken {
  const revoked = [...token.tools.keys()].filter(isRevoked)
  if (revoked.length === 0) return token
  const tools = new Map([...token.tools].filter(([tool]) => !revoked.includes(tool)))
  return { ...token, tools, revokedTools: new Set([...token.revokedTools, ...revoked]) }
}

/**
 * Thrown for every token that was not verified.
 * `invalid`: the token is at fault; answer 401. `unavailable`: nobody can say now; answer 503, so that clients keep their
 * token and come back.
 */
export class TokenRefused extends Error {
  readonly kind: 'invalid' | 'unavailable'
  /** Of an `invalid` one: what `WWW-Authenticate` says (RFC 6750 §3.1, RFC 9449 §7.1, §9). */
  readonly error: 'invalid_token' | 'invalid_dpop_proof' | 'use_dpop_nonce'

  /** @param description a fixed phrase without quotes: it travels in `WWW-Authenticate`. */
  constructor(
    kind: 'invalid' | 'unavailable',
    description: string,
    cause?: unknown,
    error: TokenRefused['error'] = 'invalid_token',
  ) {
    super(description, cause === undefined ? undefined : { cause })
    this.name = 'TokenRefused'
    this.kind = kind
    this.error = error
  }
}
