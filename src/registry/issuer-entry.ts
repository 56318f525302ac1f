/** The shape of an identity provider's entry, and of a user's. */
import { z } from 'zod'
import { algorithm, slug, text, url } from './entry-fields.ts'
import { strictObject } from './strict-document.ts'

export const issuer = strictObject({
  issuer: url,
  slug,
  jwks_uri: url,
  algorithms: z.array(algorithm).min(1).default(['RS256', 'ES256']),
  accepts: strictObject({
    id_token: z.boolean().default(false),
    access_token: z.enum(['ceiling', 'identity_only']).optional(),
    id_jag: z.enum(['ceiling', 'identity_only']).optional(),
  }).prefault({}),
  other_audiences: z.array(text).default([]),
  user_audience: text.optional(),
  users: z.enum(['listed', 'from_issuer']).default('listed'),
  accepts_foreign_actors: z.boolean().default(false),
  session_may_outlive_subject: z.boolean().default(false),
  gives_auth_time: z.boolean().default(true),
})

export const user = strictObject({
  issuer: slug,
  sub: text,
  active: z.boolean().default(true),
  groups: z.array(text).default([]),
  roles: z.array(text).default([]),
})

export type IssuerEntry = z.output<typeof issuer>
export type UserEntry = z.output<typeof user>
