/**
 * An approver resolves a challenge: the grant that it needs and nothing more, until a time. Resolving it again changes nothing.
 * Where two persons are asked for, the first one's approval is a proposal, which another has to make, too.
 */
import { z } from 'zod'
import type { AuditDraft } from '../../audit/audit-draft.ts'
import { changeRecord } from '../../audit/change-record.ts'
import { encodeToolConstraints } from '../../authority/constraints.ts'
import { sha256 } from '../../kernel/digest.ts'
import { CHALLENGE_GRANT_S_DEFAULT, CHALLENGE_GRANT_S_MAX, CHALLENGE_PROPOSAL_S } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { each, inSlices, type Sliced } from '../../kernel/slices.ts'
import type { AdminEntry } from '../../model/admin-role.ts'
import type { OperatorCaller } from '../../model/caller.ts'
import { grantsOf, sayChange } from '../../policy/policy-change.ts'
import type { PolicyDocuments } from '../../registry/publication/policy-documents.ts'
import { entriesOf, isWritten, nameOf, type Written } from '../../registry/sections.ts'
import type { DocumentStore } from '../../store/ports.ts'
import type { TrailParts } from '../audit/read-trail.ts'
import { type Claim, makeChange, type Plan } from '../objects/change-object.ts'
import { storedObjects } from '../objects/stored-objects.ts'
import { type ChangeRequest, onRecord } from '../on-record.ts'
import { stillMay } from '../operator-caller.ts'
import type { PolicyRequestParts } from '../publication/policy-requests.ts'
import { answerTo, type GrantChange } from './challenge-grant.ts'
import { type Challenge, findChallenge } from './challenges.ts'
import { DecisionBook } from './decision-book.ts'

/** `POST /admin/v1/challenges/:challenge/resolve`. */
export const resolveOrder = z.strictObject({
  expires_in_seconds: z.int().min(60).max(CHALLENGE_GRANT_S_MAX).default(CHALLENGE_GRANT_S_DEFAULT),
  reason: z.string().trim().min(1).max(256),
})
export type ResolveOrder = z.output<typeof resolveOrder>

