/**
 * Reads the SPIFFE bundle document of one trust domain, from its file or its bundle endpoint (SPIFFE Federation §5).
 *
 * Guarantees: bounded size and strict JSON; of an endpoint what `guarded-fetch.ts` does, no redirect among it. The certificates
 * that an endpoint is trusted by are read anew each time, so that they may be renewed.
 * Does not guarantee: anything about the content.
 */
import { readFile, stat } from 'node:fs/promises'
import { parseStrictJson } from '../jose/strict-json.ts'
import { FETCH_TIMEOUT_MS, JWKS_BYTES_MAX } from '../kernel/limits.ts'
import type { BundleSource } from '../model/trust-domain.ts'
import type { FetchJson } from './guarded-fetch.ts'

/** SPIFFE Federation §5.2.1.3, RFC 7517 §8.5. */
const MEDIA_TYPES = ['application/json', 'application/jwk-set+json']

/** @throws OutboundError, JwtError `malformed`, and whatever reading a file throws */
export async function readBundleDocument(source: BundleSource, fetchJson: FetchJson): Promise<unknown> {
  if (source.kind === 'file') return parseStrictJson(await readBounded(source.path))
  const { url, caFile } = source
  const bounds = { bytesMax: JWKS_BYTES_MAX, timeoutMs: FETCH_TIMEOUT_MS, accept: MEDIA_TYPES }
  if (caFile === undefined) return await fetchJson(url, bounds)
  return await fetchJson(url, { ...bounds, ca: await readBounded(caFile) })
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

async function readBounded(path: string): Promise<string> {
  const found = await stat(path)
  // A pipe would hold whoever opens it; what grows while it is read is measured again.
  if (!found.isFile() || found.size > JWKS_BYTES_MAX) throw new Error(`not a file of at most ${JWKS_BYTES_MAX} bytes`)
  const bytes = await readFile(path)
  if (bytes.length > JWKS_BYTES_MAX) throw new Error(`not a file of at most ${JWKS_BYTES_MAX} bytes`)
  return UTF8.decode(bytes)
}
