/**
 * Verification keys of configured issuers, from the `jwks_uri` of their entry or of their discovery document: what
 * `published.ts` guarantees, per issuer.
 */
import type { JwsHeader } from '../jose/decode-jws.ts'
import { type KeySet, parseKeySet } from '../jose/key-set.ts'
import { parseStrictJson } from '../jose/strict-json.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { PublishingIssuer } from '../model/issuer.ts'
import { Discovery, keyPlaceOf } from './discovery.ts'
import { fetchKeySet, type KeyPlace, type KeySetCacheDependencies } from './key-set-cache.ts'
import { readLocalText } from './local-files.ts'
import { NothingPublished, Published } from './published.ts'

export class IssuerKeys {
  readonly #published: Published<PublishingIssuer, KeySet>

  /** What the same issuers publish about themselves. */
  readonly discovery: Discovery<PublishingIssuer>

  constructor(dependencies: KeySetCacheDependencies<PublishingIssuer>) {
    const { fetchJson, clock, onFailure } = dependencies
    const discovery = new Discovery(dependencies)
    this.discovery = discovery
    this.#published = new Published({
      read: async (issuer) => (await fromFile(issuer)) ?? fetchKeySet(fetchJson, await place(issuer, discovery)),
      // A slug has no space, and is one entry's alone.
      ownerOf: ({ slug, issuer }) => `${slug} ${issuer}`,
      placeOf: ({ jwksUri, algorithms, otherHosts, files }) =>
        JSON.stringify([jwksUri ?? null, algorithms ?? null, otherHosts, files ?? null]),
      clock,
      onFailure,
    })
  }

  /**
   * The issuer's keys, to verify a token with this header: each for an algorithm that the issuer may sign with. An unknown
   * key provokes one fetch; if it is still not there, the caller's own look-up fails.
   * @throws Rejection `subject_issuer_unavailable`
   */
  async keysFor(issuer: PublishingIssuer, { kid, alg }: Pick<JwsHeader, 'kid' | 'alg'>): Promise<KeySet> {
    try {
      return await this.#published.current(issuer, (keys) => keys.select(kid, alg) !== undefined)
    } catch (error) {
      if (!(error instanceof NothingPublished)) throw error
      throw new Rejection(
        'subject_issuer_unavailable',
        `the keys of issuer "${issuer.slug}" cannot be read at present`,
        {
          retryAfterSeconds: error.retryAfterSeconds,
          cause: error.cause,
        },
      )
    }
  }
}

async function fromFile({ files, algorithms }: PublishingIssuer): Promise<KeySet | undefined> {
  if (files?.jwks === undefined || algorithms === undefined) return undefined
  return parseKeySet(parseStrictJson(await readLocalText(files.jwks)), algorithms)
}

/** What the entry says goes before what the issuer says. */
async function place(issuer: PublishingIssuer, discovery: Discovery<PublishingIssuer>): Promise<KeyPlace> {
  const { jwksUri, algorithms, files } = issuer
  if (jwksUri !== undefined && algorithms !== undefined) return { jwksUri, algorithms, ...(files && { files }) }
  const found = keyPlaceOf(await discovery.metadataOf(issuer), issuer)
  return { jwksUri: jwksUri ?? found.jwksUri, algorithms: algorithms ?? found.algorithms }
}
