/** The shape of an agent's entry. */
import { z } from 'zod'
import { AGENT_VERSIONS_MAX, API_KEYS_MAX } from '../../kernel/credential-limits.ts'
import { ACTOR_DEPTH_MAX, ISSUANCE_PER_MINUTE_MAX, SESSION_LIFETIME_S_MAX } from '../../kernel/limits.ts'
import { LIFECYCLE_STATES } from '../../model/lifecycle.ts'
import { strictObject } from '../strict-document.ts'
import { apiKey } from './api-key-entry.ts'
import { client, keyAlgorithms } from './client-entry.ts'
import {
  clientName,
  clientVersion,
  constraints,
  environmentName,
  id,
  manifestEntry,
  notEmpty,
  scopeToken,
  slug,
  text,
  time,
  toolName,
} from './entry-fields.ts'

const standingIntent = strictObject({
  purpose: z.string(),
  expires_in: z.int().min(1).max(SESSION_LIFETIME_S_MAX).optional(),
  max_depth: z.int().min(0).max(ACTOR_DEPTH_MAX).optional(),
  tools: z
    .record(id, z.record(toolName, constraints).refine(notEmpty, 'must name at least one tool'))
    .refine(notEmpty, 'must name at least one resource'),
})

/** Whose client id is the URL of its metadata: which version its keys authenticate, and by which algorithms. */
const clientMetadata = strictObject({ version: clientVersion, algorithms: keyAlgorithms })

/** A new one has to be looked at before it counts: nothing is `active` by being left out. */
const version = strictObject({
  version: clientVersion,
  state: z.enum(LIFECYCLE_STATES).default('testing'),
  model: text.optional(),
  image_digest: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hexadecimal digits')
    .optional(),
})

export const agent = strictObject({
  ...client,
  client_id: clientName,
  client_metadata: clientMetadata.optional(),
  owner: text,
  environment: environmentName,
  certified_until: time.optional(),
  versions: z.array(version).max(AGENT_VERSIONS_MAX, `at most ${AGENT_VERSIONS_MAX}`).default([]),
  manifest: z.array(manifestEntry).default([]),
  delegates: z.array(clientName).default([]),
  upstream: z.record(slug, text).default({}),
  standing_intent: standingIntent.optional(),
  issuance: z
    .array(strictObject({ scope: scopeToken, per_minute: z.int().min(1).max(ISSUANCE_PER_MINUTE_MAX) }))
    .refine((rules) => new Set(rules.map(({ scope }) => scope)).size === rules.length, 'names a scope twice')
    .default([]),
  api_keys: z.array(apiKey).max(API_KEYS_MAX, `at most ${API_KEYS_MAX}`).default([]),
})

export type AgentEntry = z.output<typeof agent>
export type StandingIntentEntry = z.output<typeof standingIntent>
