/**
 * Reads the SPIFFE bundle document of one trust domain, from its file or its bundle endpoint (SPIFFE Federation §5).
 *
 * Guarantees: bounded size and strict JSON; of an endpoint what `guarded-fetch.ts` does, no redirect among it. With `https_web`
 * it is whom its URL names, by the system's authorities or those of a file that is read anew each time; with `https_spiffe` it is
 * the one workload that is configured, by the authorities of the bundle known so far and no others.
 * Does not guarantee: anything about the content.
 */
import { parseSpiffeBundle, type SpiffeBundle } from '../jose/spiffe-bundle.ts'
import { parseStrictJson } from '../jose/strict-json.ts'
import { JWKS_BYTES_MAX } from '../kernel/limits.ts'
import { FETCH_TIMEOUT_MS } from '../kernel/outbound-limits.ts'
import type { BundleSource } from '../model/trust-domain.ts'
import { readSvid } from '../x509/svid.ts'
import type { FetchJson } from './guarded-fetch.ts'
import { readLocalText } from './local-files.ts'

/** SPIFFE Federation §5.2.1.3, RFC 7517 §8.5. */
const MEDIA_TYPES = ['application/json', 'application/jwk-set+json']
const BOUNDS = { bytesMax: JWKS_BYTES_MAX, timeoutMs: FETCH_TIMEOUT_MS, accept: MEDIA_TYPES }

/**
 * @param known the bundle so far
 * @throws OutboundError, JwtError `malformed`, and whatever reading a file throws
 */
export async function readBundleDocument(
  source: BundleSource,
  known: SpiffeBundle | undefined,
  fetchJson: FetchJson,
): Promise<unknown> {
  switch (source.kind) {
    case 'file':
      return parseStrictJson(await readLocalText(source.path))
    case 'endpoint': {
      const { url, caFile } = source
      return await fetchJson(url, { ...BOUNDS, ...(caFile !== undefined && { ca: await readLocalText(caFile) }) })
    }
    case 'spiffe_endpoint': {
      const ca = (known?.x509Authorities ?? []).map((certificate) => certificate.toString()).join('')
      // Nobody to trust must not come to mean the system's authorities.
      if (ca === '') throw new Error('the bundle so far has no X.509 authority to know its endpoint by')
      return await fetchJson(source.url, { ...BOUNDS, ca, assertPeer: (der) => assertWorkload(der, source.spiffeId) })
    }
  }
}

/** What is known before anything was fetched (SPIFFE Federation §5.2.2): only who may serve the bundle, nobody's SVID. */
export async function readFirstBundle(source: BundleSource): Promise<SpiffeBundle | undefined> {
  if (source.kind !== 'spiffe_endpoint') return undefined
  return parseSpiffeBundle(parseStrictJson(await readLocalText(source.firstFile)))
}

/** Letter for letter: another workload of the same domain could otherwise hand out its keys. */
function assertWorkload(certificate: Buffer, spiffeId: string): void {
  if (readSvid([certificate]).spiffeId.id !== spiffeId) throw new Error('the bundle endpoint is another workload')
}
