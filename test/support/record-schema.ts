/**
 * The schema of an audit record, by itself: what each member is, that there are no others, and what its event demands (R155, R161, R177).
 * Every world checks every record that it has written (`world.ts`).
 */
import { z } from 'zod'
import { keptTexts } from '../../src/audit/log/kept-texts.ts'
import { NAME_CHARS_MAX, USER_AGENT_CHARS_MAX } from '../../src/kernel/limits.ts'
import { AUDIT_RECORD_BYTES_MAX } from '../../src/kernel/store-limits.ts'
import type { AuditRecord } from '../../src/model/audit-record.ts'
import { LAYERS } from '../../src/model/decision.ts'
import { EVENTS, lackingIn } from '../../src/model/event-catalogue.ts'
import { ORIGIN_TYPES } from '../../src/model/intent.ts'
import type { AuditStore, OutboxEntry } from '../../src/store/ports.ts'
import { whenAvailable } from './patience.ts'

/** A name, or the digest that stands for one that was too long. */
const name = z
  .string()
  .min(1)
  .max(4 * NAME_CHARS_MAX)
const digest = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
const named = (prefix: string) => z.union([z.string().regex(new RegExp(`^${prefix}_[A-Za-z0-9_-]+$`)), addressed])
const addressed = z.string().regex(/^sha256:[A-Za-z0-9_-]{43}$/)
const principal = z.union([z.string().regex(/^(agent|service|user|operator):./s), addressed])
const captured = z.union([digest, addressed])
const kind = z.enum(['prompt', 'arguments', 'response', 'trace'])

