/** What clients authenticate with that is allowed and worth a look: secrets about to end, and what an entry forgives. */

import { CREDENTIAL_END_AHEAD_S } from '../../kernel/credential-limits.ts'
import type { Client, ClientSecret } from '../../model/client.ts'
import type { Registry } from '../../model/registry.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import { beyondManifest } from '../registry/api-key-reach.ts'
import { time } from '../terminal.ts'

/** @param now epoch seconds */
export function clientWarnings(registry: Registry, settings: BrokerSettings, now: number): readonly string[] {
  return [...registry.agents, ...registry.services]
    .filter(({ state }) => state !== 'retired')
    .flatMap((client) => [
      ...secretWarnings(client, settings, now),
      ...apiKeyWarnings(client, registry, settings, now),
      ...assertionWarnings(client),
      ...certificateWarnings(client, settings),
    ])
}

function secretWarnings(client: Client, { clientSecretBasic }: BrokerSettings, now: number): readonly string[] {
  const { kind, clientId, secrets } = client
  const off = `${kind} ${clientId}: has client_secrets, and client_authentication.client_secret_basic is off: they open nothing`
  return [
    ...(secrets.length > 0 && !clientSecretBasic ? [off] : []),
    ...secrets.flatMap((secret) => expiryWarning(client, secret, now)),
  ]
}

/** Of two secrets the older one is meant to end. */
function expiryWarning({ kind, clientId, secrets }: Client, secret: ClientSecret, now: number): readonly string[] {
  const name = `${kind} ${clientId}: secret ${secret.id}`
  if (!(now < secret.expiresAt)) return [`${name} has expired: remove it, or errand secret rotate ${clientId}`]
  const hasSuccessor = secrets.some(
    (other) => other.expiresAt > Math.max(secret.expiresAt, now + CREDENTIAL_END_AHEAD_S),
  )
  if (hasSuccessor || secret.expiresAt > now + CREDENTIAL_END_AHEAD_S) return []
  return [`${name} expires at ${time(secret.expiresAt)}: errand secret rotate ${clientId}`]
}

/** A key that works is worth a line each time: it is the last resort, and somebody should be asked whether it still is. */
function apiKeyWarnings(client: Client, registry: Registry, settings: BrokerSettings, now: number): readonly string[] {
  if (client.kind !== 'agent' || client.apiKeys.length === 0) return []
  const { clientId, apiKeys } = client
  if (!settings.apiKeys) {
    return [`agent ${clientId}: has api_keys, and client_authentication.api_keys is off: they open nothing`]
  }
  return apiKeys.flatMap((key) => {
    const name = `agent ${clientId}: API key ${key.id}`
    if (!(now < key.expiresAt)) return [`${name} has expired: remove it, or errand apikey rotate ${clientId} ${key.id}`]
    const ends =
      key.expiresAt <= now + CREDENTIAL_END_AHEAD_S
        ? `expires at ${time(key.expiresAt)}`
        : 'is good for whoever has seen it'
    return [`${name} ${ends}`, ...beyondManifest(client, key.confinement, registry).map((line) => `${name}: ${line}`)]
  })
}

function certificateWarnings(
  { kind, clientId, certificateBound }: Client,
  { mutualTls }: BrokerSettings,
): readonly string[] {
  if (!certificateBound || mutualTls !== undefined) return []
  return [
    `${kind} ${clientId}: has tls_client_certificate_bound_access_tokens, and client_certificates is not configured: it is given tokens with a DPoP proof only`,
  ]
}

function assertionWarnings({ kind, clientId, legacyAssertionAudience, assertionReuse }: Client): readonly string[] {
  const name = `${kind} ${clientId}`
  return [
    ...(legacyAssertionAudience
      ? [`${name}: legacy_assertion_audience accepts assertions made for an endpoint, not for the issuer`]
      : []),
    ...(assertionReuse === undefined
      ? []
      : [`${name}: assertion_reuse lets whoever has seen an assertion present it again until it expires`]),
  ]
}