export interface ChallengeParts extends PolicyRequestParts, TrailParts {
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
export function resolveChallenge(
  request: ChangeRequest,
  id: string,
  read: () => Promise<ResolveOrder>,
  parts: ChallengeParts,
): Promise<Resolved> {
  return onRecord(request, 'challenge.resolve', parts.auditor, async (caller, draft) => {
    parts.cutoffs.assertFresh()
    const order = await read()
    const challenge = await findChallenge(new DecisionBook(parts.trail), id)
    const said = { challenge: id, reason: order.reason }
    draft.add({ detail: JSON.stringify(said) })
    if (challenge.subject === caller.principal) {
      throw new Rejection('challenge_same_person', 'another approver has to grant what is for yourself')
    }
    const done = await resolved(challenge, { order, caller, draft }, parts)
    draft.add({ detail: JSON.stringify({ ...said, ...done }) })
    return done
  })
}

interface Approval {
  readonly order: ResolveOrder
  readonly caller: OperatorCaller
  readonly draft: AuditDraft
}

async function resolved(challenge: Challenge, approval: Approval, parts: ChallengeParts): Promise<Resolved> {
  const { publisher, clock } = parts
  const { documents, registry } = publisher.published
  const now = Math.floor(clock.nowMs() / 1000)
  const standing = await inSlices(standingIn(documents, challenge.id, now))
  if (standing.length > 0) return resolution(standing, registry.version)
  const { grant, whyNot, environment } = answerTo(challenge, registry, now)
  if (grant === undefined) {
    throw new Rejection('challenge_not_approvable', 'no grant alone resolves this challenge', { missing: whyNot })
  }
  const { order, caller, draft } = approval
  const agreed = parts.secondPerson ? await agreedOn(challenge, grant, approval, parts) : { order, claim: undefined }
  if ('state' in agreed) return agreed
  const { expires_in_seconds, reason } = agreed.order
  const given = { challenge: challenge.id, environment, notAfter: now + expires_in_seconds, reason }
  const plan = (published: PolicyDocuments) => planned(published, challenge.id, grantEntries(grant, given), now)
  const made = await makeChange({ plan, preview: false, claim: agreed.claim }, caller, draft, parts)
  return resolution(made.after as readonly Written[], made.publication.version)
}

/** Where another approver was faster, their grant is the answer, and nothing changes. */
function* planned(documents: PolicyDocuments, id: string, entries: readonly Written[], now: number): Sliced<Plan> {
  const object = `grants/${id}`
  const standing = yield* standingIn(documents, id, now)
  if (standing.length > 0) return { object, before: standing, after: standing, entries: documents.entries }
  return { object, before: undefined, after: entries, entries: withGrants(documents.entries, entries, now) }
}

function resolution(grants: readonly Written[], policy: string): Resolved {
  const [expires_at = ''] = grants.map((grant) => endOf(grant) ?? '')
  return { state: 'resolved', grants: grants.map((grant) => nameOf('grants', grant)), expires_at, policy }
}

/** What the challenge was answered with, and is not over. */
function* standingIn(documents: PolicyDocuments, challenge: string, now: number): Sliced<readonly Written[]> {
  const standing: Written[] = []
  yield* each(storedObjects(documents, 'grants'), ({ id, entry }) => {
    const isIts = id === challenge || id.startsWith(`${challenge}-`)
    if (isIts && endOf(entry) !== undefined && !isOver(entry, now)) standing.push(entry)
  })
  return standing
}

interface Proposal extends ResolveOrder {
  readonly by: string
  /** Epoch seconds. */
  readonly until: number
  /** Digest of the grant: what another confirms is what the first has proposed. */
  readonly grant: string
}

interface Agreed {
  readonly order: ResolveOrder
  /** On the proposal: one is confirmed once. */
  readonly claim: Claim | undefined
}

/** What two have agreed on; or, of the first of them, the proposal. @throws Rejection `challenge_same_person` */
async function agreedOn(
  { id }: Challenge,
  change: GrantChange,
  { order, caller, draft }: Approval,
  parts: ChallengeParts,
): Promise<Agreed | Extract<Resolved, { state: 'proposed' }>> {
  const { store, clock, auditor } = parts
  const by = caller.principal
  const now = Math.floor(clock.nowMs() / 1000)
  const grant = sha256(
    JSON.stringify(grantEntries(change, { challenge: id, environment: '', notAfter: 0, reason: '' })),
  )
  const text = await store.documents.read(proposalOf(id))
  const held = text === undefined || text === '' ? undefined : (JSON.parse(text) as Proposal)
  // Whoever has left since, or approves no more, is no second person.
  if (held !== undefined && held.until > now && held.grant === grant && stillMay(held.by, 'approve', parts)) {
    if (held.by === by)
      throw new Rejection('challenge_same_person', 'another approver has to confirm what you proposed')
    const expires_in_seconds = Math.min(held.expires_in_seconds, order.expires_in_seconds)
    const claim = claimOn(proposalOf(id), text, store.documents)
    return { order: { expires_in_seconds, reason: held.reason }, claim }
  }
  const proposal: Proposal = { ...order, by, until: now + CHALLENGE_PROPOSAL_S, grant }
  const next = JSON.stringify(proposal)
  draft.addChange(changeRecord(`challenges/${id}`, held && text, next))
  await auditor.log.intend(draft.id, draft.intended(), draft.contents)
  const isFirst = await store.documents.replace(proposalOf(id), text, next).catch((fault: unknown) => {
    draft.leaveUnfinished()
    throw fault
  })
  if (!isFirst) throw contended()
  return { state: 'proposed', by, until: rfc3339(proposal.until) }
}

const proposalOf = (challenge: string) => `challenge:${challenge}`

/** Used up before anything is granted: of two who confirm at once one does; where it breaks off, it is proposed anew. */
function claimOn(name: string, text: string | undefined, documents: DocumentStore): Claim {
  let isTaken = false
  return {
    take: async () => {
      isTaken = await documents.replace(name, text, '')
      if (!isTaken) throw contended()
    },
    giveBack: async () => {
      // A store that is away keeps it used up.
      if (isTaken && text !== undefined) await documents.replace(name, '', text).catch(() => false)
    },
  }
}

function contended(): Rejection {
  return new Rejection('policy_contended', 'another approver was faster: look again', { retryAfterSeconds: 1 })
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
): readonly Written[] {
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
function withGrants(given: unknown, entries: readonly Written[], now: number): Written {
  const kept = entriesOf(given, 'grants').filter((entry) => {
    const id = nameOf('grants', entry)
    return !(id.startsWith('chl_') && isOver(entry, now)) && !entries.some((one) => nameOf('grants', one) === id)
  })
  return { ...(isWritten(given) ? given : {}), grants: [...kept, ...entries] }
}

function endOf({ when }: Written): string | undefined {
  const until = isWritten(when) ? when['not_after'] : undefined
  return typeof until === 'string' ? until : undefined
}

function isOver(entry: Written, now: number): boolean {
  const until = endOf(entry)
  return until !== undefined && Date.parse(until) / 1000 <= now
}

function rfc3339(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString().replace('.000Z', 'Z')
}
