/** What a client authenticates with, as its registry entry has it: its own public keys, where it publishes others, its secrets. */
import { importPublicJwk } from '../../jose/jwk.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { CLIENT_SECRET_LIFETIME_S_MAX } from '../../kernel/credential-limits.ts'
import type { ClientId } from '../../kernel/ids.ts'
import type { ClientKey, ClientKeySet, ClientSecret, Service } from '../../model/client.ts'
import { GRANT_TYPE } from '../../protocol/oauth.ts'
import { scopeSet } from '../../protocol/scope.ts'
import type { ClientSecretEntry, KeyEntry, KeySetEntry, ServiceEntry } from '../entries/client-entry.ts'
import { decodeManifest } from './decode-selector.ts'
import { decodeWorkload } from './decode-workload.ts'

const GRANT_TYPES = {
  'token-exchange': GRANT_TYPE.tokenExchange,
  client_credentials: GRANT_TYPE.clientCredentials,
  'jwt-bearer': GRANT_TYPE.jwtBearer,
} as const

export function decodeService(entry: ServiceEntry, path: string, problems: string[]): Service {
  return {
    kind: 'service',
    usersOf: entry.users_of,
    manifest: decodeManifest(entry.manifest, path, problems),
    ...decodeClient(entry, path, problems),
  }
}

/** What agents and services have in common. */
export function decodeClient(entry: Omit<ServiceEntry, 'manifest' | 'users_of'>, path: string, problems: string[]) {
  return {
    clientId: entry.client_id as ClientId,
    state: entry.state,
    keys: decodeKeys(entry.keys, `${path}.keys`, problems),
    keySets: decodeKeySets(entry.key_sets, `${path}.key_sets`, problems),
    secrets: decodeSecrets(entry.client_secrets, `${path}.client_secrets`, CLIENT_SECRET_LIFETIME_S_MAX, problems),
    workloads: entry.workloads.map(decodeWorkload),
    spiffeIds: entry.spiffe_ids,
    legacyAssertionAudience: entry.legacy_assertion_audience,
    assertionReuse: entry.assertion_reuse,
    certificateBound: entry.tls_client_certificate_bound_access_tokens,
    grantTypes: entry.grant_types.map((name) => GRANT_TYPES[name]),
    apiScopes: scopeSet(entry.api_scopes),
  }
}

function decodeKeys(entries: readonly KeyEntry[], path: string, problems: string[]): readonly ClientKey[] {
  const keys: ClientKey[] = []
  for (const [index, { version, ...jwk }] of entries.entries()) {
    const at = `${path}[${index}]`
    if (keys.some((other) => other.kid === jwk.kid)) problems.push(`${at}.kid: used twice by this client`)
    try {
      const { alg, key } = importPublicJwk(jwk)
      keys.push({ kid: jwk.kid, alg, key, version })
    } catch (fault) {
      if (!(fault instanceof JwtError)) throw fault
      problems.push(`${at}: ${fault.message}`)
    }
  }
  return keys
}

/** One URL under two versions would say of the same key that it is both. */
function decodeKeySets(entries: readonly KeySetEntry[], path: string, problems: string[]): readonly ClientKeySet[] {
  entries.forEach(({ jwks_uri: uri }, index) => {
    if (entries.findIndex((entry) => entry.jwks_uri === uri) < index) {
      problems.push(`${path}[${index}].jwks_uri: used twice by this client`)
    }
  })
  return entries.map((entry) => ({
    document: 'jwks',
    jwksUri: entry.jwks_uri,
    algorithms: [...new Set(entry.algorithms)],
    version: entry.version,
  }))
}

/** How long one lives is judged without a clock: the same document is right or wrong on every day. */
export function decodeSecrets(
  entries: readonly ClientSecretEntry[],
  path: string,
  lifetimeSecondsMax: number,
  problems: string[],
): readonly ClientSecret[] {
  return entries.map((entry, index) => {
    const at = `${path}[${index}]`
    const life = entry.expires_at - entry.issued_at
    if (life <= 0) problems.push(`${at}.expires_at: must be later than issued_at`)
    if (life > lifetimeSecondsMax) {
      problems.push(`${at}.expires_at: at most ${lifetimeSecondsMax / 86_400} days after issued_at`)
    }
    const other = entries.findIndex(({ id, sha256 }) => id === entry.id || sha256 === entry.sha256)
    if (other < index) problems.push(`${at}: has the id or the digest of another of this client`)
    return {
      id: entry.id,
      digest: Buffer.from(entry.sha256, 'base64url'),
      version: entry.version,
      issuedAt: entry.issued_at,
      expiresAt: entry.expires_at,
    }
  })
}
