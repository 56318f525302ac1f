/** The shape of an agent's API key, as `errand apikey add` writes it: never the key, only its digest, and what it opens. */
import { z } from 'zod'
import { strictObject } from '../strict-document.ts'
import { clientSecretShape } from './client-entry.ts'
import { id, scopeToken } from './entry-fields.ts'

const LISTED_MAX = 16

/** A list that is left out or empty would be read as everything by somebody: both are said. */
export const apiKey = strictObject({
  ...clientSecretShape,
  resources: z.array(id).min(1).max(LISTED_MAX),
  scopes: z.array(scopeToken).min(1).max(LISTED_MAX),
})

export type ApiKeyEntry = z.output<typeof apiKey>
