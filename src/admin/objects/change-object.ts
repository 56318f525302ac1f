/**
 * One change of the registry over the admin API: who asked, what it was before and what it is to be are on record before
 * anything is changed, and how it ended is on the same record. What cannot be recorded is not done.
 */
import type { AuditDraft } from '../../audit/audit-draft.ts'
import { type ChangeRecord, changeRecord } from '../../audit/change-record.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { OperatorCaller } from '../../model/caller.ts'
import type { RequestFacts } from '../../model/request-facts.ts'
import { canonicalJson } from '../../registry/canonical-json.ts'
import type { PolicyDocuments } from '../../registry/publication/policy-documents.ts'
import type { PolicyRequestParts } from '../publication/policy-requests.ts'
import type { Publication } from '../publication/publish.ts'

export interface ChangeRequest {
  readonly caller: () => Promise<OperatorCaller>
  readonly facts: RequestFacts
}

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
  readonly plan: (documents: PolicyDocuments, caller: OperatorCaller) => Plan
  /** Says what would be done, and does nothing. */
  readonly preview: boolean
}

export interface Changed extends Plan {
  readonly publication: Publication
}

const ATTEMPTS_MAX = 4

/** @param read of the body, for those only who may ask. @throws RefusedRequest */
export async function changeRegistry(
  request: ChangeRequest,
  read: () => Promise<Change>,
  parts: PolicyRequestParts,
): Promise<Changed> {
  const draft = parts.auditor.begin()
  try {
    const caller = await request.caller()
    draft.authenticatedAs(caller.principal)
    const { correlation } = request.facts
    draft.add({ event: 'registry.change', ...(correlation === undefined ? {} : { correlation }) })
    parts.cutoffs.assertFresh()
    const change = await read()
    const changed = await attempted(change, caller, draft, parts)
    draft.add({ policy: changed.publication.version })
    await parts.auditor.log.append(draft.id, draft.granted(), draft.contents)
    return changed
  } catch (error) {
    throw await parts.auditor.refuse(draft, error, request.facts.source)
  }
}

async function attempted(
  { plan, preview }: Change,
  caller: OperatorCaller,
  draft: AuditDraft,
  parts: PolicyRequestParts,
): Promise<Changed> {
  const { publisher, auditor } = parts
  const by = caller.principal
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const made = plan(publisher.published.documents, caller)
    draft.addChange(recordOf(made))
    // What is wrong with it is said before anything is on record as intended.
    const previewed = await publisher.publishEntries(() => made.entries, { by, preview: true })
    if (preview) return { ...made, publication: previewed }
    await auditor.log.append(draft.id, draft.intended(), draft.contents)
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
      (_entries, documents) => {
        const again = plan(documents, caller)
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
