/** An identity provider's entry, and a user's, as the nouns they describe. */
import type { Issuer, User } from '../model/issuer.ts'
import type { IssuerEntry, UserEntry } from './issuer-entry.ts'

export function decodeIssuer(entry: IssuerEntry): Issuer {
  return {
    issuer: entry.issuer,
    slug: entry.slug,
    jwksUri: entry.jwks_uri,
    algorithms: algorithmsOf(entry),
    otherHosts: entry.other_hosts,
    acceptsIdTokens: entry.accepts.id_token,
    accessTokenScope: entry.accepts.access_token,
    idJagScope: entry.accepts.id_jag,
    otherAudiences: entry.other_audiences,
    userAudience: entry.user_audience,
    users: entry.users,
    acceptsForeignActors: entry.accepts_foreign_actors,
    sessionMayOutliveSubject: entry.session_may_outlive_subject,
    givesAuthTime: entry.gives_auth_time,
  }
}

const ALGORITHMS = ['RS256', 'ES256']

function algorithmsOf({ jwks_uri, algorithms }: IssuerEntry): readonly string[] | undefined {
  if (algorithms !== undefined) return [...new Set(algorithms)]
  return jwks_uri === undefined ? undefined : ALGORITHMS
}

export function decodeUser(entry: UserEntry): User {
  return {
    issuerSlug: entry.issuer,
    sub: entry.sub,
    active: entry.active,
    groups: entry.groups,
    roles: entry.roles,
  }
}
