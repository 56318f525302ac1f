/** Who authorised what a record says, as one plain sentence: the person, the agent, the session and the rule (R175). */
import type { AuditRecord } from '../../model/audit-record.ts'

export function whoAuthorised(record: AuditRecord): string {
  const { outcome, reason, by, agent } = record
  if (outcome === 'refused') return `Nobody authorised this: it was refused (${reason ?? 'for an unknown reason'}).`
  if (outcome === 'unfinished') return 'Nobody knows yet whether this was done; whoever asked was given nothing.'
  if (outcome === 'undone') return `Nobody: what was done for ${by} is dead, and was never handed out.`
  if (agent === undefined) return `${sayPrincipal(by)} did this, in their own name${session(record)}.`
  return `${person(record)}${session(record)}${passedOn(record)}, and ${rule(record)}${approved(record)}.`
}

function person(record: AuditRecord): string {
  const { agent, on_behalf_of: subject = '', origin, owner } = record
  const name = agent?.id ?? 'unknown'
  if (!subject.startsWith('user:')) {
    const answers = owner === undefined ? '' : `, for whom ${owner} answers`
    return `No person asked for this: agent ${name}${answers}, worked for itself${set(origin)}`
  }
  return `${sayUser(record)} authorised this: agent ${name} acted for them${set(origin)}`
}

/** With their address, where the directory had one. */
export function sayUser({ user, on_behalf_of: subject = 'nobody' }: AuditRecord): string {
  return user?.email === undefined ? subject : `${user.email} (${user.id})`
}

const ORIGINS: Readonly<Record<string, string>> = {
  user_request: '',
  upstream_agent: '',
  unknown: '',
}

function set(origin: string | undefined): string {
  return origin === undefined ? '' : (ORIGINS[origin] ?? `, set off by ${origin.replaceAll('_', ' ')}`)
}

function session({ session: id }: AuditRecord): string {
  return id === undefined ? '' : `, in session ${id}`
}

/** Actors are newest first; the first of them is who has acted. */
function passedOn({ chain = [] }: AuditRecord): string {
  const before = chain.slice(1).toReversed().map(sayPrincipal)
  return before.length === 0 ? '' : `, passed on to it by ${before.join(', then ')}`
}

function rule({ grants = [], policy, event }: AuditRecord): string {
  const version = policy === undefined ? '' : ` of policy ${policy.slice(0, 12)}`
  if (grants.length > 0) return `grant${grants.length === 1 ? '' : 's'} ${grants.join(', ')}${version} allowed it`
  if (policy !== undefined) return `no layer${version} stood against it`
  return event === 'call.outcome' ? 'the attempt of the same id says which rule allowed it' : 'no rule had to be asked'
}

function approved({ approval }: AuditRecord): string {
  return approval?.by === undefined ? '' : `; ${approval.by} said yes to this very call`
}

/** `agent:scribe` as "agent scribe"; a person or an operator stays as they are written. */
export function sayPrincipal(principal: string): string {
  return /^(agent|service):/.test(principal) ? principal.replace(':', ' ') : principal
}
