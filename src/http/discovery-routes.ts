/** What anybody may read: metadata, keys, health, and the authorization endpoint that says why it is not used. */
import { epochSeconds } from '../kernel/clock.ts'
import { Rejection } from '../kernel/rejection.ts'
import { json } from './error-response.ts'
import { openidMetadata, serverMetadata } from './metadata.ts'
import { pdpMetadata } from './pdp-metadata.ts'
import type { Route, RouterParts } from './route.ts'

/** Discovery documents may be cached, and read by pages of any origin. */
export const PUBLIC = { 'Cache-Control': 'public, max-age=300', 'Access-Control-Allow-Origin': '*' }

export function discoveryRoutes(parts: RouterParts, base: string): readonly Route[] {
  const { registries, ring, clock } = parts
  const { settings } = parts.revocation
  const open = (path: string, document: () => unknown): Route => ({
    path,
    methods: { GET: () => json(200, document(), {}, PUBLIC) },
    isPublic: true,
  })
  const openid = () => openidMetadata(settings, registries.current)
  return [
    // RFC 8414 §3.1 inserts the issuer's path after the well-known segment; OpenID Connect appends.
    open(`/.well-known/oauth-authorization-server${base}`, () => serverMetadata(settings, registries.current)),
    open(`/.well-known/openid-configuration${base}`, openid),
    ...(base === '' ? [] : [open(`${base}/.well-known/openid-configuration`, openid)]),
    // AuthZEN 1.0 §9.2 inserts it, too.
    open(`/.well-known/authzen-configuration${base}`, () => pdpMetadata(settings)),
    open(`${base}/jwks`, () => ring.jwks(epochSeconds(clock))),
    {
      path: `${base}/authorize`,
      methods: {
        GET: () => {
          throw new Rejection(
            'response_type_unsupported',
            'this broker has no code flow: exchange a token at the token endpoint',
          )
        },
      },
    },
    { path: '/healthz', isPublic: true, methods: { GET: () => json(200, { status: 'alive' }) } },
    {
      path: '/readyz',
      isPublic: true,
      methods: {
        GET: () => {
          const { ready, checks, warnings } = parts.readiness.look()
          const noted = Object.keys(warnings).length === 0 ? {} : { warnings }
          return json(ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks, ...noted })
        },
      },
    },
  ]
}
