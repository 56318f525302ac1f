/**
 * Certification path building and validation (RFC 5280 §6, RFC 4158): from a client's certificate through what it presented to
 * one of the authorities that its verifier trusts for it, and to no other root whatsoever.
 *
 * Validates: everything of `issuer-rules.ts` at each step, then the signature; the path ends in an authority given here, which
 * is valid itself. A step with several possible issuers tries each, so that a cross-signed or expired twin stands in nobody's way.
 * Bounded: in length by what may be presented, in signatures by `X509_SIGNATURES_MAX`; no certificate or key twice in a path.
 * Does not validate: revocation (certificates of workloads live an hour; `errand revoke` is at once), certificate policies (a
 * critical constraint of them is refused as not understood), what the leaf is for (`svid.ts`).
 */
import { X509_SIGNATURES_MAX } from '../kernel/limits.ts'
import type { Certificate } from './certificate.ts'
import { CertificateError } from './certificate-error.ts'
import type { Issuances } from './issuances.ts'
import { assertMayIssue, assertUsable } from './issuer-rules.ts'

export interface PathSources {
  /** As presented, in any order: nothing of them is believed. */
  readonly intermediates: readonly Certificate[]
  readonly authorities: readonly Certificate[]
  readonly issuances: Issuances
  /** Epoch seconds. */
  readonly now: number
}

interface Search extends PathSources {
  signatures: number
  /** Why the first issuer that would have fitted did not: what helps whoever reads the refusal. */
  problem: CertificateError | undefined
}

type Path = readonly [leaf: Certificate, ...issuers: Certificate[]]

/** The path found, its leaf first and an authority last. @throws CertificateError `expired`, `unacceptable`, `untrusted` */
export async function findPath(leaf: Certificate, sources: PathSources): Promise<readonly Certificate[]> {
  assertUsable(leaf, sources.now)
  const search: Search = { ...sources, signatures: 0, problem: undefined }
  const path = await extend([leaf], search)
  if (path === undefined) {
    throw search.problem ?? new CertificateError('untrusted', 'no authority of its trust domain has issued it')
  }
  sources.issuances.remember(path)
  return path
}

async function extend(path: Path, search: Search): Promise<Path | undefined> {
  for (const issuer of issuersOf(path, search.authorities)) {
    if (await mayFollow(path, issuer, true, search)) return [...path, issuer]
  }
  for (const issuer of issuersOf(path, search.intermediates)) {
    if (!(await mayFollow(path, issuer, false, search))) continue
    const found = await extend([...path, issuer], search)
    if (found !== undefined) return found
  }
  return undefined
}

/** Those that could have issued the last of the path, by name and key identifier (§4.2.1.1, §4.2.1.2); none that is in it. */
function issuersOf(path: Path, candidates: readonly Certificate[]): readonly Certificate[] {
  const last = path.at(-1)
  return candidates.filter(({ subject, subjectKeyId, keyInfo }) => {
    if (last === undefined || subject !== last.issuer) return false
    const { authorityKeyId } = last
    if (authorityKeyId !== undefined && subjectKeyId !== undefined && authorityKeyId !== subjectKeyId) return false
    // The leaf's own certificate or key is never its root, and a circle of cross-signed authorities has no end.
    return path.every((one) => one.subject !== subject || one.keyInfo !== keyInfo)
  })
}

async function mayFollow(path: Path, issuer: Certificate, isAuthority: boolean, search: Search): Promise<boolean> {
  try {
    assertMayIssue(issuer, path, isAuthority, search.now)
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    search.problem ??= error
    return false
  }
  const last = path.at(-1) ?? path[0]
  if (!search.issuances.isKnown(last, issuer)) {
    if (search.signatures >= X509_SIGNATURES_MAX) {
      throw new CertificateError('untrusted', `no path to an authority within ${X509_SIGNATURES_MAX} signatures`)
    }
    search.signatures += 1
  }
  return await search.issuances.isIssuedBy(last, issuer)
}
