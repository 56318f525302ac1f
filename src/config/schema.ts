/**
 * The shape of `errand.yaml`. Every key that is not written here is an error, and what is unsafe needs a word of its own:
 * plain http only on loopback, loopback issuers only in development, passwords only in files.
 */
import { BlockList, isIP } from 'node:net'
import { z } from 'zod'
import { CERTIFICATE_HEADERS } from '../http/certificate-header.ts'
import { CALL_OUTCOME_S_DEFAULT, CALL_OUTCOME_S_MAX } from '../kernel/call-limits.ts'
import {
  ACCESS_TOKEN_LIFETIME_S_DEFAULT,
  ACCESS_TOKEN_LIFETIME_S_MAX,
  ACTOR_DEPTH_MAX,
  APPROVAL_PENDING_S_DEFAULT,
  APPROVAL_PENDING_S_MAX,
  APPROVAL_S_DEFAULT,
  APPROVAL_S_MAX,
  DELEGATION_ACCEPT_WINDOW_S_DEFAULT,
  DELEGATION_ACCEPT_WINDOW_S_MAX,
  PER_CLIENT_DEFAULT,
  PER_ISSUER_DEFAULT,
  PER_SOURCE_AND_CLIENT_DEFAULT,
  PER_SOURCE_DEFAULT,
  RATE_PER_SECOND_MAX,
  RATE_PER_SECOND_MIN,
  REFUSAL_DELAY_MS_DEFAULT,
  REFUSAL_DELAY_MS_MAX,
  SESSION_LIFETIME_S_DEFAULT,
  SESSION_LIFETIME_S_MAX,
} from '../kernel/limits.ts'
import { EXTERNAL_PDP_TIMEOUT_MS_DEFAULT, EXTERNAL_PDP_TIMEOUT_MS_MAX } from '../kernel/outbound-limits.ts'
import {
  DRIFT_AFTER_MAX,
  DRIFT_CONTRACT_AFTER_DEFAULT,
  DRIFT_HALT_AFTER_DEFAULT,
  DRIFT_WINDOW_S_DEFAULT,
  DRIFT_WINDOW_S_MAX,
  ORPHAN_GRACE_DAYS_DEFAULT,
  ORPHAN_GRACE_DAYS_MAX,
} from '../kernel/policy-limits.ts'
import { ADMIN_ROLES } from '../model/admin-role.ts'
import { DEVELOPMENT_ENVIRONMENT } from '../model/settings.ts'
import { environmentName, host, url } from '../registry/entries/entry-fields.ts'
import { strictObject } from '../registry/strict-document.ts'
import { isLoopbackHost, urlProblem } from '../registry/url-rules.ts'
import { audit } from './audit-schema.ts'
import { LOG_LEVELS } from './config.ts'
import { store } from './store-schema.ts'

const path = z.string().min(1)

const issuer = z.string().superRefine((value, context) => {
  const problem = issuerProblem(value)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})

const PORT = 'must be a whole number from 0 to 65535'
const port = z
  .int({ error: ({ input }) => (input === undefined ? undefined : PORT) })
  .min(0, PORT)
  .max(65535, PORT)

const listen = strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  port,
  tls: strictObject({ certificate_file: path, key_file: path }).optional(),
})

/** Metrics tell strangers who is registered and how busy: beyond this machine they are read with a token. */
const metrics = strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  port,
  token_file: path.optional(),
}).refine(({ host, token_file }) => isLoopbackHost(host) || token_file !== undefined, {
  path: ['token_file'],
  error: 'is needed where others than this machine can reach metrics.host',
})

/** Traces name users and agents: they go where an operator has said, and otherwise nowhere. */
const telemetry = strictObject({
  otlp_endpoint: url,
  headers_file: path.optional(),
  ca_file: path.optional(),
  sample_ratio: z.number().min(0).max(1).default(1),
})

const seconds = (most: number, otherwise: number) => z.int().min(1).max(most).default(otherwise)

