/** Verification keys of configured issuers, from their `jwks_uri`: what `key-set-cache.ts` guarantees, per issuer. */
import type { JwsHeader } from '../jose/decode-jws.ts'
import type { KeySet } from '../jose/key-set.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Issuer } from '../model/issuer.ts'
import { KeySetCache, type KeySetCacheDependencies, type KeySource, KeysUnavailable } from './key-set-cache.ts'

interface IssuerSource extends KeySource {
  readonly slug: string
}

export class IssuerKeys {
  readonly #cache: KeySetCache<IssuerSource>

  constructor(dependencies: KeySetCacheDependencies<IssuerSource>) {
    this.#cache = new KeySetCache(dependencies)
  }

  /** As `KeySetCache.keysFor`. @throws Rejection `subject_issuer_unavailable` */
  async keysFor(issuer: Issuer, header: Pick<JwsHeader, 'kid' | 'alg'>): Promise<KeySet> {
    const { slug, jwksUri, algorithms } = issuer
    try {
      return await this.#cache.keysFor({ owner: issuer.issuer, slug, jwksUri, algorithms }, header)
    } catch (error) {
      if (!(error instanceof KeysUnavailable)) throw error
      throw new Rejection('subject_issuer_unavailable', `the keys of issuer "${slug}" cannot be read at present`, {
        retryAfterSeconds: error.retryAfterSeconds,
        cause: error.cause,
      })
    }
  }
}
