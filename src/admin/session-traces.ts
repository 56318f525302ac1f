/**
 * What an agent says that it was thinking (R168): beside a record of its own, joined to its session and to that piece of work.
 * It proves nothing about what the agent does; whoever investigates reads it next to what the agent did.
 */
import { z } from 'zod'
import type { Capture } from '../audit/captured/capture.ts'
import { TRACES_PER_MINUTE_MAX } from '../kernel/capture-limits.ts'
import type { SessionId } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { AuditRecord } from '../model/audit-record.ts'
import type { Caller } from '../model/caller.ts'
import type { CaptureMode } from '../model/captured.ts'
import type { NodeView, SessionView } from '../sessions/session-record.ts'
import { type ListingParts, type ReadRequest, readAs } from './session-listing.ts'

/** `POST /sessions/:session/traces`. */
export const traceOrder = z.strictObject({ text: z.string().min(1) })
type TraceOrder = z.output<typeof traceOrder>

export interface TraceParts extends ListingParts {
  readonly capture: Pick<Capture, 'modeOf' | 'onto'>
}

export interface TraceAnswer {
  /** Id of the record that it is beside. */
  readonly decision_id: string
  /** `off`: nothing of it is kept. */
  readonly captured: CaptureMode
}

const MINUTE_MS = 60_000

/** By an agent that holds a part of the session, also when that has ended, for as long as it is known. @throws RefusedRequest */
export function captureTrace(
  request: ReadRequest,
  id: string,
  read: () => Promise<TraceOrder>,
  parts: TraceParts,
): Promise<TraceAnswer> {
  return readAs(request, parts, 'session.trace', async (caller, draft) => {
    const { text } = await read()
    const view = await parts.sessions.view(id as SessionId, Math.floor(parts.clock.nowMs() / 1000))
    const node = view && nodeOf(caller, view)
    if (view === undefined || node === undefined) throw new Rejection('not_found', 'you hold no such session')
    draft.add(attributed(view, node))
    await takePlace(view.facts.id, node, draft.id, parts)
    await parts.capture.onto(draft, { kind: 'trace', text, session: view.facts.id })
    return { decision_id: draft.id, captured: parts.capture.modeOf('trace') }
  })
}

/** The newest that it has taken on; what it was only offered is not its work. */
function nodeOf(caller: Caller, { nodes }: SessionView): NodeView | undefined {
  if (caller.kind !== 'client') return undefined
  const { clientId } = caller.client
  return nodes.findLast(({ facts, accepted }) => accepted && facts.holder === clientId)
}

function attributed({ facts }: SessionView, { facts: node }: NodeView): Partial<AuditRecord> {
  return {
    txn: facts.txn,
    on_behalf_of: facts.subject.principal,
    agent: { id: node.holder, version: node.agentVersion },
    session: facts.id,
    node: node.id,
    intent: node.intentHash,
    origin: node.origin.type,
  }
}

/** Thoughts are cheap, and records are not. @throws Rejection `client_limited` */
async function takePlace(session: SessionId, { facts }: NodeView, id: string, { store }: TraceParts): Promise<void> {
  const window = { name: facts.holder, limit: TRACES_PER_MINUTE_MAX }
  const full = await store.windows.take(`traces ${session}`, id, [window], MINUTE_MS)
  if (full === undefined) return
  throw new Rejection('client_limited', `more than ${TRACES_PER_MINUTE_MAX} traces of this session in a minute`, {
    retryAfterSeconds: Math.max(1, Math.ceil(full.waitMs / 1000)),
  })
}