const tokens = strictObject({
  access_token_seconds: seconds(ACCESS_TOKEN_LIFETIME_S_MAX, ACCESS_TOKEN_LIFETIME_S_DEFAULT),
  session_seconds: seconds(SESSION_LIFETIME_S_MAX, SESSION_LIFETIME_S_DEFAULT),
  delegation_accept_seconds: seconds(DELEGATION_ACCEPT_WINDOW_S_MAX, DELEGATION_ACCEPT_WINDOW_S_DEFAULT),
  strictly_narrower: z.boolean().default(true),
  max_chain_depth: z.int().min(1).max(ACTOR_DEPTH_MAX).default(ACTOR_DEPTH_MAX),
})

const RATE = 'must be off, or { per_second: a number from 0.01, burst: a whole number from 1 }'
/** `off` is a word of its own: an absent limit is the default one, never none. */
const rate = (perSecond: number, burst: number) => {
  const given = strictObject({
    per_second: z.number().min(RATE_PER_SECOND_MIN).max(RATE_PER_SECOND_MAX).default(perSecond),
    burst: z.int().min(1).max(RATE_PER_SECOND_MAX).default(burst),
  })
  return z.union([z.literal('off'), given], { error: RATE }).prefault({})
}

const limits = strictObject({
  per_source: rate(PER_SOURCE_DEFAULT.perSecond, PER_SOURCE_DEFAULT.burst),
  per_source_and_client: rate(PER_SOURCE_AND_CLIENT_DEFAULT.perSecond, PER_SOURCE_AND_CLIENT_DEFAULT.burst),
  per_client: rate(PER_CLIENT_DEFAULT.perSecond, PER_CLIENT_DEFAULT.burst),
  per_issuer: rate(PER_ISSUER_DEFAULT.perSecond, PER_ISSUER_DEFAULT.burst),
  refusal_delay_ms: z.int().min(0).max(REFUSAL_DELAY_MS_MAX).default(REFUSAL_DELAY_MS_DEFAULT),
})

/**
 * Here and not in the registry: whoever may change policy over the API could otherwise make themselves anything. What a group
 * gives is as safe as the registry's sections of users and issuers, which take the permission `security` to change.
 */
const admin = strictObject({
  user: z
    .string()
    .regex(/^[a-z0-9-]{1,32}:./, 'must be the slug of an issuer, a colon and the sub, as in corp:alice')
    .optional(),
  group: z.string().min(1).optional(),
  roles: z.array(z.enum(ADMIN_ROLES)).min(1),
}).refine(({ user, group }) => (user === undefined) !== (group === undefined), 'needs exactly one of user and group')

const network = z.string().refine(isNetwork, 'must be an address or a network such as 10.0.0.0/8')

/** From one place alone: whoever could choose the other would choose who they are. */
const clientCertificates = strictObject({
  from: z.enum(['tls', ...CERTIFICATE_HEADERS]),
  endpoints: issuer.optional(),
})

/** An AuthZEN PDP that is asked before every decision, and can only take away. */
const externalPdp = strictObject({
  url,
  timeout_ms: z.int().min(1).max(EXTERNAL_PDP_TIMEOUT_MS_MAX).default(EXTERNAL_PDP_TIMEOUT_MS_DEFAULT),
  credential_file: path.optional(),
  ca_file: path.optional(),
})

