/**
 * An approver resolves a challenge: the grant that it needs and nothing more, until a time. Resolving it again changes nothing.
 * Where two persons are asked for, the first one's approval is a proposal, which another has to make, too.
 */
import { z } from 'zod'
import { encodeToolConstraints } from '../../authority/constraints.ts'
import { isPlainObject, type JsonObject, own } from '../../authority/strict-object.ts'
import { sha256 } from '../../kernel/digest.ts'
import { CHALLENGE_GRANT_S_DEFAULT, CHALLENGE_GRANT_S_MAX, CHALLENGE_PROPOSAL_S } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { AdminEntry } from '../../model/admin-role.ts'
import type { OperatorCaller } from '../../model/caller.ts'
import { grantsOf, sayChange } from '../../policy/policy-change.ts'
import { stillMay } from '../operator-caller.ts'
import type { PolicyRequestParts } from '../publication/policy-requests.ts'
import type { ReadRequest } from '../session-listing.ts'
import { answerTo, type GrantChange } from './challenge-grant.ts'
import { type Challenge, findChallenge } from './challenges.ts'
import { DecisionBook } from './decision-book.ts'

/** `POST /admin/v1/challenges/:challenge/resolve`. */
export const resolveOrder = z.strictObject({
  expires_in_seconds: z.int().min(60).max(CHALLENGE_GRANT_S_MAX).default(CHALLENGE_GRANT_S_DEFAULT),
  reason: z.string().trim().min(1).max(256),
})
export type ResolveOrder = z.output<typeof resolveOrder>

export interface ChallengeParts extends PolicyRequestParts {
  /** Whether another than whoever approved first has to approve, too. */
  readonly secondPerson: boolean
  readonly admins: readonly AdminEntry[]
}

export type Resolved =
  | {
      readonly state: 'resolved'
      readonly grants: readonly string[]
      readonly expires_at: string
      readonly policy: string
    }
  /** Another approver has until then. */
  | { readonly state: 'proposed'; readonly by: string; readonly until: string }

/** @throws RefusedRequest */
export async function resolveChallenge(
  request: ReadRequest & { readonly caller: () => Promise<OperatorCaller> },
  id: string,
  read: () => Promise<ResolveOrder>,
  parts: ChallengeParts,
): Promise<Resolved> {
  const { auditor } = parts
  const draft = auditor.begin()
  try {
    const { principal } = await request.caller()
    draft.authenticatedAs(principal)
    const { correlation } = request.facts
    draft.add({ event: 'challenge.resolve', ...(correlation === undefined ? {} : { correlation }) })
    const order = await read()
    const challenge = await findChallenge(new DecisionBook(parts.store.audit), id)
    // Nothing is granted that is not on record as intended.
    draft.add({ detail: JSON.stringify({ challenge: id, reason: order.reason }) })
    await auditor.log.append(draft.id, draft.intended())
    const done = await resolved(challenge, { order, by: principal }, parts)
    draft.add({ detail: JSON.stringify({ challenge: id, ...done, reason: order.reason }) })
    const audit = await auditor.log.appendOrDefer(draft.id, draft.granted())
    if (audit === 'recorded') return done
    // It is done, and its record is kept to be written; but nobody is told before it is.
    draft.leaveUnfinished()
    throw new Rejection('audit_unavailable', 'the audit log could not be written: look whether it was resolved', {
      retryAfterSeconds: 1,
    })
  } catch (error) {
    throw await auditor.refuse(draft, error, request.facts.source)
  }
}

interface Approval {
  readonly order: ResolveOrder
  readonly by: string
}

async function resolved(challenge: Challenge, approval: Approval, parts: ChallengeParts): Promise<Resolved> {
  const { registries, clock } = parts
  const current = registries.current
  if (challenge.subject === approval.by) {
    throw new Rejection('challenge_same_person', 'another approver has to grant what is for yourself')
  }
  const now = Math.floor(clock.nowMs() / 1000)
  const standing = current.grants.filter(
    ({ id, when }) => isOf(id, challenge.id) && when.notAfter !== undefined && when.notAfter > now,
  )
  const [first] = standing
  if (first?.when.notAfter !== undefined) {
    const expires_at = rfc3339(first.when.notAfter)
    return { state: 'resolved', grants: standing.map(({ id }) => id), expires_at, policy: current.version }
  }
  const { grant, whyNot, environment } = answerTo(challenge, current)
  if (grant === undefined) {
    throw new Rejection('challenge_not_approvable', 'no grant alone resolves this challenge', { missing: whyNot })
  }
  const agreed = parts.secondPerson ? await agreedOn(challenge, grant, approval, parts) : approval.order
  if ('state' in agreed) return agreed
  const notAfter = now + agreed.expires_in_seconds
  const entries = grantEntries(grant, { challenge: challenge.id, environment, notAfter, reason: agreed.reason })
  const { version } = await parts.publisher.publishEntries((given) => withGrants(given, entries, now), {
    by: approval.by,
  })
  return { state: 'resolved', grants: entries.map(({ id }) => id), expires_at: rfc3339(notAfter), policy: version }
}

