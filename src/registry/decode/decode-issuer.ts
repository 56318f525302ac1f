/** An identity provider's entry, and a user's, as the nouns they describe. */
import { resolve } from 'node:path'
import type { Introspection, Issuer, User } from '../../model/issuer.ts'
import type { RiskClaim } from '../../model/risk.ts'
import type { IssuerEntry, UserEntry } from '../entries/issuer-entry.ts'
import { parseClaimPath } from '../workloads/claim-path.ts'

/** @param directory what relative paths in the entry are relative to */
export function decodeIssuer(entry: IssuerEntry, directory: string): Issuer {
  return {
    issuer: entry.issuer,
    slug: entry.slug,
    jwksUri: entry.jwks_uri,
    algorithms: algorithmsOf(entry),
    otherHosts: entry.other_hosts,
    acceptsIdTokens: entry.accepts.id_token,
    accessTokenScope: entry.accepts.access_token,
    idJagScope: entry.accepts.id_jag,
    idJagTenant: entry.id_jag_tenant,
    accessTokenTyp: entry.access_token_typ,
    introspection: introspectionOf(entry, directory),
    otherAudiences: entry.other_audiences,
    brokerAudience: entry.broker_audience,
    userAudience: entry.user_audience,
    adminAudience: entry.admin_audience,
    users: entry.users,
    acceptsForeignActors: entry.accepts_foreign_actors,
    sessionMayOutliveSubject: entry.session_may_outlive_subject,
    givesAuthTime: entry.gives_auth_time,
    riskClaim: riskClaimOf(entry),
  }
}

/** A path that is malformed has been reported by the schema. */
function riskClaimOf({ risk_claim }: IssuerEntry): RiskClaim | undefined {
  if (risk_claim === undefined) return undefined
  const { claim, values } = risk_claim
  return { path: parseClaimPath(claim) ?? [claim], levels: new Map(Object.entries(values)) }
}

const ALGORITHMS = ['RS256', 'ES256']

function algorithmsOf({ jwks_uri, algorithms }: IssuerEntry): readonly string[] | undefined {
  if (algorithms !== undefined) return [...new Set(algorithms)]
  return jwks_uri === undefined ? undefined : ALGORITHMS
}

function introspectionOf({ introspection }: IssuerEntry, directory: string): Introspection | undefined {
  if (introspection === undefined) return undefined
  const { client_id, client_secret_file, client_secret_method, private_key_file, endpoint } = introspection
  return {
    clientId: client_id,
    endpoint,
    method: private_key_file === undefined ? client_secret_method : 'private_key_jwt',
    credentialFile: resolve(directory, private_key_file ?? client_secret_file ?? ''),
  }
}

export function decodeUser(entry: UserEntry): User {
  return {
    issuerSlug: entry.issuer,
    sub: entry.sub,
    ...(entry.email === undefined ? {} : { email: entry.email }),
    active: entry.active,
    groups: entry.groups,
    roles: entry.roles,
  }
}
