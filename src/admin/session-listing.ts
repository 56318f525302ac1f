/**
 * Sessions for people: lists, and one session drawn as its tree. A root agent or user sees the whole of it, a participant
 * its own subtree; to everybody else it does not exist.
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import type { Auditor } from '../audit/auditor.ts'
import { encodeAuthority } from '../authority/encode-authority.ts'
import type { Clock } from '../kernel/clock.ts'
import type { SessionId } from '../kernel/ids.ts'
import { NAME_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { LIST_ENTRIES_MAX } from '../kernel/store-limits.ts'
import type { AuditEvent } from '../model/audit-record.ts'
import type { Caller } from '../model/caller.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { BRAKED_INDEX } from '../sessions/drift-watch.ts'
import { chainSubjects, type NodeView, type SessionView, subtree } from '../sessions/session-record.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import type { Store } from '../store/ports.ts'

export interface ListingParts {
  readonly store: Store
  readonly sessions: SessionRepository
  readonly auditor: Auditor
  readonly clock: Clock
}

export interface SessionSummary {
  readonly session: string
  readonly state: string
  readonly agent: string
  readonly on_behalf_of: string
  readonly purpose: string
  /** What set it off. */
  readonly origin: string
  /** Asks outside its intent since a reviewer last looked. */
  readonly drift: number
  readonly opened_at: number
  readonly not_after: number
  readonly nodes: number
  readonly tokens: number
  /** Calls of tools that were permitted to a server in live mode. */
  readonly calls: number
}

export interface NodeDetail {
  readonly node: string
  readonly parent: string | undefined
  readonly agent: string
  readonly state: 'live' | 'pending' | 'revoked'
  readonly chain: readonly string[]
  readonly purpose: string
  readonly origin: string
  readonly tokens: number
  readonly calls: number
  readonly not_after: number
  readonly authority: unknown
}

export interface SessionDetail extends SessionSummary {
  readonly tree: readonly NodeDetail[]
}

export interface ReadRequest {
  readonly caller: () => Promise<Caller>
  readonly facts: RequestFacts
}

/**
 * The newest of the caller's sessions; for an operator of all, or of those that `principal` (`agent:…`, `user:…`) takes
 * part in. @throws RefusedRequest
 */
export function listSessions(
  request: ReadRequest,
  parts: ListingParts,
  principal?: string,
): Promise<readonly SessionSummary[]> {
  return readAs(request, parts, 'session.read', async (caller) => {
    const nowMs = parts.clock.nowMs()
    if (principal !== undefined && principal.length > NAME_CHARS_MAX) {
      throw new Rejection('parameter_malformed', 'no agent and no user has so long a name')
    }
    const index = `sessions:${caller.kind === 'operator' ? (principal ?? 'all') : caller.principal}`
    const ids = await parts.store.indexes.list(index, nowMs, LIST_ENTRIES_MAX)
    const views = await Promise.all(ids.map((id) => parts.sessions.view(id as SessionId, Math.floor(nowMs / 1000))))
    return views.flatMap((view) => {
      const seen = view === undefined ? undefined : visibleTo(caller, view)
      return seen === undefined ? [] : [summary(seen)]
    })
  })
}

/** Those that were contracted or halted and still are, for whoever reviews them. @throws RefusedRequest */
export function listBraked(
  request: ReadRequest,
  state: string,
  parts: ListingParts,
): Promise<readonly SessionSummary[]> {
  return readAs(request, parts, 'session.read', async () => {
    if (state !== 'contracted' && state !== 'halted') {
      throw new Rejection('parameter_malformed', 'state must be contracted or halted')
    }
    const nowMs = parts.clock.nowMs()
    const ids = await parts.store.indexes.list(BRAKED_INDEX, nowMs, LIST_ENTRIES_MAX)
    const views = await Promise.all(ids.map((id) => parts.sessions.view(id as SessionId, Math.floor(nowMs / 1000))))
    return views.flatMap((view) => (view?.state === state ? [summary(view)] : []))
  })
}

/** @throws RefusedRequest */
export function inspectSession(request: ReadRequest, id: string, parts: ListingParts): Promise<SessionDetail> {
  return readAs(request, parts, 'session.read', async (caller) => {
    const view = await parts.sessions.view(id as SessionId, Math.floor(parts.clock.nowMs() / 1000))
    const seen = view === undefined ? undefined : visibleTo(caller, view)
    if (seen === undefined) throw new Rejection('not_found', 'no such session')
    return { ...summary(seen), tree: seen.nodes.map(nodeDetail) }
  })
}

/** Reads for a known caller, and records that they did. @throws RefusedRequest */
export async function readAs<T>(
  request: ReadRequest,
  parts: ListingParts,
  event: AuditEvent,
  work: (caller: Caller, draft: AuditDraft) => Promise<T>,
): Promise<T> {
  const draft = parts.auditor.begin(request.facts)
  try {
    const caller = await request.caller()
    draft.authenticatedAs(caller.principal)
    draft.add({ event })
    const result = await work(caller, draft)
    await parts.auditor.log.append(draft.id, draft.granted(event), draft.contents)
    return result
  } catch (error) {
    throw await parts.auditor.refuse(draft, error, request.facts.source)
  }
}

/** What of a session a caller may see; `undefined`: nothing. */
function visibleTo(caller: Caller, view: SessionView): SessionView | undefined {
  if (caller.kind === 'operator') return view
  if (caller.kind === 'user') return view.facts.subject.principal === caller.principal ? view : undefined
  const { clientId } = caller.client
  if (view.facts.rootAgent === clientId) return view
  const own = view.nodes.filter((node) => node.facts.holder === clientId)
  const ids = new Set(own.flatMap((node) => subtree(view, node.facts.id)).map((node) => node.facts.id))
  return ids.size === 0 ? undefined : { ...view, nodes: view.nodes.filter((node) => ids.has(node.facts.id)) }
}

function summary(view: SessionView): SessionSummary {
  const { facts, nodes } = view
  return {
    session: facts.id,
    state: view.state,
    agent: facts.rootAgent,
    on_behalf_of: facts.subject.principal,
    purpose: nodes[0]?.facts.purpose ?? '',
    origin: nodes[0]?.facts.origin.type ?? 'unknown',
    drift: view.drift,
    opened_at: facts.openedAt,
    not_after: facts.notAfter,
    nodes: nodes.length,
    tokens: nodes.reduce((sum, node) => sum + node.leaves, 0),
    calls: nodes.reduce((sum, node) => sum + node.calls, 0),
  }
}

function nodeDetail(node: NodeView): NodeDetail {
  return {
    node: node.facts.id,
    parent: node.facts.parent,
    agent: node.facts.holder,
    state: node.revoked ? 'revoked' : node.accepted ? 'live' : 'pending',
    chain: chainSubjects(node.facts.act),
    purpose: node.facts.purpose,
    origin: node.facts.origin.type,
    tokens: node.leaves,
    calls: node.calls,
    not_after: node.facts.notAfter,
    authority: encodeAuthority(node.facts.authority),
  }
}