const schema = z.strictObject({
  id: z.string().regex(/^dec_./),
  at: z.iso.datetime({ precision: 3 }),
  event: z.enum(Object.keys(EVENTS) as [string, ...string[]]),
  outcome: z.enum(['granted', 'refused', 'unfinished', 'undone']),
  reason: z
    .string()
    .regex(/^[a-z_]+$/)
    .optional(),
  by: z.union([principal, z.literal('stranger')]),
  by_class: z.enum(['agent', 'service', 'user', 'operator', 'stranger']),
  agent: z.strictObject({ id: name, version: name.optional(), instance: name.optional() }).optional(),
  client_auth: z
    .strictObject({
      method: name,
      credential: name,
      issuer: name.optional(),
      legacy_audience: z.literal(true).optional(),
      certificate: digest.optional(),
      reusable_assertion: z.string().optional(),
    })
    .optional(),
  on_behalf_of: principal.optional(),
  user: z
    .strictObject({
      id: z.union([z.string().regex(/^user:./s), addressed]),
      email: name.optional(),
      groups: z.array(name).min(1).optional(),
      roles: z.array(name).min(1).optional(),
    })
    .optional(),
  owner: name.optional(),
  // What somebody asks for by a name that there is not is recorded as they called it.
  session: z.string().optional(),
  node: z.string().optional(),
  parent: z.string().optional(),
  intent: digest.optional(),
  origin: z.enum(ORIGIN_TYPES).optional(),
  resource: z.string().min(1).optional(),
  server: z.strictObject({ id: name, name }).optional(),
  service: name.optional(),
  tool: z.string().max(128).optional(),
  authorization_server: z.string().min(1).optional(),
  scope: z.string().optional(),
  chain: z.array(z.string()).optional(),
  jti: named('(jti|nod)').optional(),
  expires_at: z.int().optional(),
  bound_to: z
    .string()
    .regex(/^(jkt|x5t#S256):/)
    .optional(),
  authority: digest.optional(),
  workload: z.strictObject({ issuer: name, sub: z.string().min(1) }).optional(),
  subject_token: z.string().optional(),
  grant: z.literal('id_jag').optional(),
  policy: z.string().min(1).optional(),
  layers: z
    .partialRecord(z.enum(LAYERS), z.enum(['allowed', 'implicit_deny', 'explicit_deny', 'not_applicable']))
    .optional(),
  grants: z.array(name).min(1).optional(),
  grants_evaluated: z.int().min(0).optional(),
  question: digest.optional(),
  missing: z.array(z.string()).min(1).optional(),
  shadow: z
    .strictObject({
      policy: z.string(),
      outcome: z.enum(['allow', 'deny']),
      turn: z.enum(['granted', 'refused', 'narrowed', 'widened']),
      reason: z.string().optional(),
    })
    .optional(),
  call: z
    .strictObject({
      attempt: z.string().min(1),
      ended: z.enum(['success', 'failure', 'unknown']).optional(),
      after: z.literal('unknown').optional(),
    })
    .optional(),
  approval: z.strictObject({ id: z.string(), by: z.string().optional() }).optional(),
  sealed: z.string().optional(),
  captured: z.partialRecord(kind, captured).optional(),
  disclosure: z.strictObject({ of: z.string().optional(), kinds: z.array(kind), reason: z.string() }).optional(),
  conformance: z.strictObject({ state: z.enum(['active', 'contracted']), drift: z.int() }).optional(),
  asks: z.array(z.string()).optional(),
  correlation: z.union([z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/), addressed]).optional(),
  txn: z
    .string()
    .regex(/^[A-Za-z0-9._:~-]{1,64}$/)
    .optional(),
  trace: z
    .strictObject({ trace_id: z.string().regex(/^[0-9a-f]{32}$/), span_id: z.string().regex(/^[0-9a-f]{16}$/) })
    .optional(),
  ip: z.string().optional(),
  user_agent: z
    .string()
    .max(USER_AGENT_CHARS_MAX)
    .regex(/^[\x20-\x7e]*$/)
    .optional(),
  change: z
    .strictObject({
      object: z.string(),
      before: digest.optional(),
      after: digest.optional(),
      too_long: z.literal(true).optional(),
    })
    .optional(),
  pruned: z
    .strictObject({
      from: z.int(),
      to: z.int(),
      why: z.enum(['keep_days', 'keep_records']),
      size: z.int(),
      root: z.string(),
      signature: z.string(),
    })
    .optional(),
  continued: z
    .strictObject({
      origin: z.string(),
      before: z.string(),
      from: z.int(),
      root: z.string(),
      signed: z.int(),
      signed_root: z.string().optional(),
      reason: z.string(),
      at: z.string(),
      signature: z.string().optional(),
    })
    .optional(),
  detail: z.string().optional(),
  strangers: z
    .array(z.tuple([z.string(), z.string(), z.int().min(1)]))
    .min(1)
    .optional(),
  shortened: z.literal(true).optional(),
})

/** What is wrong with the text of a record; empty: nothing. */
export function faultsIn(text: string): readonly string[] {
  const record = JSON.parse(text) as AuditRecord
  const parsed = schema.safeParse(record)
  const faults = parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  const bytes = Buffer.byteLength(text)
  if (bytes > AUDIT_RECORD_BYTES_MAX) faults.push(`${bytes} bytes`)
  const lacking = record.reason !== undefined && record.outcome !== 'refused' ? [] : lackingIn(record)
  return [...faults, ...lacking.map((member) => `lacks ${member}`)]
}

const LOOKED_AT_MAX = 2_000

/** @throws Error for the first record that is not what it should be */
export async function checkRecords(
  audit: Pick<AuditStore, 'latest' | 'pending' | 'contentsIn'>,
  forged: ReadonlySet<string> = new Set(),
): Promise<void> {
  const entries = await audit.latest(LOOKED_AT_MAX).catch(() => [])
  for (const { record } of entries) {
    if (forged.has((JSON.parse(record) as AuditRecord).id)) continue
    const faults = faultsIn(record)
    if (faults.length > 0) throw new Error(`a record is not what it should be: ${faults.join('; ')}\n${record}`)
  }
  await checkTexts(audit, forged)
}

/** What a verifier of the log will look for beside each record is there. */
async function checkTexts(
  audit: Pick<AuditStore, 'pending' | 'contentsIn'>,
  forged: ReadonlySet<string>,
): Promise<void> {
  const outboxes = await audit.pending(new Map(), LOOKED_AT_MAX).catch(() => new Map<string, readonly OutboxEntry[]>())
  for (const [outbox, entries] of outboxes) {
    const records = entries.map(({ record }) => JSON.parse(record) as AuditRecord).filter(({ id }) => !forged.has(id))
    const named = records.flatMap(keptTexts)
    const found = await whenAvailable(() => audit.contentsIn(outbox, [...new Set(named.map(([, digest]) => digest))]))
    for (const record of records) {
      const lacking = keptTexts(record).filter(([, digest]) => !found.has(digest))
      if (lacking.length > 0) throw new Error(`not kept of a record: ${lacking.join('; ')}\n${JSON.stringify(record)}`)
    }
  }
}
