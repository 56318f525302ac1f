/**
 * Client authentication by mutual TLS with an X.509-SVID (RFC 8705 §2.1, draft-ietf-oauth-spiffe-client-auth §3.2): the handshake
 * has proven the key, a path to an authority of the SPIFFE ID's own trust domain says whose it is.
 *
 * Validates: the certificate and its path (`x509/svid.ts`), against the bundle of exactly that trust domain; the SPIFFE ID is
 * registered, letter for letter, for one client; `client_id`, which must be sent (RFC 8705 §2), is that client or that SPIFFE ID.
 * Does not validate: revocation by lists or OCSP, which SPIFFE has not: SVIDs live an hour, kill switches and blocks are at once.
 */
import { recordedName } from '../../kernel/digest.ts'
import { SHOWN_CHARS_MAX } from '../../kernel/limits.ts'
import { Rejection, type RejectionReason } from '../../kernel/rejection.ts'
import type { VerifiedClient } from '../../model/evidence.ts'
import type { Registry } from '../../model/registry.ts'
import type { RequestFacts } from '../../model/request-facts.ts'
import { clientKeysUnavailable } from '../../net/client-keys.ts'
import { NothingPublished } from '../../net/published.ts'
import type { TrustBundles } from '../../net/trust-bundles.ts'
import { CLIENT_AUTH_METHOD } from '../../protocol/oauth.ts'
import { type Certificate, decodeCertificate } from '../../x509/certificate.ts'
import { CertificateError, type CertificateErrorCode } from '../../x509/certificate-error.ts'
import type { Issuances } from '../../x509/issuances.ts'
import { type ClaimedSvid, readSvid, verifySvid } from '../../x509/svid.ts'
import { verified } from '../verified.ts'

export interface X509Dependencies {
  readonly registry: Pick<Registry, 'trustDomain' | 'clientBySpiffeId'>
  readonly bundles: Pick<TrustBundles, 'x509Authorities'>
  readonly issuances: Issuances
  /** Epoch seconds. */
  readonly now: number
}

/**
 * What waits for the network, and gives what costs cryptography, as `prepareAssertion` does.
 * @throws Rejection `client_certificate_*`, `client_keys_unavailable`, `client_unknown`
 */
export async function prepareX509Svid(
  presented: NonNullable<RequestFacts['certificates']>,
  clientId: string | undefined,
  deps: X509Dependencies,
): Promise<() => Promise<VerifiedClient>> {
  if (clientId === undefined) {
    throw new Rejection('client_certificate_client_id', 'send client_id with a client certificate (RFC 8705 section 2)')
  }
  if (presented === 'unreadable') {
    throw new Rejection('client_certificate_malformed', 'the proxy has passed on no certificate that can be read')
  }
  const svid = refusing(() => readSvid(presented))
  const authorities = await authoritiesOf(svid, deps)
  return () => authenticate(svid, clientId, authorities, deps)
}

async function authenticate(
  svid: ClaimedSvid,
  clientId: string,
  authorities: readonly Certificate[],
  { registry, issuances, now }: X509Dependencies,
): Promise<VerifiedClient> {
  try {
    await verifySvid(svid, { authorities, issuances, now })
  } catch (error) {
    throw asRejection(error)
  }
  const { id } = svid.spiffeId
  const bound = registry.clientBySpiffeId(id)
  if (bound === undefined) throw new Rejection('client_unknown', 'the workload is not registered')
  const { client, binding } = bound
  if (clientId !== client.clientId && clientId !== id) {
    throw new Rejection('client_certificate_client_id', 'client_id names another client than the certificate')
  }
  return verified({
    client,
    version: binding.version,
    authentication: {
      method: CLIENT_AUTH_METHOD.x509Svid,
      credential: recordedName(id, SHOWN_CHARS_MAX),
      certificate: svid.leaf.thumbprint,
    },
    assertionKey: undefined,
    singleUse: undefined,
  })
}

/** Of the ID's own trust domain and no other; none where it is not configured: nobody vouches for it then. */
async function authoritiesOf(
  { spiffeId }: ClaimedSvid,
  { registry, bundles }: X509Dependencies,
): Promise<readonly Certificate[]> {
  const domain = registry.trustDomain(spiffeId.trustDomain)
  if (domain === undefined) return []
  try {
    return decodeAuthorities(await bundles.x509Authorities(domain))
  } catch (error) {
    if (!(error instanceof NothingPublished)) throw error
    throw clientKeysUnavailable(error)
  }
}

type Authorities = Awaited<ReturnType<TrustBundles['x509Authorities']>>
/** As long as a bundle is the same, its list is. */
const decoded = new WeakMap<Authorities, readonly Certificate[]>()

/** One that cannot be read strictly vouches for nobody; the others of its bundle still do. */
function decodeAuthorities(bundle: Authorities): readonly Certificate[] {
  const known = decoded.get(bundle)
  if (known !== undefined) return known
  const authorities = bundle.flatMap(({ raw }) => {
    try {
      return decodeCertificate(raw)
    } catch (error) {
      if (error instanceof CertificateError) return []
      throw error
    }
  })
  decoded.set(bundle, authorities)
  return authorities
}

const REASONS: Readonly<Record<CertificateErrorCode, RejectionReason>> = {
  malformed: 'client_certificate_malformed',
  expired: 'client_certificate_expired',
  untrusted: 'client_certificate_untrusted',
  unacceptable: 'client_certificate_unacceptable',
}

function asRejection(error: unknown): unknown {
  if (!(error instanceof CertificateError)) return error
  return new Rejection(REASONS[error.code], `client certificate: ${error.message}`, { cause: error })
}

function refusing<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw asRejection(error)
  }
}
