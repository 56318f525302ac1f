/**
 * Verification keys that clients publish at a `jwks_uri` of their registry entry: what `key-set-cache.ts` guarantees, per
 * client and URL. Only registered clients are looked up, so a stranger's name provokes no network; a stranger who knows
 * a client's name provokes one fetch per cool-down.
 */
import type { JwsHeader } from '../jose/decode-jws.ts'
import type { KeySet } from '../jose/key-set.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Client, ClientKeySet } from '../model/client.ts'
import { KeySetCache, type KeySetCacheDependencies, type KeySource } from './key-set-cache.ts'
import { NothingPublished } from './published.ts'

interface ClientSource extends KeySource {
  readonly clientId: string
}

export class ClientKeys {
  readonly #cache: KeySetCache<ClientSource>

  constructor(dependencies: KeySetCacheDependencies<ClientSource>) {
    this.#cache = new KeySetCache(dependencies)
  }

  /** As `KeySetCache.keysFor`. @throws Rejection `client_keys_unavailable`, which names nobody: no client is authenticated yet */
  async keysFor(
    { clientId }: Client,
    { jwksUri, algorithms }: ClientKeySet,
    header: Pick<JwsHeader, 'kid' | 'alg'>,
  ): Promise<KeySet> {
    try {
      // A client id holds no space.
      return await this.#cache.keysFor({ owner: `${clientId} ${jwksUri}`, clientId, jwksUri, algorithms }, header)
    } catch (error) {
      if (!(error instanceof NothingPublished)) throw error
      throw new Rejection('client_keys_unavailable', 'client authentication cannot be checked at present: try again', {
        retryAfterSeconds: error.retryAfterSeconds,
        cause: error.cause,
      })
    }
  }
}
