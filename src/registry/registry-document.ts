/**
 * The shape of a policy document, key by key. An absent list is empty and an absent permission is refused; every key that is
 * not written here is an error. What entries say about each other is checked in `cross-checks.ts`.
 */
import { z } from 'zod'
import { ALGORITHM_NAMES } from '../jose/algorithms.ts'
import { isName } from '../jose/name.ts'
import {
  ACCESS_TOKEN_LIFETIME_S_MAX,
  ACTOR_DEPTH_MAX,
  CLIENT_KEY_SETS_MAX,
  CLIENT_SECRETS_MAX,
  ISSUANCE_PER_MINUTE_MAX,
  NAME_CHARS_MAX,
  SESSION_LIFETIME_S_MAX,
  TOOLS_PER_RESOURCE_MAX,
} from '../kernel/limits.ts'
import { API_SCOPES } from '../model/settings.ts'
import { isScopeToken } from '../protocol/scope.ts'
import { strictObject } from './strict-document.ts'
import { urlProblem } from './url-rules.ts'

const text = z.string().refine(isName, `must be 1 to ${NAME_CHARS_MAX} characters, none of them a control character`)
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'letters, digits, "." "_" "-", at most 64')
/** Becomes the second part of `user:<slug>:<sub>`: without a colon, so that no two issuers' users can coincide. */
const slug = z.string().regex(/^[a-z0-9-]{1,32}$/, 'lower-case letters, digits and "-", at most 32')
/** Never a URL: a client id that looks like one would be read as a client metadata document's address. */
const clientId = z.string().regex(/^[A-Za-z0-9._~-]{1,128}$/, 'letters, digits, "." "_" "~" "-", at most 128')
/** As MCP 2025-11-25 names tools, and as `authorization_details` may spell them. */
const toolName = z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/, 'letters, digits, "_" "." "-", at most 128')
const any = z.literal('*')
const scopeToken = z.string().max(128).refine(isScopeToken, 'must be one scope-token (RFC 6749 section 3.3)')
const url = z.string().superRefine((value, context) => {
  const problem = urlProblem(value)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})
/** RFC 3339 with its offset written out: a time without one means something else on every machine. */
const time = z.iso
  .datetime({ offset: true, error: 'must be a time such as 2026-01-31T09:00:00Z' })
  .transform((value) => Math.floor(Date.parse(value) / 1000))
/** Read by `constraints.ts` of `authority/`, which knows the vocabulary. */
const constraints = z.unknown()
const state = z.enum(['active', 'suspended', 'retired']).default('active')
export const environmentName = z.string().regex(/^[a-z0-9-]{1,32}$/, 'lower-case letters, digits and "-", at most 32')

/** Asymmetric only: with an HMAC algorithm allowed, the issuer's public key would be a signing secret (RFC 8725 §2.1). */
const algorithm = z
  .string()
  .refine((name) => ALGORITHM_NAMES.includes(name), `must be one of ${ALGORITHM_NAMES.join(', ')}`)

const issuer = strictObject({
  issuer: url,
  slug,
  jwks_uri: url,
  algorithms: z.array(algorithm).min(1).default(['RS256', 'ES256']),
  accepts: strictObject({
    id_token: z.boolean().default(false),
    access_token: z.enum(['ceiling', 'identity_only']).optional(),
  }).prefault({}),
  other_audiences: z.array(text).default([]),
  user_audience: text.optional(),
  users: z.enum(['listed', 'from_issuer']).default('listed'),
  accepts_foreign_actors: z.boolean().default(false),
  session_may_outlive_subject: z.boolean().default(false),
  gives_auth_time: z.boolean().default(true),
})

const user = strictObject({
  issuer: slug,
  sub: text,
  active: z.boolean().default(true),
  groups: z.array(text).default([]),
  roles: z.array(text).default([]),
})

/** A public JWK and the version of the client it authenticates; the JWK's own members are read by `jose/`. */
const clientVersion = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/)
const key = z.looseObject({ kid: text, version: clientVersion })

/** The same, published by the client itself: every key found there authenticates this version. */
const keySet = strictObject({
  jwks_uri: url,
  version: clientVersion,
  algorithms: z.array(algorithm).min(1).default(['ES256', 'RS256', 'Ed25519']),
})

/** What `errand secret add` writes: never the secret, only its digest. */
const clientSecret = strictObject({
  id,
  version: clientVersion,
  sha256: z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be a SHA-256 in base64url, as errand secret add writes it'),
  issued_at: time,
  expires_at: time,
})

const client = {
  client_id: clientId,
  state,
  keys: z.array(key).default([]),
  key_sets: z.array(keySet).max(CLIENT_KEY_SETS_MAX, `at most ${CLIENT_KEY_SETS_MAX}`).default([]),
  client_secrets: z
    .array(clientSecret)
    .max(CLIENT_SECRETS_MAX, `at most ${CLIENT_SECRETS_MAX}: one, and its successor`)
    .default([]),
  legacy_assertion_audience: z.boolean().default(false),
  assertion_reuse: z.enum(['until_exp']).optional(),
  grant_types: z.array(z.enum(['token-exchange', 'client_credentials'])).default([]),
  api_scopes: z.array(z.enum(API_SCOPES)).default([]),
}

