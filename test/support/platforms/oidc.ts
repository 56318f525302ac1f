/**
 * Any OpenID Connect issuer that vouches for a workload: the claims every ID token has, and nothing else.
 *
 * Source: openid.net, "OpenID Connect Core 1.0", section 2 (ID Token); RFC 7519 for their form. `jti` is optional there.
 */
import { newJti, type PlatformFixture } from './platform.ts'

export const oidc: PlatformFixture = {
  platform: 'oidc',
  issuer: 'https://workloads.example',
  alg: 'ES256',
  kid: 'workloads-1',
  header: { typ: 'JWT' },
  lifetime: 600,
  claims: () => ({ jti: newJti(), sub: 'batch/nightly-report' }),
}
