/**
 * Every kind of audit record, by its stable code, and what it must say (DESIGN §8, R155): who acted, as which build; in which session,
 * for what; what set it off; with what authority; and how it ended. A record that does not say so is not written, and what
 * was to be issued with it is not issued. What ends something is written as it is: an end waits for nothing.
 */
import type { AuditEvent, AuditRecord } from './audit-record.ts'

type Member = keyof AuditRecord | 'agent.version' | 'call.ended'

export interface EventRule {
  readonly says: string
  /** Of what was done, granted or intended. */
  readonly demands: readonly Member[]
  /** Ends something: written whatever it lacks. */
  readonly ends?: true
}

/** Who, for whom, in which session and piece of work, what for, what set it off, with what. */
const ATTRIBUTION = [
  ...(['agent', 'agent.version', 'on_behalf_of', 'session', 'txn', 'node'] as const),
  ...(['intent', 'origin', 'scope'] as const),
] as const
/** Of work that ends or is let go on, of which there may be many hops. */
const WORK = ['agent', 'agent.version', 'on_behalf_of', 'session', 'txn', 'intent', 'origin', 'scope'] as const
const DECISION = ['policy', 'question', 'ip'] as const
const ISSUED = [
  ...ATTRIBUTION,
  ...DECISION,
  'client_auth',
  'resource',
  'chain',
  'jti',
  'expires_at',
  'authority',
] as const
const CALL = [...ATTRIBUTION, 'resource', 'server', 'service', 'tool', 'jti', 'call'] as const

const RULES = {
  'session.open': {
    says: 'a session was opened: its session token, or the one access token it lives for',
    demands: ISSUED,
  },
  'token.continue': { says: 'an access token, or an ID-JAG, from a session token', demands: ISSUED },
  'delegation.issue': { says: 'part of a session was passed on, for one agent to accept', demands: ISSUED },
  'delegation.accept': { says: 'that agent has accepted it', demands: ISSUED },
  'token.autonomous': { says: 'an access token for an agent’s own work', demands: ISSUED },
  'token.downstream': { says: 'a server went on, in the name of its caller', demands: ISSUED },
  'token.api': {
    says: 'a token for the broker’s own endpoints, in no session',
    demands: ['client_auth', 'resource', 'scope', 'jti', 'expires_at', 'ip'],
  },
  'token.introspect': { says: 'a server asked about a token', demands: ['client_auth', 'detail', 'ip'] },
  'access.evaluate': {
    says: 'a server asked what may be done; nothing is counted',
    demands: ['policy', 'ip'],
  },
  'call.attempt': { says: 'a call of a tool was announced, and may run', demands: [...CALL, ...DECISION] },
  'call.outcome': { says: 'how that call ended', demands: [...CALL, 'call.ended'], ends: true },
  'token.revoke': {
    says: 'a client ended a token, its hop, or what is below',
    demands: ['client_auth', 'detail', 'ip'],
    ends: true,
  },
  'revocations.follow': { says: 'a server began to follow the revocations', demands: ['ip'] },
  'session.read': { says: 'somebody looked at sessions', demands: ['ip'] },
  'session.close': { says: 'an agent ended its session, or a part', demands: [...WORK, 'ip'], ends: true },
  'session.contracted': {
    says: 'asks outside its intent left a session reading only',
    demands: [...WORK, 'asks', 'detail'],
    ends: true,
  },
  'session.halted': { says: 'more of them halted it', demands: [...WORK, 'asks', 'detail'], ends: true },
  'session.review': { says: 'a reviewer let it go on, contracted or revoked it', demands: [...WORK, 'detail', 'ip'] },
  'session.revoke': { says: 'a user or an operator ended a session, or a part', demands: [...WORK, 'ip'], ends: true },
  'control.write': { says: 'the kill switch, or a block lifted', demands: ['detail', 'change', 'ip'], ends: true },
  'admin.login': { says: 'an admin signed in', demands: ['jti', 'expires_at', 'subject_token', 'detail', 'ip'] },
  'registry.change': { says: 'an entry of the registry was changed', demands: ['change', 'ip'] },
  'admin.read': { says: 'an admin looked at something', demands: ['ip'] },
  'policy.publish': { says: 'the policy’s files were published', demands: [] },
  'policy.shadow': { says: 'a draft was put in shadow, or taken out', demands: ['change', 'detail', 'ip'] },
  'challenge.resolve': { says: 'an approver answered a challenge', demands: ['detail', 'ip'] },
  'approval.requested': {
    says: 'a call waits for a person',
    demands: [...ATTRIBUTION, 'resource', 'server', 'tool', 'policy', 'approval', 'sealed', 'ip'],
  },
  'approval.granted': {
    says: 'a person has said yes to it',
    demands: [...WORK, 'resource', 'tool', 'approval', 'sealed', 'ip'],
  },
  'approval.denied': { says: 'or no', demands: [...WORK, 'resource', 'tool', 'approval', 'sealed', 'ip'], ends: true },
  'session.trace': { says: 'an agent has left what it was thinking', demands: ['session', 'txn', 'ip'] },
  'captured.read': { says: 'somebody read what was captured with a record', demands: ['disclosure', 'ip'] },
  'captured.search': { says: 'or looked for something in it', demands: ['disclosure', 'ip'] },
  'captured.erase': { says: 'what was captured was erased', demands: ['disclosure', 'ip'] },
  'captured.rekey': { says: 'data keys were wrapped anew', demands: ['detail', 'ip'] },
  'audit.pruned': {
    says: 'bodies of the log are removed, for they are older or more than is kept',
    demands: ['pruned'],
  },
  'audit.continued': {
    says: 'the log goes on without records that were signed and are lost',
    demands: ['continued', 'ip'],
  },
  'request.refused': { says: 'a request that was refused before it was known what for', demands: [] },
  'strangers.refused': { says: 'refusals of callers that nobody authenticated, counted', demands: ['strangers'] },
} as const satisfies Readonly<Record<AuditEvent, EventRule>>

export const EVENTS: Readonly<Record<AuditEvent, EventRule>> = RULES

type Demanded<E extends AuditEvent> = Extract<(typeof RULES)[E]['demands'][number], keyof AuditRecord>

/** What the issuer of a token has to say for its record, beside what the request and the decision say: a member too few is a type error. */
export type IssueAttribution = Readonly<
  Required<Pick<AuditRecord, Exclude<Demanded<'session.open'>, 'agent' | 'client_auth' | (typeof DECISION)[number]>>>
>

/** What a record must say and does not; empty: it is complete. A refusal must say why, and whatever it is known of. */
export function lackingIn(record: AuditRecord): readonly Member[] {
  if (record.outcome === 'refused')
    return record.reason === undefined && record.strangers === undefined ? ['reason'] : []
  const { demands } = EVENTS[record.event]
  return [...demands, ...conditional(record)].filter((member) => !says(record, member))
}

/** A user by how the directory had them; where there is none, who answers for the work. */
function conditional({ event, question, session, on_behalf_of: behalf = '' }: AuditRecord): readonly Member[] {
  if (question === undefined) return []
  const about = event === 'access.evaluate' ? (['resource', 'tool'] as const) : []
  if (behalf.startsWith('user:')) return [...about, 'user']
  return behalf.startsWith('agent:') && session !== undefined ? [...about, 'owner'] : about
}

function says(record: AuditRecord, member: Member): boolean {
  if (member === 'agent.version') return record.agent?.version !== undefined
  if (member === 'call.ended') return record.call?.ended !== undefined
  return record[member] !== undefined
}