const selectorShape = {
  project: z.union([any, id]).optional(),
  server: z.union([any, id]).optional(),
  tool: z.union([any, toolName]).optional(),
  category: z.enum(['read', 'write', 'destructive', 'admin']).optional(),
}
const SELECTS_NOTHING = 'must name a project, server, tool or category ("*" for all)'
const selector = strictObject(selectorShape).refine(selectsSomething, SELECTS_NOTHING)
const manifestEntry = strictObject({ ...selectorShape, constraints: constraints.optional() }).refine(
  selectsSomething,
  SELECTS_NOTHING,
)

const standingIntent = strictObject({
  purpose: z.string(),
  expires_in: z.int().min(1).max(SESSION_LIFETIME_S_MAX).optional(),
  max_depth: z.int().min(0).max(ACTOR_DEPTH_MAX).optional(),
  tools: z
    .record(id, z.record(toolName, constraints).refine(notEmpty, 'must name at least one tool'))
    .refine(notEmpty, 'must name at least one resource'),
})

const agent = strictObject({
  ...client,
  owner: text,
  environment: environmentName,
  manifest: z.array(manifestEntry).default([]),
  delegates: z.array(clientId).default([]),
  upstream: z.record(slug, text).default({}),
  standing_intent: standingIntent.optional(),
  issuance: z
    .array(strictObject({ scope: scopeToken, per_minute: z.int().min(1).max(ISSUANCE_PER_MINUTE_MAX) }))
    .refine((rules) => new Set(rules.map(({ scope }) => scope)).size === rules.length, 'names a scope twice')
    .default([]),
})

const tool = strictObject({
  category: z.enum(['read', 'write', 'destructive', 'admin']).optional(),
  scope: scopeToken.optional(),
  delegable: z.boolean().optional(),
})

const resource = strictObject({
  id,
  url,
  owner: text,
  project: id.default('default'),
  state,
  server_client: clientId.optional(),
  enforces: z.enum(['scope', 'tools', 'arguments']).default('scope'),
  mode: z.enum(['shared', 'personal']).default('shared'),
  signing_alg: z.enum(['ES256', 'RS256', 'Ed25519']).default('ES256'),
  access_token_seconds: z.int().min(1).max(ACCESS_TOKEN_LIFETIME_S_MAX).optional(),
  tools: z
    .record(toolName, tool)
    .refine((value) => Object.keys(value).length <= TOOLS_PER_RESOURCE_MAX, `at most ${TOOLS_PER_RESOURCE_MAX} tools`)
    .default({}),
})

const principal = strictObject({
  user: z
    .string()
    .regex(/^[a-z0-9-]{1,32}:./, 'must be <issuer slug>:<sub>')
    .optional(),
  group: text.optional(),
  role: text.optional(),
  agent: clientId.optional(),
  owner: text.optional(),
}).refine(
  (value) => Object.values(value).filter((member) => member !== undefined).length === 1,
  'must have exactly one of user, group, role, agent, owner',
)

const grant = strictObject({
  id,
  effect: z.enum(['allow', 'deny']),
  principals: z.array(principal).min(1),
  resources: z.array(selector).min(1),
  when: strictObject({
    not_before: time.optional(),
    not_after: time.optional(),
    environment: environmentName.optional(),
  }).default({}),
  constraints: constraints.optional(),
  reason: z.string().max(512).default(''),
})

export const registryDocument = strictObject({
  issuers: z.array(issuer).default([]),
  users: z.array(user).default([]),
  services: z.array(strictObject(client)).default([]),
  resources: z.array(resource).default([]),
  agents: z.array(agent).default([]),
  grants: z.array(grant).default([]),
})

export type DecodedDocument = z.output<typeof registryDocument>
export type IssuerEntry = z.output<typeof issuer>
export type UserEntry = z.output<typeof user>
export type ServiceEntry = z.output<ReturnType<typeof strictObject<typeof client>>>
export type ResourceEntry = z.output<typeof resource>
export type AgentEntry = z.output<typeof agent>
export type GrantEntry = z.output<typeof grant>
export type SelectorEntry = z.output<typeof selector>
export type ClientSecretEntry = z.output<typeof clientSecret>
export type KeySetEntry = z.output<typeof keySet>
export type KeyEntry = z.output<typeof key>
export type StandingIntentEntry = z.output<typeof standingIntent>

/** A selector without any member would match every tool: silence must not grant. */
function selectsSomething(value: { project?: unknown; server?: unknown; tool?: unknown; category?: unknown }): boolean {
  return [value.project, value.server, value.tool, value.category].some((member) => member !== undefined)
}

function notEmpty(record: object): boolean {
  return Object.keys(record).length > 0
}
