/**
 * Keys of a client whose id is the URL of its metadata (draft-ietf-oauth-client-id-metadata-document): the document is read at
 * that URL and nowhere else, and is good for its keys alone; what the client may do is its registry entry's business.
 *
 * Validates: size and time; JSON without repeated members; `client_id` is the URL, character by character; the client
 * authenticates by `private_key_jwt`; no shared secret; keys inline (`jwks`) or at one URL of the same origin (`jwks_uri`): the
 * operator has named that host and no other, so that a document sends the broker nowhere.
 * Does not validate: anything else that it says (redirects, grant types, names, scopes): nothing of it is believed.
 */
import { type KeySet, parseKeySet } from '../jose/key-set.ts'
import { isJsonObject } from '../jose/strict-json.ts'
import { JWKS_BYTES_MAX } from '../kernel/limits.ts'
import { CLIENT_METADATA_BYTES_MAX, FETCH_TIMEOUT_MS } from '../kernel/outbound-limits.ts'
import { CLIENT_AUTH_METHOD } from '../protocol/oauth.ts'
import type { FetchJson } from './guarded-fetch.ts'

/** The document was read, and must not be used. The message names what is wrong, never what it says. */
export class ClientMetadataError extends Error {
  constructor(problem: string) {
    super(`the client metadata document ${problem}`)
    this.name = 'ClientMetadataError'
  }
}

export interface MetadataSource {
  /** The client id, and where the document is. */
  readonly url: string
  readonly algorithms: readonly string[]
}

/** Both requests together take no longer than one of others does. */
const TIMEOUT_MS = FETCH_TIMEOUT_MS / 2

/** @throws OutboundError, ClientMetadataError; JwtError for keys that condemn their set */
export async function readMetadataKeys({ url, algorithms }: MetadataSource, fetchJson: FetchJson): Promise<KeySet> {
  const document = await fetchJson(url, {
    bytesMax: CLIENT_METADATA_BYTES_MAX,
    timeoutMs: TIMEOUT_MS,
    accept: ['application/json'],
  })
  const { jwks, jwksUri, allowed } = checkedMetadata(document, url, algorithms)
  if (jwksUri === undefined) return parseKeySet(jwks, allowed)
  const published = await fetchJson(jwksUri, {
    bytesMax: JWKS_BYTES_MAX,
    timeoutMs: TIMEOUT_MS,
    accept: ['application/json', 'application/jwk-set+json'],
  })
  return parseKeySet(published, allowed)
}

interface CheckedMetadata {
  readonly jwks: unknown
  readonly jwksUri: string | undefined
  /** Of the algorithms that its entry allows, those that the document leaves. */
  readonly allowed: readonly string[]
}

function checkedMetadata(document: unknown, url: string, algorithms: readonly string[]): CheckedMetadata {
  if (!isJsonObject(document)) throw new ClientMetadataError('is not a JSON object')
  const member = (name: string): unknown => (Object.hasOwn(document, name) ? document[name] : undefined)
  // The draft's section 4: whoever can write at another URL of that host must not speak for this client.
  if (member('client_id') !== url) throw new ClientMetadataError('names another client_id than its own URL')
  if (member('client_secret') !== undefined || member('client_secret_expires_at') !== undefined) {
    throw new ClientMetadataError('carries a shared secret (section 4.1)')
  }
  if (member('token_endpoint_auth_method') !== CLIENT_AUTH_METHOD.assertion) {
    throw new ClientMetadataError('does not say token_endpoint_auth_method private_key_jwt')
  }
  const [jwks, jwksUri] = [member('jwks'), member('jwks_uri')]
  // RFC 7591 §2: never both, or two readers could hold two sets for the client's.
  if ((jwks === undefined) === (jwksUri === undefined))
    throw new ClientMetadataError('must have one of jwks and jwks_uri')
  return {
    jwks,
    jwksUri: jwksUri === undefined ? undefined : sameOrigin(jwksUri, url),
    allowed: leftBy(member('token_endpoint_auth_signing_alg'), algorithms),
  }
}

function sameOrigin(jwksUri: unknown, url: string): string {
  const parsed = typeof jwksUri === 'string' ? URL.parse(jwksUri) : null
  if (parsed !== null && parsed.origin === new URL(url).origin) return parsed.href
  throw new ClientMetadataError('has a jwks_uri of another origin than its own')
}

function leftBy(alg: unknown, algorithms: readonly string[]): readonly string[] {
  if (alg === undefined) return algorithms
  if (typeof alg === 'string' && algorithms.includes(alg)) return [alg]
  throw new ClientMetadataError('wants a token_endpoint_auth_signing_alg that its entry does not allow')
}
