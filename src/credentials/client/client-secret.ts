/**
 * Client authentication by `client_secret_basic` (RFC 6749 §2.3.1): a secret that the broker's own command has made, known
 * here by its digest, bound to a version, never good for longer than 90 days.
 *
 * A secret is 256 random bits, so that plain SHA-256 hides it from whoever reads the registry: there is nothing to try out. A
 * slow hash would add nothing to that, and would let every stranger spend the broker's time. What is not in the form of such
 * a secret is never accepted: a password whose digest somebody has written into the registry is nobody's secret.
 *
 * Validates: form; that the secret is one of the client's; that it has begun and has not expired; `client_id` when sent.
 * Takes the same steps for unknown clients and wrong secrets (H66), and the wire has one answer for both.
 * Does not validate: replay. Whoever has seen the secret can use it until it expires.
 */
import { randomBytes } from 'node:crypto'
import { BASIC_CREDENTIALS_CHARS_MAX, CLIENT_SECRET_BYTES, CLIENT_SECRETS_MAX } from '../../kernel/credential-limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { Secret } from '../../kernel/secret.ts'
import type { VerifiedClient } from '../../model/evidence.ts'
import type { Registry } from '../../model/registry.ts'
import { decodeFormText } from '../../protocol/form.ts'
import { CLIENT_AUTH_METHOD } from '../../protocol/oauth.ts'
import { verified } from '../verified.ts'
import { isInForce, knownByDigest } from './known-by-digest.ts'

/** Makes a leaked secret findable by scanners. No character of it is changed by any encoding. */
const PREFIX = 'errand_secret_'
const FORM = /^errand_secret_[A-Za-z0-9_-]{43}$/

export function newClientSecret(): Secret {
  return new Secret(PREFIX + randomBytes(CLIENT_SECRET_BYTES).toString('base64url'))
}

export interface SecretDependencies {
  readonly registry: Pick<Registry, 'client'>
  /** Epoch seconds. */
  readonly now: number
}

/**
 * @param credentials what follows `Basic`
 * @throws Rejection `client_unknown`, `client_secret_*`, `client_authentication_ambiguous`
 */
export function authenticateBySecret(
  credentials: Secret,
  clientId: string | undefined,
  { registry, now }: SecretDependencies,
): VerifiedClient {
  const { id, secret } = parseBasic(credentials)
  if (clientId !== undefined && clientId !== id) {
    throw new Rejection(
      'client_authentication_ambiguous',
      'the client_id parameter names another client than the header',
    )
  }
  const client = registry.client(id)
  const known = knownByDigest(secret, client?.secrets ?? [], CLIENT_SECRETS_MAX)
  const found = FORM.test(secret.reveal()) ? known : undefined
  if (client === undefined) throw new Rejection('client_unknown', 'the client is not registered')
  if (found === undefined) throw new Rejection('client_secret_wrong', 'this is not a secret of the client')
  if (!isInForce(found, now)) throw new Rejection('client_secret_expired', 'this secret has expired')
  return verified({
    client,
    version: found.version,
    authentication: { method: CLIENT_AUTH_METHOD.secret, credential: found.id },
    assertionKey: undefined,
    singleUse: undefined,
  })
}

/**
 * RFC 7617 §2, RFC 6749 §2.3.1: both parts form-urlencoded, which MCP SDKs forget to do; no character of our ids and secrets
 * reads otherwise when it was not.
 */
function parseBasic(credentials: Secret): { id: string; secret: Secret } {
  const text = credentials.reveal()
  const bytes = text.length <= BASIC_CREDENTIALS_CHARS_MAX ? Buffer.from(text, 'base64') : Buffer.alloc(0)
  const pair = bytes.toString('latin1')
  const colon = pair.indexOf(':')
  const isCanonical = bytes.length > 0 && bytes.toString('base64') === text
  const id = colon < 1 ? undefined : decodeFormText(pair.slice(0, colon))
  const secret = colon < 1 ? undefined : decodeFormText(pair.slice(colon + 1))
  if (!isCanonical || !/^[\x21-\x7e]+$/.test(pair) || id === undefined || secret === undefined || secret === '') {
    throw new Rejection('client_secret_malformed', 'Basic credentials must be base64 of client id, colon and secret')
  }
  return { id, secret: new Secret(secret) }
}
