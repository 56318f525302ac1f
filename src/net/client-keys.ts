/**
 * Verification keys that clients publish at a `jwks_uri` of their registry entry, or at the URL that is their client id: what
 * `key-set-cache.ts` guarantees, per client and URL. Only registered clients are looked up, so a stranger's name provokes no
 * network; a stranger who knows a client's name provokes one fetch per cool-down.
 */
import type { JwsHeader } from '../jose/decode-jws.ts'
import { JwtError } from '../jose/jwt-error.ts'
import type { KeySet } from '../jose/key-set.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Client, ClientKeySet } from '../model/client.ts'
import { ClientMetadataError, readMetadataKeys } from './client-metadata.ts'
import type { FetchJson } from './guarded-fetch.ts'
import { fetchKeySet, KeySetCache, type KeySetCacheDependencies, type KeySource } from './key-set-cache.ts'
import { OutboundError } from './outbound-error.ts'
import { NothingPublished } from './published.ts'

interface ClientSource extends KeySource {
  readonly clientId: string
  readonly document: ClientKeySet['document']
}

function readKeys(fetchJson: FetchJson, source: ClientSource): Promise<KeySet> {
  if (source.document === 'jwks') return fetchKeySet(fetchJson, source)
  return readMetadataKeys({ url: source.jwksUri, algorithms: source.algorithms }, fetchJson)
}

export class ClientKeys {
  readonly #cache: KeySetCache<ClientSource>

  constructor(dependencies: KeySetCacheDependencies<ClientSource>) {
    this.#cache = new KeySetCache({ readKeys, ...dependencies })
  }

  /**
   * As `KeySetCache.keysFor`.
   * @throws Rejection `client_keys_unavailable`, `client_metadata_refused`, which name nobody: no client is authenticated yet
   */
  async keysFor(
    { clientId }: Client,
    { document, jwksUri, algorithms }: ClientKeySet,
    header: Pick<JwsHeader, 'kid' | 'alg'>,
  ): Promise<KeySet> {
    try {
      // A client id holds no space.
      return await this.#cache.keysFor(
        { owner: `${clientId} ${jwksUri}`, clientId, document, jwksUri, algorithms },
        header,
      )
    } catch (error) {
      if (!(error instanceof NothingPublished)) throw error
      if (document === 'client_metadata' && !isPassing(error.cause)) {
        throw new Rejection('client_metadata_refused', 'the client metadata document cannot be used', {
          cause: error.cause,
        })
      }
      throw clientKeysUnavailable(error)
    }
  }
}

/** That keys cannot be read at present, as whoever keeps them says it. */
type Unavailable = { readonly retryAfterSeconds: number | undefined; readonly cause?: unknown }

/** Of whatever a client is authenticated by. Names nobody: no client is authenticated yet. */
export function clientKeysUnavailable({ retryAfterSeconds = 1, cause }: Unavailable): Rejection {
  const description = 'client authentication cannot be checked at present: try again'
  return new Rejection('client_keys_unavailable', description, { retryAfterSeconds, cause })
}

/** Nothing was read, and it may be there in a moment. What was read and refused is the client's own fault. */
function isPassing(cause: unknown): boolean {
  if (cause instanceof OutboundError) return cause.code === 'unreachable' || cause.code === 'timeout'
  return !(cause instanceof ClientMetadataError || cause instanceof JwtError)
}
