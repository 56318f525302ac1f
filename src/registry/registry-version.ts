/** What a version of the policy is called: the digest of all that decisions are made from. */
import { Sha256 } from '../kernel/digest.ts'
import type { Sliced } from '../kernel/slices.ts'
import { canonicalJson } from './canonical-json.ts'
import type { Entries, Placed } from './checks/placed-entries.ts'

/** The same entries give the same version, whatever files they came from and however those were spelled. */
export function* versionOf(
  entries: Entries,
  options: { readonly issuer: string; readonly accessTokenSeconds?: number },
): Sliced<string> {
  const digest = new Sha256()
  const sections = Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1))
  // Canonical JSON of all the sections, the issuer and the lifetime, piece by piece.
  for (const [index, [name, placed]] of sections.entries()) {
    digest.add(`${index === 0 ? '[{' : ','}${JSON.stringify(name)}:[`)
    for (const [position, { entry }] of (placed as readonly Placed<unknown>[]).entries()) {
      digest.add(`${position === 0 ? '' : ','}${canonicalJson(entry)}`)
      yield
    }
    digest.add(']')
  }
  digest.add(`},${canonicalJson(options.issuer)},${canonicalJson(options.accessTokenSeconds ?? null)}]`)
  return digest.digest()
}
