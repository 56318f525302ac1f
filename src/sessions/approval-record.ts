/**
 * Approvals as fields of their session's record, one per call asked about: what ends the session ends them, and the write that
 * uses one up is the session's own.
 *
 *   a:<key>     the approval of that call, as a tuple; a later request for the same call takes the place of one that is over
 *   approvals   requests written so far, decimal
 */
import { sha256 } from '../kernel/digest.ts'
import type { ClientId, DecisionId, NodeId, PrincipalId, ResourceUrl, SessionId } from '../kernel/ids.ts'
import { newSalt } from '../kernel/ids.ts'
import { APPROVAL_STATES, type Approval } from '../model/approval.ts'
import { asFault, malformed, optional, textIn, textsIn, tupleIn, wholeIn } from './stored-values.ts'

const FIELD_PREFIX = 'a:'
export const APPROVALS_COUNT = 'approvals'

export const approvalField = (key: string): string => FIELD_PREFIX + key

/** The list of those that wait for somebody. */
export const APPROVALS_INDEX = 'approvals'

/** Of those that were denied, so that nobody is asked the same again by way of another session. */
export const deniedIndex = (agent: string, subject: string): string =>
  `denied:${sha256(JSON.stringify([agent, subject]))}`

/** One call of one holder. `digest` is that of its canonical arguments. */
export interface CallNamed {
  readonly session: SessionId
  readonly node: NodeId
  readonly agent: ClientId
  readonly subject: PrincipalId
  readonly resource: ResourceUrl
  readonly tool: string
  readonly digest: string
}

export function approvalKey({ session, node, agent, subject, resource, tool, digest }: CallNamed): string {
  return sha256(JSON.stringify(['approval', session, node, agent, subject, resource, tool, digest]))
}

/** The same call, whichever session it is made in. */
export function sameCall({ resource, tool, digest }: Pick<CallNamed, 'resource' | 'tool' | 'digest'>): string {
  return sha256(JSON.stringify(['call', resource, tool, digest]))
}

const SESSION_BEGINS = 'ses_'
const ID = /^apr_([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{22})$/

/** Names its session, so that it is found without a list; and is new each time, so that nobody approves what it once was. */
export function newApprovalId(session: SessionId): string {
  return `apr_${session.slice(SESSION_BEGINS.length)}${newSalt()}`
}

/** `undefined`: it is no id of an approval. */
export function sessionOfApproval(id: string): SessionId | undefined {
  const [, session] = ID.exec(id) ?? []
  return session === undefined ? undefined : (`${SESSION_BEGINS}${session}` as SessionId)
}

export function encodeApproval(approval: Approval): string {
  const { id, state, path, agent, subject, resource, tool, service, sealed, policy, requestedAt, until } = approval
  const { word, usedBy, instance } = approval
  return JSON.stringify([
    id,
    APPROVAL_STATES.indexOf(state),
    path,
    agent,
    subject,
    resource,
    tool,
    service,
    sealed,
    policy,
    requestedAt,
    until,
    word === undefined ? null : [word.by, word.at, word.reason, word.rv, word.epoch],
    usedBy ?? null,
    ...(instance === undefined ? [] : [instance]),
  ])
}

/** @throws MalformedSession */
export function decodeApproval(session: SessionId, key: string, text: string): Approval {
  return asFault('approval', () => {
    const parsed: unknown = JSON.parse(text)
    // Where the token names a process, it is the last.
    const members = tupleIn(parsed, 'approval', Array.isArray(parsed) && parsed.length === 15 ? 15 : 14)
    const [id, coded, path, agent, subject, resource, tool, service, ...rest] = members
    const [sealed, policy, requestedAt, until, word, usedBy, instance] = rest
    const state = APPROVAL_STATES[wholeIn(coded, 'state')]
    if (state === undefined) throw malformed('state', 'is unknown')
    return {
      id: textIn(id, 'id'),
      key,
      session,
      state,
      path: textsIn(path, 'path') as readonly NodeId[],
      agent: textIn(agent, 'agent') as ClientId,
      instance: instance === undefined ? undefined : textIn(instance, 'instance'),
      subject: textIn(subject, 'subject') as PrincipalId,
      resource: textIn(resource, 'resource') as ResourceUrl,
      tool: textIn(tool, 'tool'),
      service: textIn(service, 'service') as ClientId,
      sealed: textIn(sealed, 'sealed'),
      policy: textIn(policy, 'policy'),
      requestedAt: wholeIn(requestedAt, 'requestedAt'),
      until: wholeIn(until, 'until'),
      word: optional(word, wordOf),
      usedBy: optional(usedBy, (value) => textIn(value, 'usedBy') as DecisionId),
    }
  })
}

function wordOf(value: unknown): Approval['word'] {
  const [by, at, reason, rv, epoch] = tupleIn(value, 'word', 5)
  return {
    by: textIn(by, 'by') as PrincipalId,
    at: wholeIn(at, 'at'),
    reason: textIn(reason, 'reason'),
    rv: wholeIn(rv, 'rv'),
    epoch: textIn(epoch, 'epoch'),
  }
}

/** All of a record. @throws MalformedSession */
export function approvalsIn(session: SessionId, fields: ReadonlyMap<string, string>): readonly Approval[] {
  return [...fields].flatMap(([name, text]) =>
    name.startsWith(FIELD_PREFIX) ? [decodeApproval(session, name.slice(FIELD_PREFIX.length), text)] : [],
  )
}
