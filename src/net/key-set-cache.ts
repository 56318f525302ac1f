/**
 * Published key sets, kept per owner as `published.ts` guarantees: an issuer's, or those of a client's credential.
 *
 * Guarantees besides: a key that a token names and the set has not is looked for once more, so that a rotation costs
 * nobody a token, and a flood of unknown `kid`s one fetch per cool-down. Keys come from the source's own URL only: `jku`,
 * `x5u` and discovery documents named by a token are never followed.
 */
import type { JwsHeader } from '../jose/decode-jws.ts'
import { type KeySet, parseKeySet } from '../jose/key-set.ts'
import type { Clock } from '../kernel/clock.ts'
import { JWKS_BYTES_MAX } from '../kernel/limits.ts'
import { FETCH_TIMEOUT_MS } from '../kernel/outbound-limits.ts'
import type { KeyFiles } from '../model/issuer.ts'
import type { FetchJson } from './guarded-fetch.ts'
import { readBearer, readLocalText } from './local-files.ts'
import { Published } from './published.ts'

/** Where keys are published, and what they may sign with. */
export interface KeyPlace {
  readonly jwksUri: string
  readonly algorithms: readonly string[]
  readonly files?: KeyFiles
}

/** Whose keys, and where they are published. */
export interface KeySource extends KeyPlace {
  /** Tells owners apart: two sources never share an entry, even where they share a URL. */
  readonly owner: string
}

export interface KeySetCacheDependencies<S> {
  readonly fetchJson: FetchJson
  readonly clock: Clock
  /** How an owner's keys are read; absent: as a key set (RFC 7517 §5) at its `jwksUri`. */
  readonly readKeys?: ((fetchJson: FetchJson, source: S) => Promise<KeySet>) | undefined
  /** Told about every failed fetch, also those that no request had to wait for. */
  readonly onFailure?: ((source: S, error: unknown) => void) | undefined
}

const MEDIA_TYPES = ['application/json', 'application/jwk-set+json'] // RFC 7517 §8.5

export class KeySetCache<S extends KeySource> {
  readonly #published: Published<S, KeySet>

  constructor({ fetchJson, clock, onFailure, readKeys = fetchKeySet }: KeySetCacheDependencies<S>) {
    this.#published = new Published({
      read: (source) => readKeys(fetchJson, source),
      ownerOf: ({ owner }) => owner,
      placeOf: ({ jwksUri, algorithms }) => JSON.stringify([jwksUri, algorithms]),
      clock,
      onFailure,
    })
  }

  /**
   * The owner's keys, to verify a token with this header. An unknown key provokes one fetch; if it is still not there, the
   * caller's own look-up fails.
   * @throws NothingPublished when there are no keys that may still be trusted.
   */
  async keysFor(source: S, { kid, alg }: Pick<JwsHeader, 'kid' | 'alg'>): Promise<KeySet> {
    return await this.#published.current(source, (keys) => keys.select(kid, alg) !== undefined)
  }
}

/** @throws OutboundError; JwtError `key` */
export async function fetchKeySet(fetchJson: FetchJson, { jwksUri, algorithms, files }: KeyPlace): Promise<KeySet> {
  const bounds = { bytesMax: JWKS_BYTES_MAX, timeoutMs: FETCH_TIMEOUT_MS, accept: MEDIA_TYPES }
  const ca = files?.ca === undefined ? {} : { ca: await readLocalText(files.ca) }
  const authorization = files?.credential === undefined ? {} : { authorization: await readBearer(files.credential) }
  return parseKeySet(await fetchJson(jwksUri, { ...bounds, ...ca, ...authorization }), algorithms)
}
