/** The shape of the entry of an authorization server of others, for which ID-JAGs are minted. */
import { z } from 'zod'
import { ID_JAG_ISSUED_LIFETIME_S_MAX } from '../../kernel/credential-limits.ts'
import { strictObject } from '../strict-document.ts'
import { clientName, slug, text, url } from './entry-fields.ts'

export const authorizationServer = strictObject({
  issuer: url,
  slug,
  clients: z.record(clientName, text).default({}),
  id_jag_seconds: z.int().min(1).max(ID_JAG_ISSUED_LIFETIME_S_MAX).default(ID_JAG_ISSUED_LIFETIME_S_MAX),
  signing_alg: z.enum(['ES256', 'RS256', 'Ed25519']).default('ES256'),
})

export type AuthorizationServerEntry = z.output<typeof authorizationServer>
