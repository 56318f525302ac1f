/**
 * Client authentication by an API key: the last resort, for what can send a header and nothing else. Off unless the
 * configuration says otherwise, made by the broker's own command, known here by its digest, never good for longer than 90
 * days, and good for less than its agent may: the servers and scopes that its entry names, for the agent's own work.
 *
 * Presented as `Authorization: Bearer errand_ak_…` at the token endpoint, beside the agent's `client_id`: a key that is found
 * lying around does not say whose it is, and what is compared does not depend on what was sent.
 *
 * Validates: form and checksum; that the key is one of that agent's; that it has begun and has not expired.
 * Takes the same steps for unknown agents and wrong keys (H66), and the wire has one answer for both.
 * Does not validate: replay. Whoever has seen the key can use it until it expires.
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { API_KEYS_MAX, CLIENT_SECRET_BYTES } from '../../kernel/credential-limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { Secret } from '../../kernel/secret.ts'
import type { VerifiedClient } from '../../model/evidence.ts'
import type { Registry } from '../../model/registry.ts'
import { API_KEY_PREFIX, CLIENT_AUTH_METHOD } from '../../protocol/oauth.ts'
import { verified } from '../verified.ts'
import { isInForce, knownByDigest } from './known-by-digest.ts'

const CHECKSUM_CHARS = 6
/** 256 random bits, then the CRC-32 of all before it: a scanner tells a key from an example without asking anybody. */
const FORM = /^errand_ak_[A-Za-z0-9_-]{43}[A-Za-z0-9_-]{6}$/

export function newApiKey(): Secret {
  const text = API_KEY_PREFIX + randomBytes(CLIENT_SECRET_BYTES).toString('base64url')
  return new Secret(text + checksum(text))
}

export interface ApiKeyDependencies {
  readonly registry: Pick<Registry, 'client'>
  /** Epoch seconds. */
  readonly now: number
}

/** @throws Rejection `client_unknown`, `api_key_malformed`, `api_key_wrong`, `api_key_expired` */
export function authenticateByApiKey(
  key: Secret,
  clientId: string | undefined,
  { registry, now }: ApiKeyDependencies,
): VerifiedClient {
  if (clientId === undefined) throw malformed('an API key is sent beside the client_id of its agent')
  if (!isWellFormed(key)) throw malformed('this is not an API key of Errand: its form or its checksum is wrong')
  const client = registry.client(clientId)
  const keys = client?.kind === 'agent' ? client.apiKeys : []
  const found = knownByDigest(key, keys, API_KEYS_MAX)
  if (client === undefined) throw new Rejection('client_unknown', 'the client is not registered')
  if (found === undefined) throw new Rejection('api_key_wrong', 'this is not an API key of the client')
  if (!isInForce(found, now)) throw new Rejection('api_key_expired', 'this API key has expired')
  return verified({
    client,
    version: found.version,
    authentication: { method: CLIENT_AUTH_METHOD.apiKey, credential: found.id },
    assertionKey: undefined,
    singleUse: undefined,
    confinement: found.confinement,
  })
}

/** What a slip of the keyboard has changed is refused before anything is looked up. */
function isWellFormed(key: Secret): boolean {
  const text = key.reveal()
  return FORM.test(text) && text.slice(-CHECKSUM_CHARS) === checksum(text.slice(0, -CHECKSUM_CHARS))
}

function checksum(text: string): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32(text))
  return bytes.toString('base64url')
}

function malformed(description: string): Rejection {
  return new Rejection('api_key_malformed', description)
}