export const configDocument = strictObject({
  issuer,
  listen,
  metrics: metrics.optional(),
  telemetry: telemetry.optional(),
  environment: environmentName,
  org: z
    .string()
    // It is part of every store key: a colon would let one organisation's keys read as another's.
    .regex(/^[a-z0-9-]{1,32}$/, 'lower-case letters, digits and "-", at most 32')
    .default('default'),
  store,
  keys: strictObject({ directory: path }),
  registry: z.union([path, z.array(path).min(1)]).default('./registry.yaml'),
  tokens: tokens.prefault({}),
  limits: limits.prefault({}),
  admins: z.array(admin).default([]),
  log: strictObject({ level: z.enum(LOG_LEVELS).default('info') }).prefault({}),
  client_authentication: strictObject({
    client_secret_basic: z.boolean().default(false),
    api_keys: z.boolean().default(false),
  }).prefault({}),
  reviews: strictObject({
    suspend_overdue: z.boolean().default(false),
    orphan_grace_days: z.int().min(0).max(ORPHAN_GRACE_DAYS_MAX).default(ORPHAN_GRACE_DAYS_DEFAULT),
  }).prefault({}),
  calls: strictObject({ outcome_within_seconds: seconds(CALL_OUTCOME_S_MAX, CALL_OUTCOME_S_DEFAULT) }).prefault({}),
  approvals: strictObject({
    valid_seconds: seconds(APPROVAL_S_MAX, APPROVAL_S_DEFAULT),
    pending_seconds: seconds(APPROVAL_PENDING_S_MAX, APPROVAL_PENDING_S_DEFAULT),
  }).prefault({}),
  drift: strictObject({
    contract_after: z.int().min(0).max(DRIFT_AFTER_MAX).default(DRIFT_CONTRACT_AFTER_DEFAULT),
    halt_after: z.int().min(0).max(DRIFT_AFTER_MAX).default(DRIFT_HALT_AFTER_DEFAULT),
    window_seconds: seconds(DRIFT_WINDOW_S_MAX, DRIFT_WINDOW_S_DEFAULT),
  }).prefault({}),
  audit,
  challenges: strictObject({ second_person: z.boolean().default(false) }).prefault({}),
  dpop: strictObject({ nonce: z.enum(['off', 'required']).default('off') }).prefault({}),
  trusted_proxies: z.array(network).default([]),
  client_certificates: clientCertificates.optional(),
  outbound: strictObject({
    allow_loopback: z.boolean().default(false),
    internal_hosts: z.array(host).default([]),
  }).prefault({}),
  external_pdp: externalPdp.optional(),
}).superRefine(({ environment, outbound, issuer, listen, trusted_proxies, client_certificates }, context) => {
  const from = client_certificates?.from
  if (from === 'tls' ? listen.tls === undefined : from !== undefined && trusted_proxies.length === 0) {
    const needed = from === 'tls' ? 'listen.tls' : 'trusted_proxies: from nobody else is that header believed'
    context.addIssue({ code: 'custom', path: ['client_certificates', 'from'], message: `needs ${needed}` })
  }
  // Tokens would cross a network in the clear: TLS is the broker's own, or somebody named here ends it.
  const isPlain = issuer.startsWith('https:') && listen.tls === undefined && trusted_proxies.length === 0
  if (isPlain && !isLoopbackHost(listen.host)) {
    const message =
      'others than this machine would speak plain http to it: set listen.tls, or name the proxy that ends TLS in trusted_proxies'
    context.addIssue({ code: 'custom', path: ['listen', 'host'], message })
  }
  if (outbound.allow_loopback && environment !== DEVELOPMENT_ENVIRONMENT) {
    const message = `only in the environment named ${DEVELOPMENT_ENVIRONMENT}`
    context.addIssue({ code: 'custom', path: ['outbound', 'allow_loopback'], message })
  }
})

export type ConfigDocument = z.output<typeof configDocument>

/** RFC 8414 §2: no query, no fragment; compared and printed byte for byte, so written in the one form that URLs parse to. */
function issuerProblem(text: string): string | undefined {
  const problem = urlProblem(text)
  if (problem !== undefined) return problem
  if (text.endsWith('/')) return 'must not end with a slash'
  if (text.includes('?')) return 'must not have a query (RFC 8414 section 2)'
  const url = new URL(text)
  const plain = url.pathname === '/' ? url.origin : `${url.origin}${url.pathname}`
  return text === plain ? undefined : `must be written in its plain form: ${plain}`
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  if (prefix === undefined) return true
  if (!/^\d{1,3}$/.test(prefix)) return false
  try {
    new BlockList().addSubnet(address, Number(prefix), family === 4 ? 'ipv4' : 'ipv6')
    return true
  } catch {
    return false
  }
}
