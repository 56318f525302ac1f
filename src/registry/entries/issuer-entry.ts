/** The shape of an identity provider's entry, and of a user's. */
import { z } from 'zod'
import { RISK_LEVELS } from '../../model/risk.ts'
import { strictObject } from '../strict-document.ts'
import { algorithm, claimPath, host, notEmpty, slug, text, url } from './entry-fields.ts'

const path = z.string().min(1)

const introspection = strictObject({
  client_id: text,
  client_secret_file: path.optional(),
  client_secret_method: z.enum(['client_secret_basic', 'client_secret_post']).default('client_secret_basic'),
  private_key_file: path.optional(),
  endpoint: url.optional(),
}).refine(
  (value) => (value.client_secret_file === undefined) !== (value.private_key_file === undefined),
  'needs exactly one of client_secret_file and private_key_file',
)

export const issuer = strictObject({
  issuer: url,
  slug,
  /** Without it, keys and algorithms are those of the issuer's discovery document. */
  jwks_uri: url.optional(),
  algorithms: z.array(algorithm).min(1).optional(),
  other_hosts: z.array(host).default([]),
  accepts: strictObject({
    id_token: z.boolean().default(false),
    access_token: z.enum(['ceiling', 'identity_only']).optional(),
    id_jag: z.enum(['ceiling', 'identity_only']).optional(),
  }).prefault({}),
  access_token_typ: z.enum(['at+jwt', 'jwt']).default('at+jwt'),
  introspection: introspection.optional(),
  other_audiences: z.array(text).default([]),
  broker_audience: text.optional(),
  user_audience: text.optional(),
  admin_audience: text.optional(),
  users: z.enum(['listed', 'from_issuer']).default('listed'),
  id_jag_tenant: text.optional(),
  accepts_foreign_actors: z.boolean().default(false),
  session_may_outlive_subject: z.boolean().default(false),
  risk_claim: strictObject({
    claim: claimPath,
    values: z.record(text, z.enum(RISK_LEVELS)).refine(notEmpty, 'must name at least one value'),
  }).optional(),
  gives_auth_time: z.boolean().default(true),
}).refine(({ issuer, jwks_uri }) => jwks_uri !== undefined || !issuer.includes('?'), {
  path: ['jwks_uri'],
  error: 'is needed: an issuer with a query has no discovery document', // RFC 8414 §2
})

export const user = strictObject({
  issuer: slug,
  sub: text,
  email: text.optional(),
  active: z.boolean().default(true),
  groups: z.array(text).default([]),
  roles: z.array(text).default([]),
})

export type IssuerEntry = z.output<typeof issuer>
export type UserEntry = z.output<typeof user>
