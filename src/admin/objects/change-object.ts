/**
 * One change of the registry over the admin API: who asked, what it was before and what it is to be are on record before
 * anything is changed, and how it ended is on the same record. What cannot be recorded is not done.
 */
import type { AuditDraft } from '../../audit/audit-draft.ts'
import { type ChangeRecord, changeRecord } from '../../audit/change-record.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { inSlices, type Sliced } from '../../kernel/slices.ts'
import type { OperatorCaller } from '../../model/caller.ts'
import { canonicalJson } from '../../registry/canonical-json.ts'
import type { PolicyDocuments } from '../../registry/publication/policy-documents.ts'
import { type ChangeRequest, onRecord } from '../on-record.ts'
import type { PolicyRequestParts } from '../publication/policy-requests.ts'
import type { Publication } from '../publication/publish.ts'

/** A change, as it would be made of what is published now. */
export interface Plan {
  /** What is changed: `agents/researcher`. */
  readonly object: string
  readonly before: unknown
  readonly after: unknown
  /** All that was written over the API, with it. */
  readonly entries: unknown
}

export interface Change {
  /** May be asked again, where others publish at the same time. @throws Rejection */
  readonly plan: (documents: PolicyDocuments, caller: OperatorCaller) => Sliced<Plan>
  /** Says what would be done, and does nothing. */
  readonly preview: boolean
  /** What it is made by virtue of, once: taken when it is on record, given back where nothing was published for certain. */
  readonly claim?: Claim | undefined
}

export interface Claim {
  /** @throws Rejection where it is gone */
  take(): Promise<void>
  /** Nothing, where it was not taken. */
  giveBack(): Promise<void>
}

export interface Changed extends Plan {
  readonly publication: Publication
}

const ATTEMPTS_MAX = 4

/** @param read of the body, for those only who may ask. @throws RefusedRequest */
export function changeRegistry(
  request: ChangeRequest,
  read: () => Promise<Change>,
  parts: PolicyRequestParts,
): Promise<Changed> {
  return onRecord(request, 'registry.change', parts.auditor, async (caller, draft) => {
    parts.cutoffs.assertFresh()
    return makeChange(await read(), caller, draft, parts)
  })
}

/** On record as intended first. @throws Rejection; what a store throws: then nobody knows, and the record does not say */
export async function makeChange(
  change: Change,
  caller: OperatorCaller,
  draft: AuditDraft,
  parts: PolicyRequestParts,
): Promise<Changed> {
  try {
    const changed = await attempted(change, caller, draft, parts)
    draft.add({ policy: changed.publication.version })
    return changed
  } catch (error) {
    if (error instanceof Rejection) await change.claim?.giveBack()
    throw error
  }
}

async function attempted(
  { plan, preview, claim }: Change,
  caller: OperatorCaller,
  draft: AuditDraft,
  parts: PolicyRequestParts,
): Promise<Changed> {
  const { publisher, auditor } = parts
  const by = caller.principal
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const made = await inSlices(plan(publisher.published.documents, caller))
    draft.addChange(recordOf(made))
    // What is wrong with it is said before anything is on record as intended.
    const previewed = await publisher.publishEntries(() => made.entries, { by, preview: true })
    if (preview) {
      draft.add({ detail: 'dry run: nothing is changed' })
      return { ...made, publication: previewed }
    }
    await auditor.log.intend(draft.id, draft.intended(), draft.contents)
    if (attempt === 0) await claim?.take()
    const publication = await published(made, plan, caller, { draft, parts })
    if (publication !== undefined) return { ...made, publication }
  }
  throw new Rejection('policy_contended', 'others change it all the time: try again', { retryAfterSeconds: 1 })
}

class Stale extends Error {}

/** `undefined`: what it would change is not any more what is on record. */
async function published(
  made: Plan,
  plan: Change['plan'],
  caller: OperatorCaller,
  { draft, parts }: { readonly draft: AuditDraft; readonly parts: PolicyRequestParts },
): Promise<Publication | undefined> {
  const wanted = canonicalJson(made.before ?? null)
  try {
    return await parts.publisher.publishEntries(
      async (_entries, documents) => {
        const again = await inSlices(plan(documents, caller))
        if (canonicalJson(again.before ?? null) !== wanted) throw new Stale()
        return again.entries
      },
      { by: caller.principal },
    )
  } catch (error) {
    if (error instanceof Stale) return undefined
    // Whether it was written, nobody knows: the record must not say that it was not.
    if (!(error instanceof Rejection)) draft.leaveUnfinished()
    throw error
  }
}

function recordOf({ object, before, after }: Plan): ChangeRecord {
  const [was, is] = [before, after].map((value) => (value === undefined ? undefined : canonicalJson(value)))
  return changeRecord(object, was, is)
}
