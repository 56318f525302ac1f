/** A record fits its bound whatever callers call themselves: who did what for whom stays in it, by digest at least. */
import { sha256 } from '../kernel/digest.ts'
import { AUDIT_RECORD_BYTES_MAX } from '../kernel/store-limits.ts'
import type { AuditRecord } from '../model/audit-record.ts'

/**
 * What a record sheds, first to last, until it fits: a caller's word for itself, which must not push out what others say; then
 * what the same question to the same policy would yield again.
 */
const SHEDDABLE: readonly (keyof AuditRecord)[] = [
  'user_agent',
  'missing',
  'grants',
  'layers',
  'grants_evaluated',
  'shadow',
  'asks',
  'detail',
]
/** Attribution and outcome are never shed: what is too long of it is named by its digest (DESIGN §8). */
const ADDRESSABLE = [
  'correlation',
  'scope',
  'chain',
  'resource',
  'authorization_server',
  'service',
  'tool',
  'node',
  'session',
  'owner',
  'on_behalf_of',
  'by',
] as const

/**
 * The text of a record, of `AUDIT_RECORD_BYTES_MAX` at most, whatever callers say of themselves. Where the names of the registry and of
 * the directory are at their bounds, too, it is up to a third longer: it is written all the same, and attribution stays.
 */
export function serialiseWithinBounds(record: AuditRecord): string {
  let kept: AuditRecord = record
  for (const shorten of SHORTENINGS) {
    const text = JSON.stringify(kept)
    if (Buffer.byteLength(text) <= AUDIT_RECORD_BYTES_MAX) return text
    kept = { ...shorten(kept), shortened: true }
  }
  return JSON.stringify(kept)
}

type Shorten = (record: AuditRecord) => AuditRecord

/** The question beside the record has them all. */
const withoutGroups: Shorten = ({ user, ...rest }) => {
  if (user === undefined) return rest
  const { groups: _groups, roles: _roles, ...named } = user
  return { ...rest, user: named }
}

/** Names within a member: the first is its caller's own word. */
const ADDRESSABLE_WITHIN: readonly Shorten[] = [
  ({ agent, ...rest }) =>
    agent === undefined ? rest : { ...rest, agent: { ...agent, ...digested(agent, 'instance') } },
  ({ client_auth: by, ...rest }) =>
    by === undefined ? rest : { ...rest, client_auth: { ...by, ...digested(by, 'credential') } },
  ({ workload, ...rest }) =>
    workload === undefined ? rest : { ...rest, workload: { ...workload, ...digested(workload, 'sub') } },
  ({ approval, ...rest }) =>
    approval === undefined ? rest : { ...rest, approval: { ...approval, ...digested(approval, 'by') } },
]

/** Of many long names: what the caller says of the request itself, then the server by its id and the user by their principal alone. */
const LAST: readonly Shorten[] = [
  ({ trace: _trace, ...rest }) => rest,
  ({ correlation: _correlation, ...rest }) => rest,
  ({ server, user, ...rest }) => ({
    ...rest,
    ...(server === undefined ? {} : { server: { id: server.id, name: server.id } }),
    ...(user === undefined ? {} : { user: { id: user.id, ...digested(user, 'id') } }),
  }),
  ({ agent, ...rest }) => (agent === undefined ? rest : { ...rest, agent: { ...agent, ...digested(agent, 'id') } }),
  ({ agent, ...rest }) =>
    agent === undefined ? rest : { ...rest, agent: { ...agent, ...digested(agent, 'version') } },
]

const SHORTENINGS: readonly Shorten[] = [
  withoutGroups,
  ...SHEDDABLE.map((field) => (record: AuditRecord) => {
    const { [field]: _shed, ...rest } = record
    return rest as AuditRecord
  }),
  ...ADDRESSABLE_WITHIN,
  ...ADDRESSABLE.map((field) => (record: AuditRecord) => ({ ...record, ...digested(record, field) })),
  ...LAST,
]

/** A name that its digest is no shorter than stays: people search for it. */
function digested<R extends object, K extends keyof R>(of: R, member: K): Partial<Pick<R, K>> {
  const value: unknown = of[member]
  const text = Array.isArray(value) ? value.join(' ') : value
  if (typeof text !== 'string' || Buffer.byteLength(text) <= DIGEST_BYTES) return {}
  return { [member]: Array.isArray(value) ? [digestOf(text)] : digestOf(text) } as Partial<Pick<R, K>>
}

const digestOf = (text: string) => `sha256:${sha256(text)}`
const DIGEST_BYTES = digestOf('').length

/** How a name stands in records: as it is, and where one was too long, by its digest. */
export function spellingsOf(name: string): readonly string[] {
  return Buffer.byteLength(name) <= DIGEST_BYTES ? [name] : [name, digestOf(name)]
}
