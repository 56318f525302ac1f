/**
 * Questions to identity providers about opaque tokens (RFC 7662), asked with openid-client through the guarded fetch.
 *
 * Guarantees: a token is sent to the one provider named and nowhere else: to the endpoint of its entry, or of its discovery
 * document on a host of its own; nothing is cached, so that a revocation there holds here at once; one that hangs holds so
 * many requests and no more, and nobody of another provider.
 * Does not guarantee: anything about the answer beyond that it is a JSON object that says whether the token is active.
 */
import { createPrivateKey, type JsonWebKey } from 'node:crypto'
import {
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  customFetch,
  tokenIntrospection,
} from 'openid-client'
import { isName } from '../jose/name.ts'
import { signJwt } from '../jose/sign-jwt.ts'
import { isJsonObject, parseStrictJson } from '../jose/strict-json.ts'
import { newJti } from '../kernel/ids.ts'
import {
  FETCH_TIMEOUT_MS,
  INTROSPECTION_ASSERTION_S,
  INTROSPECTION_BYTES_MAX,
  INTROSPECTIONS_WAITING_MAX,
  JWKS_RETRY_MS,
} from '../kernel/outbound-limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Introspection, Issuer, PublishingIssuer } from '../model/issuer.ts'
import { JWT_TYP } from '../protocol/oauth.ts'
import { type Discovery, endpointOf, fetchThrough, isPlain } from './discovery.ts'
import type { FetchJson } from './guarded-fetch.ts'

export interface IntrospectionsDependencies {
  readonly fetchJson: FetchJson
  readonly discovery: Pick<Discovery<PublishingIssuer>, 'metadataOf'>
  /** The text of a file that is its owner's alone. */
  readonly readPrivateFile: (path: string) => Promise<Secret>
  readonly onFailure?: ((issuer: Issuer, error: unknown) => void) | undefined
}

const BOUNDS = { bytesMax: INTROSPECTION_BYTES_MAX, timeoutMs: FETCH_TIMEOUT_MS, accept: ['application/json'] }

export class Introspections {
  readonly #dependencies: IntrospectionsDependencies
  readonly #waiting = new Map<string, number>()

  constructor(dependencies: IntrospectionsDependencies) {
    this.#dependencies = dependencies
  }

  /**
   * What the issuer says about the token.
   * @param now epoch seconds
   * @throws Rejection `subject_issuer_unavailable`
   */
  async ask(issuer: Issuer, token: Secret, now: number): Promise<Readonly<Record<string, unknown>>> {
    const waiting = this.#waiting.get(issuer.slug) ?? 0
    if (waiting >= INTROSPECTIONS_WAITING_MAX) throw unavailable(issuer, undefined)
    this.#waiting.set(issuer.slug, waiting + 1)
    try {
      return await this.#ask(issuer, token, now)
    } catch (error) {
      this.#dependencies.onFailure?.(issuer, error)
      throw unavailable(issuer, error)
    } finally {
      this.#waiting.set(issuer.slug, (this.#waiting.get(issuer.slug) ?? 1) - 1)
    }
  }

  async #ask(issuer: Issuer, token: Secret, now: number): Promise<Readonly<Record<string, unknown>>> {
    const { introspection } = issuer
    if (introspection === undefined) throw new TypeError('the issuer has no introspection')
    const { fetchJson, readPrivateFile } = this.#dependencies
    const endpoint =
      introspection.endpoint ?? endpointOf(await this.#metadata(issuer), 'introspection_endpoint', issuer)
    const server = { issuer: issuer.issuer, introspection_endpoint: endpoint }
    const authentication = await authenticate(introspection, await readPrivateFile(introspection.credentialFile), now)
    const configuration = new Configuration(server, introspection.clientId, undefined, authentication)
    if (isPlain(new URL(endpoint))) allowInsecureRequests(configuration)
    const network = fetchThrough(fetchJson, BOUNDS)
    configuration[customFetch] = network.fetch
    return await network.around(() =>
      tokenIntrospection(configuration, token.reveal(), { token_type_hint: 'access_token' }),
    )
  }

  #metadata(issuer: Issuer) {
    return this.#dependencies.discovery.metadataOf(issuer)
  }
}

function unavailable({ slug }: Issuer, cause: unknown): Rejection {
  return new Rejection('subject_issuer_unavailable', `issuer "${slug}" cannot be asked about the token at present`, {
    retryAfterSeconds: Math.ceil(JWKS_RETRY_MS / 1000),
    cause,
  })
}

async function authenticate({ method, clientId }: Introspection, file: Secret, now: number): Promise<ClientAuth> {
  if (method === 'client_secret_basic') return ClientSecretBasic(file.reveal().trim())
  if (method === 'client_secret_post') return ClientSecretPost(file.reveal().trim())
  const { kid, alg, jwk } = parsePrivateJwk(file)
  const key = { kid, alg, key: createPrivateKey({ key: jwk, format: 'jwk' }) }
  // One door to signatures: openid-client would make its own.
  return async ({ issuer }, _client, body) => {
    const times = { iat: now, exp: now + INTROSPECTION_ASSERTION_S }
    const claims = { iss: clientId, sub: clientId, aud: issuer, jti: newJti(), ...times }
    body.set('client_id', clientId)
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    body.set('client_assertion', await signJwt(key, JWT_TYP.clientAuthentication, claims))
  }
}

/** @throws TypeError, which never quotes the file */
function parsePrivateJwk(file: Secret): { readonly kid: string; readonly alg: string; readonly jwk: JsonWebKey } {
  const value = readJson(file.reveal())
  const [kid, alg] = isJsonObject(value) ? [value['kid'], value['alg']] : []
  if (!isName(kid) || !isName(alg)) throw new TypeError('private_key_file must hold a private JWK with kid and alg')
  return { kid, alg, jwk: value as JsonWebKey }
}

function readJson(text: string): unknown {
  try {
    return parseStrictJson(text)
  } catch {
    return undefined
  }
}
