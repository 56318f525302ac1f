/**
 * Discovery: RFC 8414 metadata, as a superset that unmodified MCP clients accept, derived from what this broker does. It
 * lists no trusted issuers, tenants or policies.
 */
import { ALGORITHM_NAMES } from '../jose/algorithms.ts'
import { DPOP_ALGORITHMS } from '../jose/dpop-proof.ts'
import type { Registry } from '../model/registry.ts'
import type { BrokerSettings } from '../model/settings.ts'
import {
  CLIENT_AUTH_METHOD,
  DETAILS_TYPE,
  ENDPOINT,
  GRANT_PROFILE_ID_JAG,
  GRANT_TYPE,
  STATEMENT_ALG,
  TLS_CLIENT_AUTH,
  TOKEN_TYPE,
} from '../protocol/oauth.ts'
import { scopeSet } from '../protocol/scope.ts'

type Known = Pick<BrokerSettings, 'issuer' | 'clientSecretBasic' | 'apiKeys' | 'mutualTls'>

export function serverMetadata(settings: Known, registry: Registry): Readonly<Record<string, unknown>> {
  const { issuer } = settings
  const isSpiffe = registry.trustDomains.length > 0
  const methods = [
    CLIENT_AUTH_METHOD.assertion,
    ...(isSpiffe ? [CLIENT_AUTH_METHOD.jwtSvid] : []),
    // What RFC 8705 calls it is what an X.509-SVID does: a path to an authority, and a registered URI among the names.
    ...(isSpiffe && settings.mutualTls !== undefined ? [CLIENT_AUTH_METHOD.x509Svid, TLS_CLIENT_AUTH] : []),
    ...(settings.clientSecretBasic ? [CLIENT_AUTH_METHOD.secret] : []),
  ]
  return {
    issuer,
    token_endpoint: issuer + ENDPOINT.token,
    introspection_endpoint: issuer + ENDPOINT.introspection,
    revocation_endpoint: issuer + ENDPOINT.revocation,
    jwks_uri: `${issuer}/jwks`,
    // There is no code flow yet: the endpoint says so. Clients refuse metadata without one (mcp.md §1a 3).
    authorization_endpoint: `${issuer}/authorize`,
    response_types_supported: [],
    code_challenge_methods_supported: ['S256'],
    grant_types_supported: grantTypesOf(registry),
    ...(takesIdJags(registry) ? { authorization_grant_profiles_supported: [GRANT_PROFILE_ID_JAG] } : {}),
    ...(registry.authorizationServers.length > 0
      ? { identity_chaining_requested_token_types_supported: [TOKEN_TYPE.idJag] }
      : {}),
    // RFC 9449 §5.1.
    dpop_signing_alg_values_supported: DPOP_ALGORITHMS,
    scopes_supported: scopesOf(registry),
    authorization_details_types_supported: Object.values(DETAILS_TYPE),
    // Whatever the key of a registered client may be used with: asymmetric, because there is nothing else (RFC 8725 §3.1).
    token_endpoint_auth_methods_supported: [...methods, ...(settings.apiKeys ? [CLIENT_AUTH_METHOD.apiKey] : [])],
    // Of clients that somebody here owns: another URL is no client, and is not fetched.
    ...(hasClientMetadata(registry) ? { client_id_metadata_document_supported: true } : {}),
    token_endpoint_auth_signing_alg_values_supported: ALGORITHM_NAMES,
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: ALGORITHM_NAMES,
    // RFC 9701 §7.
    introspection_signing_alg_values_supported: [STATEMENT_ALG],
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: ALGORITHM_NAMES,
    ...(settings.mutualTls === undefined ? {} : { tls_client_certificate_bound_access_tokens: true }),
    ...aliases(settings.mutualTls?.endpoints),
  }
}

/** RFC 8705 §5: where certificates are asked for, so that browsers at the other URLs are not. */
function aliases(base: string | undefined): Readonly<Record<string, unknown>> {
  if (base === undefined) return {}
  const endpoints = {
    token_endpoint: base + ENDPOINT.token,
    introspection_endpoint: base + ENDPOINT.introspection,
    revocation_endpoint: base + ENDPOINT.revocation,
  }
  return { mtls_endpoint_aliases: endpoints }
}

/** OpenID Connect Discovery's required members, for clients that know only that document. No ID tokens are issued. */
export function openidMetadata(settings: Known, registry: Registry): Readonly<Record<string, unknown>> {
  return {
    ...serverMetadata(settings, registry),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  }
}

/** `jwt-bearer` only where somebody is trusted to issue assertions; who, is not said. */
function grantTypesOf(registry: Registry): readonly string[] {
  const takesAssertions = takesIdJags(registry) || registry.workloadIssuers.length > 0
  return Object.values(GRANT_TYPE).filter((name) => name !== GRANT_TYPE.jwtBearer || takesAssertions)
}

function takesIdJags({ issuers }: Registry): boolean {
  return issuers.some(({ idJagScope }) => idJagScope !== undefined)
}

function hasClientMetadata({ agents }: Registry): boolean {
  return agents.some(({ keySets }) => keySets.some(({ document }) => document === 'client_metadata'))
}

function scopesOf(registry: Registry): readonly string[] {
  const ours = registry.resources.filter(({ authorizationServer }) => authorizationServer === undefined)
  const tools = ours.flatMap((resource) => [...resource.tools.values()])
  return scopeSet(['sessions', ...tools.map((tool) => tool.scope)])
}
