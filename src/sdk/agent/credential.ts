/** How an agent says who it is to the broker: one method, made afresh for each request, in memory only. */
import { createPrivateKey, createPublicKey, type JsonWebKey, KeyObject } from 'node:crypto'
import { algorithmOfCurve } from '../../jose/algorithms.ts'
import { thumbprint } from '../../jose/jwk.ts'
import { type SigningKey, signJwt } from '../../jose/sign-jwt.ts'
import type { Clock } from '../../kernel/clock.ts'
import { Secret } from '../../kernel/secret.ts'
import { CLIENT_ASSERTION_TYPE_JWT, CLIENT_ASSERTION_TYPE_JWT_SVID, GRANT_TYPE, JWT_TYP } from '../../protocol/oauth.ts'
import { clientAssertion } from '../broker/client-assertion.ts'

/** What a form carries so that the broker knows whose it is. */
export interface Authentication {
  readonly form: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
}

export interface AuthenticateAt {
  readonly issuer: string
  readonly clock: Clock
  /** What the request asks with; `undefined`: it is no token request. */
  readonly grantType?: string | undefined
}

export interface Credential {
  /** `undefined`: the credential itself says which client it is. */
  readonly clientId: string | undefined
  /** @param at its issuer is the only one that what it makes is meant for */
  authenticate(at: AuthenticateAt): Promise<Authentication>
}

export interface PrivateKeyJwtOptions {
  readonly clientId: string
  /** A private JWK, as `errand agent add` and `errand init` make it, or a key of `node:crypto`. */
  readonly key?: JsonWebKey | KeyObject
  /** Default: the JWK's own, else its RFC 7638 thumbprint. */
  readonly kid?: string
  /** Default: the JWK's own, else that of its curve. */
  readonly alg?: string
  /** In place of `key`, where it is kept elsewhere (a KMS): signs the claims as a JWS, `typ: client-authentication+jwt`. */
  readonly sign?: (claims: Readonly<Record<string, unknown>>) => Promise<string>
}

/** RFC 7523 §2.2: a fresh assertion per request, for this broker alone. @throws TypeError where there is no usable key */
export function privateKeyJwt(options: PrivateKeyJwtOptions): Credential {
  const { clientId } = options
  const sign = options.sign ?? signerOf(options)
  return {
    clientId,
    authenticate: async ({ issuer, clock }) => ({
      form: await clientAssertion({ clientId, sign }, issuer, clock),
      headers: {},
    }),
  }
}

function signerOf(options: PrivateKeyJwtOptions): (claims: Readonly<Record<string, unknown>>) => Promise<string> {
  const key = signingKey(options)
  return (claims) => signJwt(key, JWT_TYP.clientAuthentication, claims)
}

function signingKey({ key, kid, alg }: PrivateKeyJwtOptions): SigningKey {
  if (key === undefined) throw new TypeError('privateKeyJwt needs a key, or sign')
  const jwk: Readonly<Record<string, unknown>> = key instanceof KeyObject ? {} : key
  const secret = key instanceof KeyObject ? key : importPrivate(key)
  const exported = createPublicKey(secret).export({ format: 'jwk' })
  const algorithm = alg ?? textOf(jwk['alg']) ?? algorithmOfCurve(exported.crv)?.name
  if (algorithm === undefined) throw new TypeError('the algorithm of this key must be said: alg')
  return { key: secret, alg: algorithm, kid: kid ?? textOf(jwk['kid']) ?? thumbprint(exported) }
}

function importPrivate(key: JsonWebKey): KeyObject {
  try {
    return createPrivateKey({ key, format: 'jwk' })
  } catch {
    // The platform's message may quote the key.
    throw new TypeError('key is not a private JWK')
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export interface WorkloadOptions {
  /** Only to say the same as the token does. */
  readonly clientId?: string
  /** Whether it is a JWT-SVID (SPIFFE). Default: a token of the platform. */
  readonly spiffe?: boolean
  /** Of work on its own: whether the token is the grant, too (`jwt-bearer`, MCP Workload Identity Federation). */
  readonly asGrant?: boolean
}

/**
 * The token that the platform keeps for this workload: read each time, because the platform renews it in its place.
 * @param read gives its text, as the file has it
 */
export function workloadJwt(read: () => string | Promise<string>, options: WorkloadOptions = {}): Credential {
  const type = options.spiffe === true ? CLIENT_ASSERTION_TYPE_JWT_SVID : CLIENT_ASSERTION_TYPE_JWT
  return {
    clientId: options.clientId,
    authenticate: async ({ grantType }) => {
      const token = (await read()).trim()
      const isGrant = options.asGrant === true && grantType === GRANT_TYPE.clientCredentials
      const form = isGrant
        ? { grant_type: GRANT_TYPE.jwtBearer, assertion: token }
        : { client_assertion_type: type, client_assertion: token }
      return { form, headers: {} }
    },
  }
}

/** RFC 6749 §2.3.1, Basic: for brokers that have it switched on. Prefer a key: a secret is good for whoever has seen it. */
export function clientSecret(options: {
  readonly clientId: string
  readonly secret: string | (() => string | Promise<string>)
}): Credential {
  const { clientId, secret } = options
  // So that it does not print itself where the credential is logged.
  const kept = typeof secret === 'string' ? new Secret(secret) : undefined
  const read = typeof secret === 'string' ? async () => kept?.reveal() ?? '' : async () => (await secret()).trim()
  return {
    clientId,
    authenticate: async () => {
      const pair = `${encoded(clientId)}:${encoded(await read())}`
      return { form: {}, headers: { authorization: `Basic ${Buffer.from(pair, 'utf8').toString('base64')}` } }
    },
  }
}

/** RFC 6749 appendix B. */
function encoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}
