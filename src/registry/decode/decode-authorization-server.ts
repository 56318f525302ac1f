/** The entry of an authorization server of others as the noun it describes. */
import type { AuthorizationServer } from '../../model/authorization-server.ts'
import type { AuthorizationServerEntry } from '../entries/authorization-server-entry.ts'

export function decodeAuthorizationServer(entry: AuthorizationServerEntry): AuthorizationServer {
  return {
    issuer: entry.issuer,
    slug: entry.slug,
    clientIds: new Map(Object.entries(entry.clients)),
    idJagLifetimeSeconds: entry.id_jag_seconds,
    signingAlg: entry.signing_alg,
  }
}

/**
 * Whether two spellings mean one server: SDKs make URLs of issuer identifiers, and an origin becomes one with a slash. What is
 * emitted is as registered.
 */
export function isSameServer(one: string, other: string): boolean {
  return one.replace(/\/$/, '') === other.replace(/\/$/, '')
}
