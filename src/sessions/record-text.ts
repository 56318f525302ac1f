/**
 * What a session's record holds of its facts and of its nodes, as text: tuples instead of objects, nothing that follows from
 * something else in the record, times as differences. A million of them must fit into the memory of one Redis.
 *
 * Strict both ways: what a tuple could not give back is written out, and anything that this file has not written is a fault,
 * thrown, never repaired.
 */
import { type Actor, actors, parseActorChain } from '../authority/actor-chain.ts'
import type { Authority } from '../authority/authority.ts'
import { decodeResources, encodeResources } from '../authority/encode-authority.ts'
import { parseCnf } from '../jose/cnf.ts'
import {
  agentPrincipal,
  type ClientId,
  type NodeId,
  type PrincipalId,
  type SessionId,
  userPrincipal,
} from '../kernel/ids.ts'
import { intentHash, ORIGIN_TYPES, type Origin } from '../model/intent.ts'
import { RISK_LEVELS } from '../model/risk.ts'
import type { NodeFacts, OpeningEvidence, SessionFacts, Subject } from '../model/session.ts'
import { ownTxn, parseTxn } from '../model/transaction.ts'
import { atLength, shortened } from './phrases.ts'
import { asFault, malformed, optional, textIn, textsIn, tupleIn, wholeIn } from './stored-values.ts'

/** How the text of a node begins that has none above it. */
export const ROOT_BEGINS = '[0'
const OWN_KEY = 1
const AGENT_PROFILE = 'ai_agent'
const PROFILES = ['user', 'ai_agent', 'service'] as const

/** @param root the session's first node: what it says already is not said twice */
export function encodeFacts(facts: SessionFacts, root: NodeFacts): string {
  if (facts.rootNode !== root.id) throw new Error('a session is written with its own first node')
  const { openedAt } = facts
  return written([
    facts.accountableOwner,
    facts.intentSalt,
    subjectTuple(facts.subject),
    facts.evidence === undefined ? 0 : evidenceTuple(facts.evidence, openedAt),
    openedAt - root.createdAt,
    facts.notAfter - openedAt,
    facts.rootAgent === root.holder ? 0 : facts.rootAgent,
    facts.ceiling === root.authority ? 0 : authorityTuple(facts.ceiling, openedAt),
    ...(facts.txn === ownTxn(facts.id) ? [] : [facts.txn]),
  ])
}

export function encodeNode(node: NodeFacts, salt: string): string {
  return written([
    node.parent ?? 0,
    node.holder,
    node.agentVersion,
    node.act === undefined ? 0 : chainTuples(node.act, node.holder),
    node.purpose,
    originTuple(node.origin, node.holder),
    node.createdAt,
    node.notAfter - node.createdAt,
    authorityTuple(node.authority, node.notAfter),
    constraintTuple(node.senderConstraint),
    ...(node.intentHash === intentHash(salt, node.purpose) ? [] : [node.intentHash]),
  ])
}

/** Texts of one session: its facts cannot be told without its first node, nor that without them. */
export function decodeOpened(
  ids: { readonly session: SessionId; readonly root: NodeId },
  texts: { readonly facts: string; readonly root: string },
): { readonly facts: SessionFacts; readonly root: NodeFacts } {
  const [owner, salt, subject, evidence, opened, life, agent, ceiling, txn] = tupleIn(read(texts.facts), 'facts', 8, 9)
  const intentSalt = textIn(salt, 'salt')
  const root = decodeNode(texts.root, ids.root, intentSalt)
  if (root.parent !== undefined) throw malformed('facts', 'its first node is below another')
  const openedAt = root.createdAt + wholeIn(opened, 'openedAt')
  const facts: SessionFacts = {
    id: ids.session,
    txn: txn === undefined ? ownTxn(ids.session) : txnOf(txn),
    rootAgent: agent === 0 ? root.holder : (textIn(agent, 'agent') as ClientId),
    rootNode: ids.root,
    subject: subjectOf(subject),
    accountableOwner: textIn(owner, 'owner'),
    intentSalt,
    ceiling: ceiling === 0 ? root.authority : authorityOf(ceiling, openedAt),
    evidence: evidence === 0 ? undefined : evidenceOf(evidence, openedAt),
    openedAt,
    notAfter: openedAt + wholeIn(life, 'notAfter'),
  }
  return { facts, root }
}

