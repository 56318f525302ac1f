/**
 * What may happen to a session, as commits: each check carries the rejection that its failure means, so that the store can
 * stay ignorant of sessions and a refusal still says why.
 */
import type { NodeId, SessionId } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import { NODES_PER_SESSION_MAX, TOKEN_REVOCATIONS_PER_SESSION_MAX } from '../kernel/store-limits.ts'
import type { Check, Content, Operation } from '../model/commit.ts'
import type { IssuingState, NodeFacts, SessionFacts, SessionState } from '../model/session.ts'
import { ISSUING_STATES, statesBefore } from '../model/session.ts'
import { encodeFacts, encodeNode } from './record-text.ts'
import { FIELD } from './session-record.ts'

export interface GuardedCheck {
  readonly check: Check
  readonly refusal: () => Rejection
}

/** A session's change before it has an id and an audit record. */
export interface SessionChange {
  readonly session: SessionId
  readonly checks: readonly GuardedCheck[]
  readonly operations: readonly Operation[]
  readonly notAfter: number
  /** What its audit record names by digest. */
  readonly contents?: readonly Content[]
  /** It ends something, and is recorded also where the outbox is full for others. */
  readonly isEnd?: boolean
  /** What is done instead where the first check does not hold. */
  readonly otherwise?: SessionChange
}

const notIssuing = () =>
  new Rejection('session_not_issuing', 'the session is closed, revoked, halted or unknown, or was contracted just now')
const expired = () => new Rejection('session_expired', 'the session has ended')
export const nodeDead = () => new Rejection('node_revoked', 'this part of the session was revoked')

/** Open, and autonomous: the session, its root node, and the leaf where an access token is handed out at once. */
export function openSession(facts: SessionFacts, root: NodeFacts, withLeaf: boolean): SessionChange {
  return {
    session: facts.id,
    checks: [{ check: { check: 'absent', field: FIELD.state }, refusal: notIssuing }],
    operations: [
      { operation: 'set', field: FIELD.state, value: 'active' },
      { operation: 'set', field: FIELD.notAfter, value: String(facts.notAfter) },
      { operation: 'set', field: FIELD.facts, value: encodeFacts(facts, root) },
      ...signedIn(facts),
      { operation: 'set', field: FIELD.node(root.id), value: encodeNode(root, facts.intentSalt) },
      { operation: 'increment', field: FIELD.nodes, by: 1 },
      ...(withLeaf ? [countLeaf(root.id)] : []),
    ],
    notAfter: facts.notAfter,
  }
}

function signedIn(facts: SessionFacts): readonly Operation[] {
  if (facts.evidence === undefined) return []
  return [{ operation: 'set', field: FIELD.signedInAt, value: String(facts.evidence.signedInAt) }]
}

/** A session as it was read: what is to be written was decided by its state then. */
export interface ReadSession {
  readonly facts: SessionFacts
  readonly state: IssuingState
}

/** Continue: one more leaf of a node. */
export function issueLeaf({ facts, state }: ReadSession, path: readonly NodeId[], now: number): SessionChange {
  return {
    session: facts.id,
    checks: alive(state, path, now),
    operations: [countLeaf(last(path))],
    notAfter: facts.notAfter,
  }
}

const hasRoom: GuardedCheck = {
  check: { check: 'below', field: FIELD.nodes, value: NODES_PER_SESSION_MAX },
  refusal: () => new Rejection('nodes_per_session_exceeded', 'the session has too many hops'),
}

/** Delegate: a delegation that its audience may accept. */
export function offerDelegation(
  { facts, state }: ReadSession,
  path: readonly NodeId[],
  delegated: NodeFacts,
  now: number,
): SessionChange {
  return {
    session: facts.id,
    checks: [
      ...alive(state, path, now),
      hasRoom,
      { check: { check: 'absent', field: FIELD.delegation(delegated.id) }, refusal: consumed },
    ],
    operations: [
      { operation: 'set', field: FIELD.delegation(delegated.id), value: encodeNode(delegated, facts.intentSalt) },
      { operation: 'increment', field: FIELD.nodes, by: 1 },
    ],
    notAfter: facts.notAfter,
  }
}

const consumed = () => new Rejection('delegation_consumed', 'this delegation has already been accepted')

/** Accept: the delegation becomes the node of the same id, exactly once, and is not burnt by a refusal. */
export function acceptDelegation(
  { facts, state }: ReadSession,
  path: readonly NodeId[],
  accepted: NodeFacts,
  options: { readonly withLeaf: boolean; readonly now: number },
): SessionChange {
  return {
    session: facts.id,
    checks: [
      { check: { check: 'absent', field: FIELD.node(accepted.id) }, refusal: consumed },
      ...alive(state, path, options.now),
      { check: { check: 'present', field: FIELD.delegation(accepted.id) }, refusal: nodeDead },
      { check: { check: 'absent', field: FIELD.revoked(accepted.id) }, refusal: nodeDead },
    ],
    operations: [
      { operation: 'set', field: FIELD.node(accepted.id), value: encodeNode(accepted, facts.intentSalt) },
      ...(options.withLeaf ? [countLeaf(accepted.id)] : []),
    ],
    notAfter: facts.notAfter,
  }
}

