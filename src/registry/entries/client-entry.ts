/** The shape of what agents and services have in common: what they authenticate with, and how they may ask. */
import { z } from 'zod'
import {
  CLIENT_KEY_SETS_MAX,
  CLIENT_SECRETS_MAX,
  CLIENT_SPIFFE_IDS_MAX,
  CLIENT_WORKLOADS_MAX,
} from '../../kernel/credential-limits.ts'
import { API_SCOPES } from '../../model/settings.ts'
import { parseSpiffeId } from '../../protocol/spiffe-id.ts'
import { strictObject } from '../strict-document.ts'
import { algorithm, clientId, clientVersion, id, manifestEntry, slug, state, text, time, url } from './entry-fields.ts'
import { workload } from './workload-entry.ts'

/** A public JWK and the version of the client it authenticates; the JWK's own members are read by `jose/`. */
const key = z.looseObject({ kid: text, version: clientVersion })

export const keyAlgorithms = z.array(algorithm).min(1).default(['ES256', 'RS256', 'Ed25519'])

/** The same, published by the client itself: every key found there authenticates this version. */
const keySet = strictObject({
  jwks_uri: url,
  version: clientVersion,
  algorithms: keyAlgorithms,
})

/** A SPIFFE ID, letter for letter: no pattern, no prefix. */
const spiffeId = strictObject({
  id: z.string().refine((text) => (parseSpiffeId(text)?.path ?? '') !== '', 'must be a SPIFFE ID with a path'),
  version: clientVersion,
})

/** What `errand secret add` writes: never the secret, only its digest. */
export const clientSecretShape = {
  id,
  version: clientVersion,
  sha256: z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be a SHA-256 in base64url, as errand secret add writes it'),
  issued_at: time,
  expires_at: time,
}
const clientSecret = strictObject(clientSecretShape)

/** Members of an agent's entry and of a service's. */
export const client = {
  client_id: clientId,
  state,
  keys: z.array(key).default([]),
  key_sets: z.array(keySet).max(CLIENT_KEY_SETS_MAX, `at most ${CLIENT_KEY_SETS_MAX}`).default([]),
  client_secrets: z
    .array(clientSecret)
    .max(CLIENT_SECRETS_MAX, `at most ${CLIENT_SECRETS_MAX}: one, and its successor`)
    .default([]),
  workloads: z.array(workload).max(CLIENT_WORKLOADS_MAX, `at most ${CLIENT_WORKLOADS_MAX}`).default([]),
  spiffe_ids: z.array(spiffeId).max(CLIENT_SPIFFE_IDS_MAX, `at most ${CLIENT_SPIFFE_IDS_MAX}`).default([]),
  legacy_assertion_audience: z.boolean().default(false),
  assertion_reuse: z.enum(['until_exp']).optional(),
  tls_client_certificate_bound_access_tokens: z.boolean().default(false),
  grant_types: z.array(z.enum(['token-exchange', 'client_credentials', 'jwt-bearer'])).default([]),
  api_scopes: z.array(z.enum(API_SCOPES)).default([]),
}

export const service = strictObject({
  ...client,
  users_of: slug.optional(),
  /** What it may call at other servers in the name of its callers. */
  manifest: z.array(manifestEntry).default([]),
})

export type ServiceEntry = z.output<typeof service>
export type ClientSecretEntry = z.output<typeof clientSecret>
export type KeySetEntry = z.output<typeof keySet>
export type KeyEntry = z.output<typeof key>