function txnOf(value: unknown): string {
  const txn = parseTxn(value)
  if (txn === undefined) throw malformed('txn', 'is not one')
  return txn
}

export function decodeNode(text: string, id: NodeId, salt: string): NodeFacts {
  const tuple = tupleIn(read(text), 'node', 10, 11)
  const [above, named, version, chain, prose, origin, created, life, authority, constraint, hash] = tuple
  const holder = textIn(named, 'holder') as ClientId
  const purpose = textIn(prose, 'purpose')
  const createdAt = wholeIn(created, 'createdAt')
  const notAfter = createdAt + wholeIn(life, 'notAfter')
  return {
    id,
    parent: above === 0 ? undefined : (textIn(above, 'parent') as NodeId),
    holder,
    agentVersion: textIn(version, 'version'),
    act: chain === 0 ? undefined : chainOf(chain, holder),
    authority: authorityOf(authority, notAfter),
    purpose,
    origin: originOf(origin, holder),
    intentHash: tuple.length === 10 ? intentHash(salt, purpose) : textIn(hash, 'intent'),
    createdAt,
    notAfter,
    senderConstraint: constraintOf(constraint),
  }
}

function written(tuple: readonly unknown[]): string {
  return shortened(JSON.stringify(tuple))
}

function read(text: string): unknown {
  return JSON.parse(atLength(text))
}

function subjectTuple({ principal, profile, user }: Subject): readonly unknown[] {
  if (user === undefined) return [PROFILES.indexOf(profile), principal]
  if (principal !== userPrincipal(user.issuerSlug, user.sub)) throw new Error('a user is one principal')
  return [PROFILES.indexOf(profile), user.issuerSlug, user.sub]
}

function subjectOf(value: unknown): Subject {
  const [coded, name, sub] = tupleIn(value, 'subject', 2, 3)
  const profile = PROFILES[wholeIn(coded, 'profile')]
  if (profile === undefined) throw malformed('profile', 'is unknown')
  const first = textIn(name, 'subject')
  if (sub === undefined) return { principal: first as PrincipalId, profile, user: undefined }
  const user = { issuerSlug: first, sub: textIn(sub, 'sub') }
  return { principal: userPrincipal(user.issuerSlug, user.sub), profile, user }
}

function evidenceTuple(evidence: OpeningEvidence, at: number): readonly unknown[] {
  const { digest, issuer, signedInAt, expiresAt, authTime, acr, amr, risk, email } = evidence
  const known = authTime === undefined ? null : authTime - at
  const level = risk === undefined ? null : RISK_LEVELS.indexOf(risk)
  const more = email !== undefined ? [level, email] : level === null ? [] : [level]
  const tail = [acr ?? null, amr ?? null, ...more]
  return [digest, issuer, signedInAt - at, expiresAt - at, known, ...tail]
}

function evidenceOf(value: unknown, at: number): OpeningEvidence {
  const [digest, issuer, signedIn, expires, known, acr, amr, coded, email] = tupleIn(value, 'evidence', 7, 9)
  const isSaid = coded !== undefined && (coded !== null || email === undefined)
  const risk = isSaid ? RISK_LEVELS[wholeIn(coded, 'risk')] : undefined
  if (isSaid && risk === undefined) throw malformed('risk', 'is unknown')
  return {
    digest: textIn(digest, 'digest'),
    issuer: textIn(issuer, 'issuer'),
    signedInAt: at + wholeIn(signedIn, 'signedInAt'),
    expiresAt: at + wholeIn(expires, 'expiresAt'),
    authTime: optional(known, (value) => at + wholeIn(value, 'authTime')),
    acr: optional(acr, (value) => textIn(value, 'acr')),
    amr: optional(amr, (value) => textsIn(value, 'amr')),
    risk,
    ...(email === undefined ? {} : { email: textIn(email, 'email') }),
  }
}

