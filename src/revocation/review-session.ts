/**
 * A reviewer's word on a session that has drifted (DESIGN §7): it goes on, goes on with reading alone, or ends for good.
 *
 * Guarantees: nobody lets go on what they answer for themselves; what was halted for this session and nothing else is lifted, and
 * last, so that a broker that dies in between leaves what issues nothing; a reason is given, and on record before anything changes.
 */
import { z } from 'zod'
import type { AuditDraft } from '../audit/audit-draft.ts'
import { pairKey } from '../authority/dimensions.ts'
import { newJti, type SessionId } from '../kernel/ids.ts'
import { REVIEW_REASON_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { LIST_ENTRIES_MAX } from '../kernel/store-limits.ts'
import type { Caller } from '../model/caller.ts'
import { answersFor } from '../model/owner.ts'
import { TERMINAL_STATES } from '../model/session.ts'
import { describeWork } from '../sessions/describe-work.ts'
import { brakeSession, resumeSession } from '../sessions/drift-commits.ts'
import { accessCutoff, BRAKED_INDEX } from '../sessions/drift-watch.ts'
import type { SessionView } from '../sessions/session-record.ts'
import type { ControlWrite } from '../store/ports.ts'
import { type Answered, type CallerRequest, callAsCaller } from './caller-request.ts'
import type { RevocationParts } from './client-call.ts'
import { type ToldReport, told } from './kill-report.ts'
import { revokeSession } from './revoke-for-good.ts'

/** Read by people, beside the record: no control or direction-changing characters. */
const prose = z
  .string()
  .trim()
  .min(1)
  .max(REVIEW_REASON_CHARS_MAX)
  .refine((text) => text.isWellFormed() && !/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(text), {
    message: 'must not contain control or direction-changing characters',
  })

export const reviewOrder = z.strictObject({ action: z.enum(['resume', 'contract', 'revoke']), reason: prose })
export type ReviewOrder = z.infer<typeof reviewOrder>

export interface Reviewed {
  readonly session: string
  /** As it is now. */
  readonly state: string
  /** How many blocks of a halt were lifted. */
  readonly lifted: number
  /** Sessions that wait for a review of their own: what they hold blocked stays blocked. Absent: none. */
  readonly still_halted_by?: readonly string[]
  /** Of `revoke`: what died. */
  readonly revoked?: ToldReport
}

/** @throws RefusedRequest */
export function reviewSession(
  request: CallerRequest,
  id: string,
  read: () => ReviewOrder,
  parts: RevocationParts,
): Promise<Answered<Reviewed>> {
  return callAsCaller(request, parts, {
    event: 'session.review',
    mayDefer: false,
    work: async (caller, draft) => {
      draft.add({ session: id })
      const order = read()
      const view = await parts.sessions.view(id as SessionId, Math.floor(parts.clock.nowMs() / 1000))
      if (view === undefined) throw new Rejection('not_found', 'no such session')
      describe(draft, order, view)
      if (order.action !== 'revoke') assertMayLoosen(caller, view, parts)
      // What is not on record is not done.
      await parts.auditor.log.intend(draft.id, draft.intended())
      return order.action === 'revoke' ? await revoked(view, parts) : await resumed(view, order.action, parts)
    },
  })
}

function describe(draft: AuditDraft, { action, reason }: ReviewOrder, view: SessionView): void {
  const detail = `${action}, was ${view.state} with ${view.drift} asks outside its intent: ${reason}`
  draft.add({ ...describeWork(view), detail })
}

/** Whoever answers for an agent of the session does not say that it may go on. @throws Rejection `review_same_person`, `cutoffs_stale` */
function assertMayLoosen({ principal }: Caller, { facts, nodes }: SessionView, parts: RevocationParts): void {
  parts.cutoffs.assertFresh()
  const registry = parts.registries.current
  const holders = nodes.map((node) => registry.client(node.facts.holder))
  const owners = holders.flatMap((client) => (client?.kind === 'agent' ? [client.owner] : []))
  if (![facts.accountableOwner, ...owners].some((owner) => answersFor(registry, owner, principal))) return
  throw new Rejection('review_same_person', 'another reviewer has to let go on an agent that you answer for yourself')
}

/** @throws Rejection `transition_illegal` */
async function resumed(view: SessionView, action: 'resume' | 'contract', parts: RevocationParts): Promise<Reviewed> {
  const { facts, state } = view
  const to = action === 'resume' ? 'active' : 'contracted'
  const { lifts, pairs, others } = await heldBy(view, parts)
  const isEnded = TERMINAL_STATES.includes(state)
  if ((isEnded || state === to) && lifts.length === 0) {
    throw new Rejection('transition_illegal', `the session is ${state}, and nothing is halted for it`)
  }
  if (state === 'active' && to === 'contracted') await contractNow(view, parts)
  else if (!isEnded && state !== to) await parts.sessions.commit(resumeSession(facts, to), newJti(), undefined)
  await lift(pairs, lifts, parts)
  return { session: facts.id, state: isEnded ? state : to, lifted: lifts.length, ...stillHalted(others) }
}

/** A reviewer may do before the counting does. */
async function contractNow({ facts }: SessionView, parts: RevocationParts): Promise<void> {
  const access = [accessCutoff(facts)]
  await parts.cutoffs.write(parts.store.control, access)
  await parts.sessions.commit(brakeSession(facts, 'contracted'), newJti(), undefined)
  // Once more: of what was issued between the two, by a record that still said active.
  await parts.cutoffs.write(parts.store.control, access)
  // A list for people: it is found by its id without it.
  parts.store.indexes.add(BRAKED_INDEX, facts.id, facts.notAfter * 1000).catch(() => undefined)
}

/** Ended for good, it is halted no more: a later sign-in, or for autonomous work an operator's word, begins anew. */
async function revoked(view: SessionView, parts: RevocationParts): Promise<Reviewed> {
  const { lifts, pairs, others } = await heldBy(view, parts)
  const report = await revokeSession(view, parts)
  await lift(pairs, lifts, parts)
  const revoked = told(report, parts, 'operator')
  return { session: view.facts.id, state: 'revoked', lifted: lifts.length, ...stillHalted(others), revoked }
}

type LiftWrite = Extract<ControlWrite, { readonly entry: 'lift' }>

interface Held {
  readonly lifts: readonly LiftWrite[]
  /** The session's agents, each for its subject, but for those that another halted session holds. */
  readonly pairs: readonly string[]
  /** Those sessions. */
  readonly others: readonly SessionId[]
}

/** The blocks that stand halted for this session and no other: of its agents for its subject, and of what it was opened with. */
async function heldBy(view: SessionView, parts: RevocationParts): Promise<Held> {
  const { cutoffs, clock } = parts
  const halted = idsOf(view).filter((id) => cutoffs.set.blocked('halt', id, clock.nowMs()) !== undefined)
  const isHeld = (other: SessionView) => idsOf(other).some((id) => halted.includes(id))
  const others = halted.length === 0 ? [] : (await othersHalted(view, parts)).filter(isHeld)
  const theirs = new Set(others.flatMap(idsOf))
  return {
    lifts: halted.filter((id) => !theirs.has(id)).map((id) => ({ entry: 'lift', kind: 'halt', id })),
    pairs: pairsOf(view).filter((id) => !theirs.has(id)),
    others: others.map(({ facts }) => facts.id),
  }
}

/** Sessions of the same subject that nobody has let go on yet: what holds them must not end with this one. */
async function othersHalted({ facts }: SessionView, parts: RevocationParts): Promise<readonly SessionView[]> {
  const { store, sessions, clock } = parts
  const nowMs = clock.nowMs()
  const ids = await store.indexes.list(`sessions:${facts.subject.principal}`, nowMs, LIST_ENTRIES_MAX)
  const read = ids.filter((id) => id !== facts.id).map((id) => sessions.view(id as SessionId, Math.floor(nowMs / 1000)))
  return (await Promise.all(read)).flatMap((view) => (view?.state === 'halted' ? [view] : []))
}

function stillHalted(others: readonly SessionId[]): Pick<Reviewed, 'still_halted_by'> {
  return others.length === 0 ? {} : { still_halted_by: others }
}

function idsOf(view: SessionView): readonly string[] {
  const { evidence } = view.facts
  return [...pairsOf(view), ...(evidence === undefined ? [] : [evidence.digest])]
}

function pairsOf({ facts, nodes }: SessionView): readonly string[] {
  const agents = new Set([facts.rootAgent, ...nodes.map((node) => node.facts.holder)])
  return [...agents].map((agent) => pairKey(facts.subject.principal, agent))
}

/** Also of pairs that are not halted: from a lift on, what they asked for outside is counted anew. */
async function lift(pairs: readonly string[], lifts: readonly LiftWrite[], parts: RevocationParts): Promise<void> {
  const counted = pairs.map((id): LiftWrite => ({ entry: 'lift', kind: 'halt', id }))
  const all = new Map([...counted, ...lifts].map((one) => [one.id, one]))
  if (all.size > 0) await parts.cutoffs.write(parts.store.control, [...all.values()])
}
