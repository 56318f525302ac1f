/**
 * A session as one flat record of text fields:
 *
 *   state            active | contracted | halted | closed | revoked | expired
 *   notAfter         epoch seconds, decimal
 *   facts            SessionFacts, without what its first node says (`record-text.ts`)
 *   signedInAt       epoch seconds of the sign-in behind the opening evidence; absent for autonomous work
 *   nodes            nodes and delegations written so far, decimal
 *   n:<node>         NodeFacts of a node that holds authority
 *   d:<jti>          NodeFacts of a delegation that may still be accepted; accepting writes n:<jti>
 *   x:<node or jti>  revoked, with everything below it
 *   revocations      single tokens marked x: so far, decimal
 *   drift            asks outside the intent since a reviewer last looked, decimal
 *   y:<place>        decision id of one of the last of them
 *   l:<node>         access tokens issued from the node, decimal: its leaves are counted, not stored
 *   c:<node>         calls of tools that were permitted to the node's own tokens, decimal
 *   k:<node>:<tool>  calls of one tool at or below a node whose authority limits them, decimal; the tool as a digest
 */
import type { Actor } from '../authority/actor-chain.ts'
import type { NodeId, SessionId } from '../kernel/ids.ts'
import type { NodeFacts, SessionFacts, SessionState } from '../model/session.ts'
import { parseSessionState } from '../model/session.ts'
import { decodeNode, decodeOpened, ROOT_BEGINS } from './record-text.ts'

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
  calls: (id: string) => `c:${id}`,
  counted: (id: string, tool: string) => `k:${id}:${tool}`,
  drift: 'drift',
  drifted: (place: number) => `y:${place}`,
} as const

/** A node with what has become of it. */
export interface NodeView {
  readonly facts: NodeFacts
  readonly accepted: boolean
  readonly revoked: boolean
  readonly leaves: number
  readonly calls: number
}

export interface SessionView {
  readonly facts: SessionFacts
  /** The recorded state, or `expired` once its time is up. */
  readonly state: SessionState
  readonly nodes: readonly NodeView[]
  readonly drift: number
}

/** The whole record for a person or a revoke report. A node below a revoked one is shown revoked. */
export function viewSession(
  session: SessionId,
  fields: ReadonlyMap<string, string>,
  now: number,
): SessionView | undefined {
  const text = fields.get(FIELD.facts)
  const state = parseSessionState(fields.get(FIELD.state))
  if (text === undefined || state === undefined) return undefined
  const first = rootIn(fields)
  if (first === undefined) throw new Error('stored session is malformed: it has no first node')
  const { facts, root } = decodeOpened({ session, root: first.id }, { facts: text, root: first.text })
  const nodes = new Map<string, NodeView>()
  const add = (node: NodeFacts, accepted: boolean) =>
    nodes.set(node.id, {
      facts: node,
      accepted,
      revoked: fields.has(FIELD.revoked(node.id)),
      leaves: Number(fields.get(FIELD.leaves(node.id)) ?? '0'),
      calls: Number(fields.get(FIELD.calls(node.id)) ?? '0'),
    })
  for (const [name, value] of fields) {
    if (name.startsWith('d:')) add(decodeNode(value, name.slice(2) as NodeId, facts.intentSalt), false)
  }
  for (const [name, value] of fields) {
    if (!name.startsWith('n:')) continue
    const id = name.slice(2) as NodeId
    add(id === root.id ? root : decodeNode(value, id, facts.intentSalt), true)
  }
  const ordered = inTreeOrder(root, nodes)
  if (ordered.length < nodes.size) throw new Error('stored session is malformed: it is not one tree')
  const ended = now >= facts.notAfter && (state === 'active' || state === 'contracted' || state === 'halted')
  const drift = Number(fields.get(FIELD.drift) ?? '0')
  return { facts, state: ended ? 'expired' : state, nodes: ordered, drift }
}

/** The node that a session was opened with: the one that has none above it. */
function rootIn(fields: ReadonlyMap<string, string>): { readonly id: NodeId; readonly text: string } | undefined {
  for (const [name, text] of fields) {
    if (name.startsWith('n:') && text.startsWith(ROOT_BEGINS)) return { id: name.slice(2) as NodeId, text }
  }
  return undefined
}

function inTreeOrder(root: NodeFacts, nodes: ReadonlyMap<string, NodeView>): readonly NodeView[] {
  const ordered: NodeView[] = []
  const visit = (node: NodeView, above: boolean) => {
    const revoked = above || node.revoked
    ordered.push(revoked === node.revoked ? node : { ...node, revoked })
    for (const below of nodes.values()) if (below.facts.parent === node.facts.id) visit(below, revoked)
  }
  const first = nodes.get(root.id)
  if (first !== undefined) visit(first, false)
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