/** The resources, then, where it differs, by how much it ends after what holds it. */
function authorityTuple(authority: Authority, end: number): readonly unknown[] {
  const { resources, maxDepth, notAfter } = authority
  return [encodeResources(resources), maxDepth, ...(notAfter === end ? [] : [notAfter - end])]
}

function authorityOf(value: unknown, end: number): Authority {
  const [resources, depth, later] = tupleIn(value, 'authority', 2, 3)
  const maxDepth = wholeIn(depth, 'maxDepth')
  const notAfter = end + (later === undefined ? 0 : wholeIn(later, 'authority.notAfter'))
  if (maxDepth < 0 || notAfter < 0) throw malformed('authority', 'must not be negative')
  return { resources: decodeResources(resources), maxDepth, notAfter }
}

/** Newest first; 0 for the issuer of the one before, and for what the holder's own entry says anyway. */
function chainTuples(act: Actor, holder: ClientId): readonly unknown[] {
  let issuer: string | undefined
  return actors(act).map(({ iss, sub, sub_profile }, place) => {
    const named = [iss === issuer ? 0 : iss, place === 0 && sub === agentPrincipal(holder) ? 0 : sub]
    issuer = iss
    return sub_profile === AGENT_PROFILE ? named : [...named, sub_profile ?? null]
  })
}

function chainOf(value: unknown, holder: ClientId): Actor {
  let issuer: unknown
  const levels = tupleIn(value, 'chain', 1, Number.POSITIVE_INFINITY).map((entry, place) => {
    const [iss, sub, profile] = tupleIn(entry, 'actor', 2, 3)
    if (iss !== 0) issuer = iss
    const named = { iss: issuer, sub: place === 0 && sub === 0 ? agentPrincipal(holder) : sub }
    return profile === null ? named : { ...named, sub_profile: profile === undefined ? AGENT_PROFILE : profile }
  })
  const nested = levels.reduceRight<object | undefined>((act, level) => ({ ...level, ...(act && { act }) }), undefined)
  // The one reader of chains, with its own bounds and members.
  return asFault('chain', () => parseActorChain(nested))
}

function originTuple({ type, ref, assertedBy }: Origin, holder: ClientId): readonly unknown[] {
  const by = assertedBy === agentPrincipal(holder) ? [] : [assertedBy]
  return [ORIGIN_TYPES.indexOf(type), ref ?? null, ...by]
}

function originOf(value: unknown, holder: ClientId): Origin {
  const [coded, told, by] = tupleIn(value, 'origin', 2, 3)
  const type = ORIGIN_TYPES[wholeIn(coded, 'origin')]
  if (type === undefined) throw malformed('origin', 'is unknown')
  const ref = optional(told, (value) => textIn(value, 'ref'))
  const assertedBy = by === undefined ? agentPrincipal(holder) : textIn(by, 'assertedBy')
  return { type, ...(ref === undefined ? {} : { ref }), assertedBy }
}

function constraintTuple(constraint: NodeFacts['senderConstraint']): unknown {
  if (constraint === undefined) return 0
  return constraint.kind === 'own_key' ? OWN_KEY : [constraint.kind, constraint.thumbprint]
}

function constraintOf(value: unknown): NodeFacts['senderConstraint'] {
  if (value === 0) return undefined
  if (value === OWN_KEY) return { kind: 'own_key' }
  const [kind, thumbprint] = tupleIn(value, 'constraint', 2)
  return asFault('constraint', () => parseCnf({ [textIn(kind, 'constraint')]: thumbprint }))
}
