/**
 * `WWW-Authenticate` values as MCP clients need them to act: which error, which scopes this call needs in all, and where the
 * resource's metadata are (RFC 6750 §3, RFC 9728 §5.1, MCP authorization of 2026-07-28).
 */
import { DPOP_ALGORITHMS } from '../../jose/dpop-proof.ts'
import { isScopeToken } from '../../protocol/scope.ts'

export interface Challenge {
  /** Address of the resource's metadata document (RFC 9728). */
  readonly resourceMetadata: string
  /** Every scope the call needs, held or not: clients compute the union themselves. */
  readonly scopes: readonly string[]
  /** Absent where no token was presented: then no error may be named (RFC 6750 §3.1). */
  readonly error?: 'invalid_token' | 'insufficient_scope' | 'outside_intent' | 'invalid_dpop_proof' | 'use_dpop_nonce'
  readonly description?: string
  /** `DPoP` where that scheme was tried, or only bound tokens are taken (RFC 9449 §7.1). Default: `Bearer`. */
  readonly scheme?: 'Bearer' | 'DPoP'
}

/** Order of the parameters as the MCP specification shows it. */
export function challengeHeader(challenge: Challenge): string {
  const { error, description, scheme = 'Bearer' } = challenge
  const scopes = challenge.scopes.filter(isScopeToken)
  const parameters = [
    ...(scheme === 'DPoP' ? [`algs="${DPOP_ALGORITHMS.join(' ')}"`] : []),
    ...(error === undefined ? [] : [`error="${error}"`]),
    ...(description === undefined ? [] : [`error_description="${plainText(description)}"`]),
    ...(scopes.length === 0 ? [] : [`scope="${scopes.join(' ')}"`]),
    `resource_metadata="${plainText(new URL(challenge.resourceMetadata).href)}"`,
  ]
  return `${scheme} ${parameters.join(', ')}`
}

/**
 * RFC 6750 §3: a description may hold %x20-21 / %x23-5B / %x5D-7E only. A quote or line break that slipped into one would end
 * the header early and let its author write the rest.
 */
export function plainText(text: string): string {
  return text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '?')
}

/**
 * RFC 9728 §3.1: the well-known segment goes between host and path.
 * @throws TypeError when `resource` is not a URL.
 */
export function resourceMetadataUrl(resource: string): string {
  const url = new URL(resource)
  const path = url.pathname === '/' ? '' : url.pathname
  return `${url.origin}/.well-known/oauth-protected-resource${path}${url.search}`
}