interface Proposal extends ResolveOrder {
  readonly by: string
  /** Epoch seconds. */
  readonly until: number
  /** Digest of the grant: what another confirms is what the first has proposed. */
  readonly grant: string
}

/** What two have agreed on; or, of the first of them, the proposal. @throws Rejection `challenge_same_person` */
async function agreedOn(
  { id }: Challenge,
  change: GrantChange,
  { order, by }: Approval,
  parts: ChallengeParts,
): Promise<ResolveOrder | Extract<Resolved, { state: 'proposed' }>> {
  const { store, clock } = parts
  const now = Math.floor(clock.nowMs() / 1000)
  const name = `challenge:${id}`
  const grant = sha256(
    JSON.stringify(grantEntries(change, { challenge: id, environment: '', notAfter: 0, reason: '' })),
  )
  const text = await store.documents.read(name)
  const held = text === undefined || text === '' ? undefined : (JSON.parse(text) as Proposal)
  // Whoever has left since, or approves no more, is no second person.
  if (held !== undefined && held.until > now && held.grant === grant && stillMay(held.by, 'approve', parts)) {
    if (held.by === by)
      throw new Rejection('challenge_same_person', 'another approver has to confirm what you proposed')
    // Used up: what has expired later is proposed anew.
    if (!(await store.documents.replace(name, text, ''))) throw contended()
    const seconds = Math.min(held.expires_in_seconds, order.expires_in_seconds)
    return { expires_in_seconds: seconds, reason: held.reason }
  }
  const proposal: Proposal = { ...order, by, until: now + CHALLENGE_PROPOSAL_S, grant }
  if (!(await store.documents.replace(name, text, JSON.stringify(proposal)))) throw contended()
  return { state: 'proposed', by, until: rfc3339(proposal.until) }
}

function contended(): Rejection {
  return new Rejection('policy_contended', 'another approver was faster: look again', { retryAfterSeconds: 1 })
}

interface GrantEntry {
  readonly id: string
  readonly [member: string]: unknown
}

/** As entries of a policy document. Ids are made of the challenge's. */
function grantEntries(
  change: GrantChange,
  given: {
    readonly challenge: string
    readonly environment: string
    readonly notAfter: number
    readonly reason: string
  },
): readonly GrantEntry[] {
  const { challenge, environment, notAfter, reason } = given
  return grantsOf(change, challenge).map(({ id, effect, principals, resources, constraints }) => ({
    id,
    effect,
    principals,
    resources,
    when: { not_after: rfc3339(notAfter), environment },
    ...(constraints.size === 0 ? {} : { constraints: encodeToolConstraints(constraints) }),
    reason: `${reason} (${sayChange(change)})`.slice(0, 512),
  }))
}

/** With these in place of what challenges have left behind and is over. */
function withGrants(given: unknown, entries: readonly GrantEntry[], now: number): JsonObject {
  const document = isPlainObject(given) ? given : {}
  const grants = own(document, 'grants')
  const kept = (Array.isArray(grants) ? (grants as readonly GrantEntry[]) : []).filter(({ id, when }) => {
    const until = isPlainObject(when) ? own(when, 'not_after') : undefined
    const isOver = id.startsWith('chl_') && typeof until === 'string' && Date.parse(until) / 1000 <= now
    return !isOver && !entries.some((entry) => entry.id === id)
  })
  return { ...document, grants: [...kept, ...entries] }
}

function isOf(grant: string, challenge: string): boolean {
  return grant === challenge || grant.startsWith(`${challenge}-`)
}

function rfc3339(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString().replace('.000Z', 'Z')
}
