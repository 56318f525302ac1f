/** The published policy: what it is, and publishing another, over the admin API or on the broker's own machine; each recorded under whoever asked. */
import { z } from 'zod'
import type { AuditDraft } from '../../audit/audit-draft.ts'
import type { Auditor } from '../../audit/auditor.ts'
import { type ChangeRecord, changeRecord } from '../../audit/change-record.ts'
import type { PrincipalId } from '../../kernel/ids.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import type { Orphans } from '../../model/owner.ts'
import type { RegistrySource } from '../../model/published-registry.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import { canonicalJson } from '../../registry/canonical-json.ts'
import type { PolicyDocuments, PolicyFile } from '../../registry/publication/policy-documents.ts'
import type { LiveCutoffs } from '../../sessions/live-cutoffs.ts'
import { assertMayChange, documentOf } from '../objects/section-authority.ts'
import { type ChangeRequest, onRecord } from '../on-record.ts'
import { type ListingParts, type ReadRequest, readAs } from '../session-listing.ts'
import type { Publication, RegistryPublisher } from './publish.ts'

export const policyFiles = z
  .array(z.strictObject({ name: z.string().min(1).max(128), document: z.unknown() }))
  .min(1)
  .max(256)

/** `POST /admin/v1/policy`: files in place of those published. */
export const policyOrder = z.strictObject({ files: policyFiles, dry_run: z.boolean().default(false) })
export type PolicyOrder = z.output<typeof policyOrder>

export interface PolicyView {
  readonly version: string
  /** RFC 3339; `undefined`: nothing has been published. */
  readonly published_at: string | undefined
  /** `undefined`: it is so long ago that nobody remembers. */
  readonly by: string | undefined
  readonly agents: number
  readonly resources: number
  readonly grants: number
}

export interface PublicationView {
  readonly version: string
  readonly before: string | undefined
  readonly published: boolean
  readonly seq: number | undefined
  readonly difference: {
    readonly added: readonly string[]
    readonly changed: readonly string[]
    readonly removed: readonly string[]
    readonly widened: readonly string[]
  }
  readonly cut_off: readonly { readonly dimension: string; readonly id: string; readonly why: string }[]
  /** Lists are longer than is shown. */
  readonly truncated: boolean
}

export interface PolicyRequestParts extends ListingParts {
  readonly registries: RegistrySource
  readonly cutoffs: LiveCutoffs
  readonly publisher: RegistryPublisher
  readonly settings: Pick<BrokerSettings, 'environment' | 'orphanGraceSeconds'>
  readonly orphans: Orphans
}

/** @throws RefusedRequest */
export function showPolicy(request: ReadRequest, parts: PolicyRequestParts): Promise<PolicyView> {
  return readAs(request, parts, 'admin.read', async () => {
    const { cutoffs, registries, publisher } = parts
    const published = cutoffs.set.policy
    const version = published?.version ?? registries.current.version
    const offered = (await publisher.history()).findLast((one) => one.version === version)
    const { agents, resources, grants } = registries.current
    return {
      version,
      published_at: published && new Date(published.atMs).toISOString(),
      by: offered?.by,
      agents: agents.length,
      resources: resources.length,
      grants: grants.length,
    }
  })
}

/** @throws RefusedRequest, of a Rejection `policy_*` too */
export async function publishPolicy(
  request: ChangeRequest,
  read: () => Promise<PolicyOrder>,
  { auditor, publisher }: PolicyRequestParts,
): Promise<PublicationView> {
  const done = await onRecord(request, 'policy.publish', auditor, async (caller, draft) => {
    // So large a body is read for those only who may publish.
    const { files, dry_run } = await read()
    const named = toFiles(files)
    const options = {
      by: caller.principal,
      check: function* (before: PolicyDocuments, after: PolicyDocuments) {
        const was = yield* documentOf(before, 'all')
        const is = yield* documentOf(after, 'all')
        return yield* assertMayChange(was, is, caller, publisher.published.registry)
      },
    }
    // What is wrong with it is said before anything is on record as intended.
    const previewed = await publisher.publishFiles(named, { ...options, preview: true })
    draft.add({ detail: detailOf(previewed, dry_run) })
    if (dry_run) return previewed
    draft.addChange(changeOf(previewed))
    await auditor.log.intend(draft.id, draft.intended(), draft.contents)
    return published(draft, () => publisher.publishFiles(named, options))
  })
  return view(done)
}

/** What became of it, for its record. */
async function published(draft: AuditDraft, publish: () => Promise<Publication>): Promise<Publication> {
  try {
    const done = await publish()
    draft.addChange(changeOf(done))
    draft.add({ detail: detailOf(done, false) })
    return done
  } catch (error) {
    // Whether it was written, nobody knows: the record must not say that it was not.
    if (!(error instanceof Rejection)) draft.leaveUnfinished()
    throw error
  }
}

/** @throws Rejection `body_malformed` */
export function toFiles(files: z.output<typeof policyFiles>): readonly PolicyFile[] {
  if (new Set(files.map(({ name }) => name)).size < files.length) {
    throw new Rejection('body_malformed', 'files: two of one name')
  }
  return files.map(({ name, document }) => ({ name, document }))
}

/** Versions by name: their documents are kept under these. */
function changeOf({ before, version }: Publication): ChangeRecord {
  return changeRecord('policy', before && canonicalJson({ policy: before }), canonicalJson({ policy: version }))
}

export interface OwnFilesParts {
  readonly auditor: Auditor
  readonly publisher: RegistryPublisher
}

/**
 * The files of the broker's own machine, by its operator, in place of those published. Recorded where that changes something, or
 * is refused; the machine does not wait for the record. @throws Rejection `policy_*`; StoreUnavailable
 */
export async function publishOwnFiles(
  files: readonly PolicyFile[],
  by: PrincipalId,
  { auditor, publisher }: OwnFilesParts,
): Promise<Publication> {
  const draft = auditor.begin()
  draft.authenticatedAs(by)
  draft.add({ event: 'policy.publish' })
  try {
    const done = await published(draft, () => publisher.publishFiles(files, { by }))
    if (done.seq !== undefined) await auditor.log.appendOrDefer(draft.id, draft.granted(), draft.contents)
    return done
  } catch (error) {
    await auditor.refuse(draft, error, '')
    throw error
  }
}

function detailOf({ version, before, seq, difference }: Publication, dryRun: boolean): string {
  const cut = difference.taken.map(({ dimension, id }) => `${dimension} ${id}`)
  return JSON.stringify({ version, before, seq, dry_run: dryRun, cut_off: cut.slice(0, 8), cut_offs: cut.length })
}

function view({ version, before, seq, difference }: Publication): PublicationView {
  const { added, changed, removed, taken, widened } = difference
  const lists = [added, changed, removed, taken, widened]
  const short = <T>(list: readonly T[]) => list.slice(0, LIST_ENTRIES_MAX)
  return {
    version,
    before,
    published: seq !== undefined,
    seq,
    difference: { added: short(added), changed: short(changed), removed: short(removed), widened: short(widened) },
    cut_off: short(taken),
    truncated: lists.some((list) => list.length > LIST_ENTRIES_MAX),
  }
}
