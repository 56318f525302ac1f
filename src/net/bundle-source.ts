/**
 * Reads the SPIFFE bundle document of one trust domain, from its file or its bundle endpoint (SPIFFE Federation §5).
 *
 * Guarantees: bounded size and strict JSON; of an endpoint what `guarded-fetch.ts` does, no redirect among it. The certificates
 * that an endpoint is trusted by are read anew each time, so that they may be renewed.
 * Does not guarantee: anything about the content.
 */
import { parseStrictJson } from '../jose/strict-json.ts'
import { FETCH_TIMEOUT_MS, JWKS_BYTES_MAX } from '../kernel/limits.ts'
import type { BundleSource } from '../model/trust-domain.ts'
import type { FetchJson } from './guarded-fetch.ts'
import { readLocalText } from './local-files.ts'

/** SPIFFE Federation §5.2.1.3, RFC 7517 §8.5. */
const MEDIA_TYPES = ['application/json', 'application/jwk-set+json']

/** @throws OutboundError, JwtError `malformed`, and whatever reading a file throws */
export async function readBundleDocument(source: BundleSource, fetchJson: FetchJson): Promise<unknown> {
  if (source.kind === 'file') return parseStrictJson(await readLocalText(source.path))
  const { url, caFile } = source
  const bounds = { bytesMax: JWKS_BYTES_MAX, timeoutMs: FETCH_TIMEOUT_MS, accept: MEDIA_TYPES }
  if (caFile === undefined) return await fetchJson(url, bounds)
  return await fetchJson(url, { ...bounds, ca: await readLocalText(caFile) })
}
