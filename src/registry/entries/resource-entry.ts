/** The shape of a resource's entry, its tool manifest included. */
import { z } from 'zod'
import { BUDGET_CALLS_MAX, BUDGET_S_MAX } from '../../kernel/call-limits.ts'
import { REDACTED_POINTERS_MAX } from '../../kernel/capture-limits.ts'
import {
  ACCESS_TOKEN_LIFETIME_S_MAX,
  CONTAINERS_PER_RESOURCE_MAX,
  NAME_CHARS_MAX,
  SESSION_LIFETIME_S_MAX,
  TOOLS_PER_RESOURCE_MAX,
} from '../../kernel/limits.ts'
import { CAPTURE_MODES } from '../../model/captured.ts'
import { strictObject } from '../strict-document.ts'
import {
  clientId,
  constraints,
  digest,
  id,
  notEmpty,
  scopeToken,
  slug,
  state,
  text,
  time,
  toolName,
  url,
} from './entry-fields.ts'

/** Of one container. */
const ATTRIBUTES_MAX = 16

/** Of a resource that names none. It is there without being registered, right below the organisation. */
export const DEFAULT_PROJECT = 'default'

/** RFC 6901 §3; not of the whole, which is to capture nothing. */
const jsonPointer = z
  .string()
  .max(4 * NAME_CHARS_MAX)
  .regex(/^(?:\/(?:[^~/]|~[01])*)+$/, 'must be a JSON Pointer (RFC 6901), such as /password or /items/*/pin')

const tool = strictObject({
  category: z.enum(['read', 'write', 'destructive', 'admin']).optional(),
  scope: scopeToken.optional(),
  delegable: z.boolean().optional(),
  /** Of what the server itself says of it. */
  definition: digest.optional(),
  approval: z.enum(['required', 'none']).optional(),
  /** Of an agent for a subject, in any stretch of time, whatever the session. */
  budget: strictObject({
    max_calls: z.int().min(1).max(BUDGET_CALLS_MAX),
    per_seconds: z.int().min(1).max(BUDGET_S_MAX),
  }).optional(),
  capture: strictObject({
    arguments: z.enum(CAPTURE_MODES).optional(),
    responses: z.enum(CAPTURE_MODES).optional(),
  }).optional(),
  redact: z.array(jsonPointer).max(REDACTED_POINTERS_MAX).optional(),
  container_argument: z.string().min(1).max(NAME_CHARS_MAX).optional(),
})

const container = strictObject({
  id,
  type: id,
  parent: id.optional(),
  attributes: z
    .record(id, z.union([text, z.number(), z.boolean()]))
    .refine((value) => Object.keys(value).length <= ATTRIBUTES_MAX, `at most ${ATTRIBUTES_MAX} attributes`)
    .default({}),
})

const standingIntent = strictObject({
  purpose: z.string(),
  expires_in: z.int().min(1).max(SESSION_LIFETIME_S_MAX).optional(),
  tools: z.record(toolName, constraints).refine(notEmpty, 'must name at least one tool'),
})

/** That somebody has looked at whoever runs an external server: when, and where its data stay. */
const vendorReview = strictObject({ reviewed_on: z.iso.date(), residency: text })

export const resource = strictObject({
  id,
  name: text.optional(),
  url,
  owner: text,
  project: id.default(DEFAULT_PROJECT),
  state,
  certified_until: time.optional(),
  manifest_digest: digest.optional(),
  exposure: z.enum(['internal', 'external']).default('internal'),
  vendor_review: vendorReview.optional(),
  server_client: clientId.optional(),
  authorization_server: slug.optional(),
  enforces: z.enum(['scope', 'tools', 'arguments', 'calls']).default('scope'),
  mode: z.enum(['shared', 'personal']).default('shared'),
  sender_constraint: z.enum(['optional', 'required']).default('optional'),
  revocation_check: z.enum(['feed', 'introspection', 'offline']).optional(),
  signing_alg: z.enum(['ES256', 'RS256', 'Ed25519']).default('ES256'),
  access_token_seconds: z.int().min(1).max(ACCESS_TOKEN_LIFETIME_S_MAX).optional(),
  tools: z
    .record(toolName, tool)
    .refine((value) => Object.keys(value).length <= TOOLS_PER_RESOURCE_MAX, `at most ${TOOLS_PER_RESOURCE_MAX} tools`)
    .default({}),
  containers: z.array(container).max(CONTAINERS_PER_RESOURCE_MAX).default([]),
  standing_intent: standingIntent.optional(),
})

export type ResourceEntry = z.output<typeof resource>
