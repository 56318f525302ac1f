/** Wire strings of the RFCs, each with its source. Nothing here decides. */

/** RFC 6749 §4.4, RFC 8693 §2.1, RFC 7523 §2.1. */
export const GRANT_TYPE = {
  clientCredentials: 'client_credentials',
  tokenExchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
  jwtBearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
} as const
export type GrantType = (typeof GRANT_TYPE)[keyof typeof GRANT_TYPE]

/** RFC 8693 §3, and Errand's own two (DESIGN §2). */
export const TOKEN_TYPE = {
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  idJag: 'urn:ietf:params:oauth:token-type:id-jag',
  session: 'urn:errand:token-type:session',
  delegation: 'urn:errand:token-type:delegation',
} as const
export type TokenTypeUri = (typeof TOKEN_TYPE)[keyof typeof TOKEN_TYPE]

/** ID-JAG §7.2: which assertions a server takes as grant. */
export const GRANT_PROFILE_ID_JAG = 'urn:ietf:params:oauth:grant-profile:id-jag'

/** RFC 8693 §3, RFC 7522 §2: known, so that they can be refused by name. */
export const SAML: ReadonlySet<string> = new Set([
  'urn:ietf:params:oauth:token-type:saml1',
  'urn:ietf:params:oauth:token-type:saml2',
  'urn:ietf:params:oauth:grant-type:saml2-bearer',
])

/** RFC 7523 §2.2. */
export const CLIENT_ASSERTION_TYPE_JWT = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** draft-ietf-oauth-spiffe-client-auth-02 section 3.1. */
export const CLIENT_ASSERTION_TYPE_JWT_SVID = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'
/**
 * RFC 7523 §2.2, RFC 6749 §2.3.1, as registered in the OAuth token endpoint authentication methods registry; API keys and
 * tokens of platforms have no standard's name.
 */
export const CLIENT_AUTH_METHOD = {
  assertion: 'private_key_jwt',
  secret: 'client_secret_basic',
  apiKey: 'api_key',
  jwtSvid: 'spiffe_jwt', // draft-ietf-oauth-spiffe-client-auth-02 section 4
  x509Svid: 'spiffe_x509', // the same
  workload: 'workload_jwt',
} as const
export type ClientAuthenticationMethod = (typeof CLIENT_AUTH_METHOD)[keyof typeof CLIENT_AUTH_METHOD]

/** RFC 8705 §2.1.1. */
export const TLS_CLIENT_AUTH = 'tls_client_auth'

/** Every API key begins so: leaked ones are found by scanners, and none is taken for a token. */
export const API_KEY_PREFIX = 'errand_ak_'

/** Where clients authenticate, below the issuer. */
export const ENDPOINT = { token: '/token', introspection: '/introspect', revocation: '/revoke' } as const
export type Endpoint = (typeof ENDPOINT)[keyof typeof ENDPOINT]

/** JOSE `typ` values, without the optional `application/` prefix (RFC 7515 §4.1.9). */
export const JWT_TYP = {
  accessToken: 'at+jwt', // RFC 9068 §2.1
  session: 'errand-session+jwt',
  delegation: 'errand-delegation+jwt',
  management: 'errand-management+jwt',
  clientAuthentication: 'client-authentication+jwt', // rfc7523bis
  introspection: 'token-introspection+jwt', // RFC 9701 §5
  idJag: 'oauth-id-jag+jwt', // draft-ietf-oauth-identity-assertion-authz-grant
} as const

/** What introspection answers are signed with. */
export const STATEMENT_ALG = 'ES256'

/** RFC 6749 §5.2, RFC 8707 §2, RFC 9396 §5, RFC 6750 §3.1, RFC 7009 §2.2.1, RFC 9449 §5, §8. */
export type OAuthError =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'unsupported_response_type'
  | 'unsupported_token_type'
  | 'invalid_scope'
  | 'invalid_target'
  | 'invalid_authorization_details'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'insufficient_user_authentication'
  | 'invalid_dpop_proof'
  | 'use_dpop_nonce'
  | 'not_found'
  | 'temporarily_unavailable'
  | 'server_error'

/** `authorization_details` types (RFC 9396 §2). */
export const DETAILS_TYPE = { intent: 'agent_intent', tools: 'mcp_tools' } as const

/** RFC 8693 §2.2.1: `N_A` when the issued token is not an access token; `DPoP`: RFC 9449 §5. */
export type TokenTypeName = 'Bearer' | 'DPoP' | 'N_A'

/** `sub_profile` values (OAuth Entity Profiles draft). */
export type SubjectProfile = 'user' | 'ai_agent' | 'service'