/**
 * Downstream: the access token that a server goes on with becomes a hop of its own, under the token's `jti`, so that whoever ends
 * the token ends all that came of it. Its first exchange writes the hop; the others, and those that come at the same moment, add
 * a leaf to it.
 */
export function passThrough(
  read: ReadSession,
  path: readonly NodeId[],
  hop: NodeFacts,
  options: { readonly isWritten: boolean; readonly now: number },
): SessionChange {
  const { facts, state } = read
  const more = issueLeaf(read, [...path, hop.id], options.now)
  if (options.isWritten) return more
  return {
    session: facts.id,
    checks: [
      { check: { check: 'absent', field: FIELD.node(hop.id) }, refusal: nodeDead },
      ...alive(state, path, options.now),
      { check: { check: 'absent', field: FIELD.revoked(hop.id) }, refusal: nodeDead },
      hasRoom,
    ],
    operations: [
      { operation: 'set', field: FIELD.node(hop.id), value: encodeNode(hop, facts.intentSalt) },
      { operation: 'increment', field: FIELD.nodes, by: 1 },
      countLeaf(hop.id),
    ],
    notAfter: facts.notAfter,
    otherwise: more,
  }
}

/**
 * Closing, revoking, contracting, halting, resuming: refused (harmlessly) where the session is not in a state it may come from.
 * @param from of the states it may be entered from, those meant
 */
export function enterState(
  session: SessionId,
  to: SessionState,
  notAfter: number,
  from: readonly SessionState[] = statesBefore(to),
): SessionChange {
  const values = statesBefore(to).filter((state) => from.includes(state))
  return {
    session,
    checks: [{ check: { check: 'oneOf', field: FIELD.state, values }, refusal: notIssuing }],
    operations: [{ operation: 'set', field: FIELD.state, value: to }],
    notAfter,
  }
}

/** Marks a single access token revoked, while the record has room: the cut-off that is written first kills it anyway. */
export function revokeLeaf(session: SessionId, jti: string, notAfter: number): SessionChange {
  return {
    session,
    checks: [
      { check: { check: 'present', field: FIELD.state }, refusal: notIssuing },
      { check: { check: 'absent', field: FIELD.revoked(jti) }, refusal: nodeDead },
      {
        check: { check: 'below', field: FIELD.revocations, value: TOKEN_REVOCATIONS_PER_SESSION_MAX },
        refusal: () =>
          new Rejection('nodes_per_session_exceeded', 'too many single tokens of this session were revoked'),
      },
    ],
    operations: [
      { operation: 'set', field: FIELD.revoked(jti), value: 'revoked' },
      { operation: 'increment', field: FIELD.revocations, by: 1 },
    ],
    notAfter,
  }
}

/** Revokes nodes: what descends from them names them in its path. */
export function revokeNodes(session: SessionId, ids: readonly string[], notAfter: number): SessionChange {
  return {
    session,
    checks: [{ check: { check: 'present', field: FIELD.state }, refusal: notIssuing }],
    operations: ids.map((id) => ({ operation: 'set', field: FIELD.revoked(id), value: 'revoked' })),
    notAfter,
  }
}

/**
 * What every issuance re-checks in the session's own slot, in the same transaction that issues. One that was decided for a whole
 * session is not written into one that has been contracted since.
 */
export function alive(state: IssuingState, path: readonly NodeId[], now: number): readonly GuardedCheck[] {
  const values = state === 'contracted' ? ISSUING_STATES : ISSUING_STATES.filter((other) => other === state)
  return [
    { check: { check: 'oneOf', field: FIELD.state, values }, refusal: notIssuing },
    { check: { check: 'above', field: FIELD.notAfter, value: now }, refusal: expired },
    ...path.flatMap((node): GuardedCheck[] => [
      { check: { check: 'present', field: FIELD.node(node) }, refusal: nodeDead },
      { check: { check: 'absent', field: FIELD.revoked(node) }, refusal: nodeDead },
    ]),
  ]
}

function countLeaf(node: NodeId): Operation {
  return { operation: 'increment', field: FIELD.leaves(node), by: 1 }
}

export function last(path: readonly NodeId[]): NodeId {
  const node = path.at(-1)
  if (node === undefined) throw new Error('a handle has at least one node in its path')
  return node
}
