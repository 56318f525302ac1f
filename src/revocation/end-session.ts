/**
 * Ending sessions by name (`DELETE /sessions/{sid}`, `…/nodes/{node}` and `…/agents/{agent}`). The root agent closes its session; a participant
 * kills its own subtree; a user revokes what runs on their behalf; an operator revokes anything. To everybody else the
 * session does not exist: one 404 for "not yours" and "not there".
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import type { SessionId } from '../kernel/ids.ts'
import { NAME_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Caller } from '../model/caller.ts'
import { describeWork } from '../sessions/describe-work.ts'
import type { NodeView, SessionView } from '../sessions/session-record.ts'
import { type Answered, type CallerRequest, callAsCaller } from './caller-request.ts'
import type { RevocationParts } from './client-call.ts'
import { killNode, killNodes, killSession } from './kill.ts'
import { type KillReport, type ToldReport, told } from './kill-report.ts'
import { revokeHolder, revokeHops, revokeSession } from './revoke-for-good.ts'
import { hopsOfSubAgent } from './sub-agents.ts'

export function endSession(request: CallerRequest, id: string, parts: RevocationParts): Promise<Answered<ToldReport>> {
  return callAsCaller(request, parts, {
    event: 'session.revoke',
    mayDefer: true,
    work: async (caller, draft) => {
      draft.add({ session: id })
      const view = await parts.sessions.view(id as SessionId, Math.floor(parts.clock.nowMs() / 1000))
      if (view === undefined || !mayEnd(caller, view)) throw absent()
      draft.add(describeWork(view))
      return told(await end(caller, view, draft, parts), parts, caller.kind)
    },
  })
}

export function endNode(
  request: CallerRequest,
  target: { readonly session: string; readonly node: string },
  parts: RevocationParts,
): Promise<Answered<ToldReport>> {
  return callAsCaller(request, parts, {
    event: 'session.revoke',
    mayDefer: true,
    work: async (caller, draft) => {
      draft.add(target)
      const view = await parts.sessions.view(target.session as SessionId, Math.floor(parts.clock.nowMs() / 1000))
      const node = view?.nodes.find(({ facts }) => facts.id === target.node)
      if (view === undefined || node === undefined || !mayEndNode(caller, view, node)) throw absent()
      draft.add(describeWork(view))
      // The root node is the session: ended by this name, it must not come back by the same evidence either.
      if (node.facts.parent === undefined) return told(await end(caller, view, draft, parts), parts, caller.kind)
      if (caller.kind === 'client') return told(await killNode(view, target.node, parts), parts, caller.kind)
      return told(await revokeHolder(view, target.node, node.facts.holder, parts), parts, caller.kind)
    },
  })
}

/**
 * What one sub-agent holds below the caller: of a client, below its own hops; of a user, anywhere in their session, and with no
 * way round for that agent.
 */
export function endSubAgent(
  request: CallerRequest,
  target: { readonly session: string; readonly agent: string },
  parts: RevocationParts,
): Promise<Answered<ToldReport>> {
  return callAsCaller(request, parts, {
    event: 'session.revoke',
    mayDefer: true,
    work: async (caller, draft) => {
      draft.add({ session: target.session, detail: `sub-agent ${target.agent.slice(0, NAME_CHARS_MAX)}` })
      const view = await parts.sessions.view(target.session as SessionId, Math.floor(parts.clock.nowMs() / 1000))
      const hops = view === undefined ? [] : hopsOfSubAgent(view, target.agent, (node) => isTop(caller, view, node))
      if (view === undefined || hops.length === 0) throw absent()
      draft.add(describeWork(view))
      const isOwners = caller.kind !== 'client'
      return told(
        isOwners ? await revokeHops(view, hops, target.agent, parts) : await killNodes(view, hops, parts),
        parts,
        caller.kind,
      )
    },
  })
}

/** Whose sub-agents are the caller's to end. */
function isTop(caller: Caller, view: SessionView, node: NodeView): boolean {
  if (caller.kind === 'client') return node.facts.holder === caller.client.clientId
  return node.facts.parent === undefined && mayEnd(caller, view)
}

/** A client closes what it opened and may open again; anybody else's revoke leaves no way round. */
function end(caller: Caller, view: SessionView, draft: AuditDraft, parts: RevocationParts): Promise<KillReport> {
  draft.add({ event: caller.kind === 'client' ? 'session.close' : 'session.revoke' })
  if (caller.kind === 'client') return killSession(view, 'closed', parts)
  return revokeSession(view, parts)
}

function absent(): Rejection {
  return new Rejection('not_found', 'no such session, or nothing of that name in it that is this caller’s to end')
}

function mayEnd(caller: Caller, view: SessionView): boolean {
  if (caller.kind === 'operator') return true
  if (caller.kind === 'user') return view.facts.subject.principal === caller.principal
  return view.facts.rootAgent === caller.client.clientId
}

/** A client may end a node it holds, or one below a node it holds. */
function mayEndNode(caller: Caller, view: SessionView, node: NodeView): boolean {
  if (caller.kind === 'operator') return true
  if (caller.kind === 'user') return view.facts.subject.principal === caller.principal
  for (let at: NodeView | undefined = node; at !== undefined; at = parentOf(view, at)) {
    if (at.facts.holder === caller.client.clientId) return true
  }
  return false
}

function parentOf(view: SessionView, node: NodeView): NodeView | undefined {
  return view.nodes.find((candidate) => candidate.facts.id === node.facts.parent)
}
