/**
 * A session as one flat record of text fields:
 *
 *   state            active | contracted | halted | closed | revoked | expired
 *   notAfter         epoch seconds, decimal
 *   facts            SessionFacts
 *   signedInAt       epoch seconds of the sign-in behind the opening evidence; absent for autonomous work
 *   nodes            nodes and delegations written so far, decimal
 *   n:<node>         NodeFacts of a node that holds authority
 *   d:<jti>          NodeFacts of a delegation that may still be accepted; accepting writes n:<jti>
 *   x:<node or jti>  revoked, with everything below it
 *   revocations      single tokens marked x: so far, decimal
 *   l:<node>         access tokens issued from the node, decimal: its leaves are counted, not stored
 */
import type { Actor } from '../authority/actor-chain.ts'
import { decodeAuthority, encodeAuthority } from '../authority/encode-authority.ts'
import type { NodeFacts, SessionFacts, SessionState } from '../model/session.ts'
import { parseSessionState } from '../model/session.ts'

export const FIELD = {
  state: 'state',
  notAfter: 'notAfter',
  facts: 'facts',
  signedInAt: 'signedInAt',
  revocations: 'revocations',
  nodes: 'nodes',
  node: (id: string) => `n:${id}`,
  delegation: (id: string) => `d:${id}`,
  revoked: (id: string) => `x:${id}`,
  leaves: (id: string) => `l:${id}`,
} as const

export function encodeFacts(facts: SessionFacts): string {
  return JSON.stringify({ ...facts, ceiling: encodeAuthority(facts.ceiling) })
}

export function encodeNode(node: NodeFacts): string {
  return JSON.stringify({ ...node, authority: encodeAuthority(node.authority) })
}

/** The store holds only what this file wrote: anything else is a fault, thrown, never repaired. */
export function decodeFacts(text: string): SessionFacts {
  const raw = JSON.parse(text) as SessionFacts & { ceiling: unknown }
  return { ...raw, ceiling: decodeAuthority(raw.ceiling) }
}

export function decodeNode(text: string): NodeFacts {
  const raw = JSON.parse(text) as NodeFacts & { authority: unknown }
  return { ...raw, authority: decodeAuthority(raw.authority) }
}

/** A node with what has become of it. */
export interface NodeView {
  readonly facts: NodeFacts
  readonly accepted: boolean
  readonly revoked: boolean
  readonly leaves: number
}

export interface SessionView {
  readonly facts: SessionFacts
  /** The recorded state, or `expired` once its time is up. */
  readonly state: SessionState
  readonly nodes: readonly NodeView[]
}

/** The whole record for a person or a revoke report. A node below a revoked one is shown revoked. */
export function viewSession(fields: ReadonlyMap<string, string>, now: number): SessionView | undefined {
  const facts = fields.get(FIELD.facts)
  const state = parseSessionState(fields.get(FIELD.state))
  if (facts === undefined || state === undefined) return undefined
  const decoded = decodeFacts(facts)
  const nodes = new Map<string, NodeView>()
  const read = (id: string, text: string, accepted: boolean) => {
    const facts = decodeNode(text)
    // Ids that are their fields' names occur once each: what hangs below them is a tree, never a ring.
    if (facts.id !== id) throw new Error('stored node is malformed: it is kept under another name')
    nodes.set(id, {
      facts,
      accepted,
      revoked: fields.has(FIELD.revoked(id)),
      leaves: Number(fields.get(FIELD.leaves(id)) ?? '0'),
    })
  }
  for (const [name, value] of fields) if (name.startsWith('d:')) read(name.slice(2), value, false)
  for (const [name, value] of fields) if (name.startsWith('n:')) read(name.slice(2), value, true)
  const ended = now >= decoded.notAfter && (state === 'active' || state === 'contracted' || state === 'halted')
  return { facts: decoded, state: ended ? 'expired' : state, nodes: inTreeOrder(nodes) }
}

function inTreeOrder(nodes: ReadonlyMap<string, NodeView>): readonly NodeView[] {
  const ordered: NodeView[] = []
  const visit = (parent: string | undefined, dead: boolean) => {
    for (const node of nodes.values()) {
      if (node.facts.parent !== parent) continue
      const revoked = dead || node.revoked
      ordered.push(revoked === node.revoked ? node : { ...node, revoked })
      visit(node.facts.id, revoked)
    }
  }
  visit(undefined, false)
  return ordered
}

/** Ids of a node and everything below it. */
export function subtree(view: SessionView, root: string): readonly NodeView[] {
  const inside = new Set<string>([root])
  return view.nodes.filter((node) => {
    const below = node.facts.parent !== undefined && inside.has(node.facts.parent)
    if (below) inside.add(node.facts.id)
    return below || node.facts.id === root
  })
}

/** The chain's `sub`s, newest first, for records and listings. */
export function chainSubjects(act: Actor | undefined): readonly string[] {
  const subjects: string[] = []
  for (let actor = act; actor !== undefined; actor = actor.act) subjects.push(actor.sub)
  return subjects
}
