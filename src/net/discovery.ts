/**
 * What identity providers publish about themselves (OpenID Connect Discovery 1.0 §4), read with openid-client through the
 * guarded fetch and kept per provider as `published.ts` guarantees.
 *
 * Guarantees: only configured issuers are asked, at the place that follows from their name; `issuer` in the document is
 * that name, letter by letter, so that no provider speaks for another (mix-up); URLs taken from the document are on the
 * issuer's own origin or on a host that its entry lists, so that a document cannot send our requests, or our credentials,
 * elsewhere; algorithms are asymmetric ones that we know.
 * Does not guarantee: that the document lists an endpoint; who needs one refuses without it.
 */
import { allowInsecureRequests, type CustomFetch, customFetch, discovery, type ServerMetadata } from 'openid-client'
import { ALGORITHM_NAMES } from '../jose/algorithms.ts'
import type { Clock } from '../kernel/clock.ts'
import { METADATA_BYTES_MAX } from '../kernel/limits.ts'
import { FETCH_TIMEOUT_MS } from '../kernel/outbound-limits.ts'
import { Secret } from '../kernel/secret.ts'
import type { FetchJson, FetchRequest } from './guarded-fetch.ts'
import type { KeyPlace } from './key-set-cache.ts'
import { OutboundError } from './outbound-error.ts'
import { Published } from './published.ts'

/** A configured provider. */
export interface Provider {
  /** Its identifier: where the document is, and what must be in it. */
  readonly issuer: string
  /** Hosts (`host` or `host:port`) beside the issuer's own that its document may point to. */
  readonly otherHosts: readonly string[]
}

export interface DiscoveryDependencies<P extends Provider> {
  readonly fetchJson: FetchJson
  readonly clock: Clock
  readonly onFailure?: ((provider: P, error: unknown) => void) | undefined
}

const SPARE_ALGORITHMS = ['RS256', 'ES256']
const BOUNDS = { bytesMax: METADATA_BYTES_MAX, timeoutMs: FETCH_TIMEOUT_MS, accept: ['application/json'] }

export class Discovery<P extends Provider> {
  readonly #published: Published<P, ServerMetadata>

  constructor({ fetchJson, clock, onFailure }: DiscoveryDependencies<P>) {
    this.#published = new Published({
      read: (provider) => discover(provider, fetchJson),
      ownerOf: ({ issuer }) => issuer,
      placeOf: ({ issuer }) => issuer,
      clock,
      onFailure,
    })
  }

  /** @throws NothingPublished */
  async metadataOf(provider: P): Promise<ServerMetadata> {
    return await this.#published.current(provider, () => true)
  }
}

/** @throws OutboundError: of a wrong document, too, which it never quotes */
async function discover({ issuer }: Provider, fetchJson: FetchJson): Promise<ServerMetadata> {
  const network = fetchThrough(fetchJson, BOUNDS)
  const url = new URL(issuer)
  const execute = isPlain(url) ? [allowInsecureRequests] : []
  const found = await network.around(() =>
    discovery(url, 'errand', undefined, undefined, { [customFetch]: network.fetch, execute }),
  )
  const metadata = found.serverMetadata()
  // openid-client compares URLs, and lets two well-known hosts name others.
  if (metadata.issuer !== issuer) throw wrong(issuer, 'its document names another issuer')
  return metadata
}

/** Where the provider's keys are. @throws OutboundError */
export function keyPlaceOf(metadata: ServerMetadata, provider: Provider): KeyPlace {
  const jwksUri = endpointOf(metadata, 'jwks_uri', provider)
  const said: unknown = metadata.id_token_signing_alg_values_supported ?? SPARE_ALGORITHMS
  const algorithms = Array.isArray(said) ? ALGORITHM_NAMES.filter((name) => said.includes(name)) : []
  if (algorithms.length === 0) throw wrong(provider.issuer, 'its document lists no algorithm that is known here')
  return { jwksUri, algorithms }
}

/** @throws OutboundError unless the document has it, on a host of this provider's */
export function endpointOf(
  metadata: ServerMetadata,
  name: 'jwks_uri' | 'introspection_endpoint',
  { issuer, otherHosts }: Provider,
): string {
  const text: unknown = metadata[name]
  const url = typeof text === 'string' ? URL.parse(text) : null
  if (url === null) throw wrong(issuer, `its document has no ${name}`)
  const own = new URL(issuer)
  const isElsewhere = url.origin !== own.origin && !(url.protocol === own.protocol && otherHosts.includes(url.host))
  if (isElsewhere) throw wrong(issuer, `${name} is on a host that other_hosts of its entry does not list`)
  return url.href
}

function wrong(issuer: string, what: string): OutboundError {
  return new OutboundError('malformed', `${new URL(issuer).host}: ${what}`)
}

/** Only loopback is ever fetched from in plain, which the guarded fetch sees to. */
export function isPlain(url: URL): boolean {
  return url.protocol === 'http:'
}

export interface Network {
  readonly fetch: CustomFetch
  /** Runs what uses `fetch`; its failures come out as ours, as a library's own errors quote what a stranger has sent. */
  around<T>(work: () => Promise<T>): Promise<T>
}

/** openid-client's requests, made by the guarded fetch: of its headers only `Authorization` goes along. */
export function fetchThrough(fetchJson: FetchJson, bounds: FetchRequest): Network {
  let failure: unknown
  return {
    fetch: async (url, { method, body, headers }) => {
      const authorization = headers['authorization']
      try {
        const document = await fetchJson(url, {
          ...bounds,
          ...(authorization === undefined ? {} : { authorization: new Secret(authorization) }),
          ...(method === 'POST'
            ? { body: { type: 'application/x-www-form-urlencoded', text: new Secret(String(body)) } }
            : {}),
        })
        return Response.json(document)
      } catch (error) {
        failure = error
        throw error
      }
    },
    around: async (work) => {
      try {
        return await work()
      } catch {
        throw failure ?? new OutboundError('malformed', 'the answer is not what the protocol asks for')
      }
    },
  }
}
