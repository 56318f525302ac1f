/**
 * Client authentication: exactly one method per request (RFC 6749 §2.3), `private_key_jwt`, a token of the platform that the
 * client runs on, a JWT-SVID, an X.509-SVID by mutual TLS, or `client_secret_basic` or an API key where the configuration
 * switches that on.
 *
 * Validates: that one method is used, and the method itself (`client-assertion.ts`, `workload-client.ts`, `jwt-svid-client.ts`,
 * `x509-svid-client.ts`, `client-secret.ts`, `api-key.ts`).
 * Does not validate: that an assertion is presented once (claim `singleUse`, after everything else of the request has been
 * verified); that the client is active: a suspended agent is still told apart from an impostor, and the pipeline refuses it
 * (`agent_inactive`, `service_inactive`) where the refusal can be recorded under its name.
 */
import { JwtError } from '../../jose/jwt-error.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { VerifiedClient } from '../../model/evidence.ts'
import { CLIENT_ASSERTION_TYPE_JWT, CLIENT_ASSERTION_TYPE_JWT_SVID, ENDPOINT } from '../../protocol/oauth.ts'
import { inSlot } from '../jwt-refusals.ts'
import type { SvidDependencies } from '../workload/jwt-svid.ts'
import { platformOf, type WorkloadTokenDependencies } from '../workload/workload-token.ts'
import { authenticateByApiKey } from './api-key.ts'
import { type AssertionDependencies, prepareAssertion } from './client-assertion.ts'
import { authenticateBySecret } from './client-secret.ts'
import { prepareSvidClient } from './jwt-svid-client.ts'
import type { PresentedClient } from './presented-client.ts'
import { prepareWorkloadClient } from './workload-client.ts'
import { prepareX509Svid, type X509Dependencies } from './x509-svid-client.ts'

export interface ClientAuthenticationDependencies
  extends AssertionDependencies,
    SvidDependencies,
    X509Dependencies,
    WorkloadTokenDependencies {
  readonly registry: AssertionDependencies['registry'] &
    SvidDependencies['registry'] &
    WorkloadTokenDependencies['registry']
  readonly bundles: SvidDependencies['bundles'] & X509Dependencies['bundles']
  /** Whether `client_secret_basic` is switched on. */
  readonly clientSecretBasic: boolean
  /** Whether API keys are switched on. */
  readonly apiKeys: boolean
}

/**
 * Everything that may have to wait, and then what remains: a function that authenticates. Both throw.
 * @throws Rejection `client_*`
 */
export async function prepareAuthentication(
  presented: PresentedClient,
  deps: ClientAuthenticationDependencies,
): Promise<() => Promise<VerifiedClient>> {
  const { clientId, assertion, basic, apiKey, grant, certificates, otherMethods } = presented
  const platform = grant === undefined ? undefined : platformOfGrant(grant, deps.registry)
  const methods = otherMethods.length + [assertion, basic, apiKey, platform].filter((one) => one !== undefined).length
  if (methods > 1) {
    throw new Rejection('client_authentication_ambiguous', 'use one client authentication method per request')
  }
  if (grant !== undefined && platform !== undefined) {
    return prepareWorkloadClient({ token: grant, slot: 'assertion', platform, clientId }, deps)
  }
  if (assertion !== undefined) return prepareByType(presented, assertion, deps)
  if (basic !== undefined && deps.clientSecretBasic) {
    return async () => authenticateBySecret(basic, presented.clientId, deps)
  }
  // Only where tokens are asked for: elsewhere its agent is told from its impostors by a better credential.
  if (apiKey !== undefined && deps.apiKeys && deps.endpoint === ENDPOINT.token) {
    return async () => authenticateByApiKey(apiKey, presented.clientId, deps)
  }
  // A secret in the body ends up in more logs than a header does: not supported, whatever is switched on.
  if (methods === 1) throw new Rejection('client_authentication_unsupported', 'this method is not supported here')
  // Last: a mesh shows certificates for everybody, also for those who authenticate in another way.
  if (certificates !== undefined) return prepareX509Svid(certificates, presented.clientId, deps)
  throw new Rejection('client_authentication_missing', 'authenticate with a client_assertion (private_key_jwt)')
}

function prepareByType(presented: PresentedClient, assertion: Secret, deps: ClientAuthenticationDependencies) {
  switch (presented.assertionType) {
    case CLIENT_ASSERTION_TYPE_JWT:
      return prepareByIssuer(presented, assertion, deps)
    case CLIENT_ASSERTION_TYPE_JWT_SVID:
      return prepareSvidClient(assertion, presented, deps)
    default: {
      const known = `${CLIENT_ASSERTION_TYPE_JWT} or ${CLIENT_ASSERTION_TYPE_JWT_SVID}`
      throw new Rejection('client_assertion_type_unsupported', `client_assertion_type must be ${known}`)
    }
  }
}

/** A client's own assertion names the client; a platform's token, the platform. No client id is a platform's name. */
async function prepareByIssuer(presented: PresentedClient, token: Secret, deps: ClientAuthenticationDependencies) {
  const platform = await inSlot('client_assertion', () => platformOf(token, deps.registry))
  if (platform === undefined) return prepareAssertion(token, presented, deps)
  return prepareWorkloadClient({ token, slot: 'client_assertion', platform, clientId: presented.clientId }, deps)
}

/** An assertion that is no JWT is nobody's authentication: it is refused as the grant it was sent as. */
function platformOfGrant(grant: Secret, registry: ClientAuthenticationDependencies['registry']) {
  try {
    return platformOf(grant, registry)
  } catch (error) {
    if (error instanceof JwtError) return undefined
    throw error
  }
}
