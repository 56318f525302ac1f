/**
 * SPIFFE IDs (SPIFFE-ID §2), in the one spelling that conforming issuers write: lower-case scheme and trust domain, no port, user,
 * query, fragment, percent-encoding, empty or dot segment, no trailing slash. Whatever a URL parser would repair is refused: two
 * spellings of one name would pass two different comparisons.
 */

/** A whole one (SPIFFE-ID §2.3). */
export const SPIFFE_ID_CHARS_MAX = 2_048

export interface SpiffeId {
  /** As written: `spiffe://example.org/agent`. */
  readonly id: string
  readonly trustDomain: string
  /** With its leading slash; empty: the trust domain itself, which is no workload. */
  readonly path: string
}

const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/

/** `undefined`: it is none. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > SPIFFE_ID_CHARS_MAX) return undefined
  const [id, trustDomain, path] = SPIFFE_ID.exec(text) ?? []
  if (id === undefined || trustDomain === undefined || path === undefined) return undefined
  if (path.split('/').some((segment) => segment === '.' || segment === '..')) return undefined
  return { id, trustDomain, path }
}

/** A trust domain's name alone, without the scheme. */
export function isTrustDomainName(text: string): boolean {
  return TRUST_DOMAIN.test(text)
}
