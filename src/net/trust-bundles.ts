/**
 * The bundles of configured SPIFFE trust domains: whose keys vouch for which SVIDs, per domain and never merged. Kept per domain
 * as `published.ts` guarantees.
 *
 * Guarantees besides: a bundle is read again as often as its refresh hint asks, within bounds, or as its file may have changed,
 * and one that nobody has asked for meanwhile is read before it is believed; a bundle numbered lower than the last, or no longer
 * numbered, is not adopted; one without keys is, and trusts nobody from then on. Where a bundle is read is configured: nothing in
 * an SVID is followed.
 */
import type { X509Certificate } from 'node:crypto'
import type { JwsHeader } from '../jose/decode-jws.ts'
import type { KeySet } from '../jose/key-set.ts'
import { parseSpiffeBundle, type SpiffeBundle } from '../jose/spiffe-bundle.ts'
import type { Clock } from '../kernel/clock.ts'
import type { TrustDomain } from '../model/trust-domain.ts'
import { readBundleDocument, readFirstBundle } from './bundle-source.ts'
import type { FetchJson } from './guarded-fetch.ts'
import { Published } from './published.ts'

/** How often a bundle is read again: as its refresh hint says, within bounds; where it says nothing (SPIFFE Federation §4.1). */
const REFRESH_S = { least: 10, unsaid: 300, most: 1_800 }
/** How often a bundle's file is looked at. */
const FILE_MS = 1_000

export interface TrustBundlesDependencies {
  readonly fetchJson: FetchJson
  readonly clock: Clock
  /** Told about every read that failed, was not adopted, or gave a bundle that trusts nobody. */
  readonly onFailure?: ((domain: TrustDomain, error: unknown) => void) | undefined
}

interface Adopted {
  readonly bundle: SpiffeBundle
  /** What it was made of: the same again keeps its very keys. */
  readonly text: string
}

export class TrustBundles {
  readonly #published: Published<TrustDomain, Adopted>

  constructor({ fetchJson, clock, onFailure }: TrustBundlesDependencies) {
    this.#published = new Published({
      read: async (domain, before) => {
        const adopted = await readBundle(domain, before, fetchJson)
        const isNews = adopted.bundle !== before?.bundle
        if (isNews && isEmpty(adopted.bundle)) onFailure?.(domain, new Error('the bundle has no usable key'))
        return adopted
      },
      ownerOf: ({ name }) => name,
      placeOf: ({ bundle }) => JSON.stringify(bundle),
      due: (domain, { bundle }) => {
        const freshMs = refreshMs(domain, bundle)
        return { freshMs, overdueMs: 2 * freshMs }
      },
      clock,
      onFailure,
    })
  }

  /** The keys that sign this domain's JWT-SVIDs and nobody else's. An unknown one provokes one read. @throws NothingPublished */
  async jwtKeys(domain: TrustDomain, { kid, alg }: Pick<JwsHeader, 'kid' | 'alg'>): Promise<KeySet> {
    const suffices = ({ bundle }: Adopted): boolean => bundle.jwtKeys.select(kid, alg) !== undefined
    return (await this.#published.current(domain, suffices)).bundle.jwtKeys
  }

  /**
   * The certificates that a path of this domain's X.509-SVIDs may end in, and no other's. The same array for as long as the bundle
   * is the same; empty: nobody is trusted. Their validity and signatures are for the caller to check.
   * @throws NothingPublished
   */
  async x509Authorities(domain: TrustDomain): Promise<readonly X509Certificate[]> {
    return (await this.#published.current(domain, () => true)).bundle.x509Authorities
  }
}

/** @throws OutboundError, JwtError, and whatever reading a file throws; Error where the bundle is older than the last */
async function readBundle(domain: TrustDomain, before: Adopted | undefined, fetchJson: FetchJson): Promise<Adopted> {
  const known = before?.bundle ?? (await readFirstBundle(domain.bundle))
  const document = await readBundleDocument(domain.bundle, known, fetchJson)
  const text = JSON.stringify(document)
  if (before?.text === text) return before
  const bundle = parseSpiffeBundle(document)
  if (known !== undefined) refuseOlder(known, bundle)
  return { bundle, text }
}

/** An older bundle may hold a key that has been withdrawn since: whoever can bring it back must not bring the key back. */
function refuseOlder({ sequence: known }: SpiffeBundle, { sequence: offered }: SpiffeBundle): void {
  if (known === undefined || (offered !== undefined && offered >= known)) return
  throw new Error(`spiffe_sequence went back from ${known} to ${offered ?? 'none'}: the bundle is not adopted`)
}

function refreshMs({ bundle: { kind } }: TrustDomain, { refreshHintSeconds: hint }: SpiffeBundle): number {
  if (kind === 'file') return FILE_MS
  // Some write 0 for none.
  const seconds = hint === undefined || hint === 0 ? REFRESH_S.unsaid : hint
  return Math.min(Math.max(seconds, REFRESH_S.least), REFRESH_S.most) * 1000
}

function isEmpty({ jwtKeys, x509Authorities }: SpiffeBundle): boolean {
  return jwtKeys.size === 0 && x509Authorities.length === 0
}
