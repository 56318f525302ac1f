/** The published policy: what it is, and publishing another, over the admin API or on the broker's own machine; each recorded under whoever asked. */
import { z } from 'zod'
import type { Auditor } from '../../audit/auditor.ts'
import type { PrincipalId } from '../../kernel/ids.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import type { RegistrySource } from '../../model/published-registry.ts'
import type { PolicyFile } from '../../registry/publication/policy-documents.ts'
import type { LiveCutoffs } from '../../sessions/live-cutoffs.ts'
import { assertMayChange, documentOf } from '../objects/section-authority.ts'
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
  }
  readonly cut_off: readonly { readonly dimension: string; readonly id: string; readonly why: string }[]
  /** Lists are longer than is shown. */
  readonly truncated: boolean
}

export interface PolicyRequestParts extends ListingParts {
  readonly registries: RegistrySource
  readonly cutoffs: LiveCutoffs
  readonly publisher: RegistryPublisher
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
  request: ReadRequest,
  read: () => Promise<PolicyOrder>,
  parts: PolicyRequestParts,
): Promise<PublicationView> {
  const { auditor, publisher } = parts
  const draft = auditor.begin()
  try {
    const caller = await request.caller()
    const { principal } = caller
    draft.authenticatedAs(principal)
    const { correlation } = request.facts
    draft.add({ event: 'policy.publish', ...(correlation === undefined ? {} : { correlation }) })
    // So large a body is read for those only who may publish.
    const { files, dry_run } = await read()
    const named = toFiles(files)
    if (!dry_run) await auditor.log.append(draft.id, draft.intended())
    const done = await publisher.publishFiles(named, {
      by: principal,
      preview: dry_run,
      check: (before, after) => assertMayChange(documentOf(before, 'all'), documentOf(after, 'all'), caller),
    })
    draft.add({ detail: detailOf(done, dry_run) })
    const audit = await auditor.log.appendOrDefer(draft.id, draft.granted())
    if (audit === 'recorded') return view(done)
    // It is done, and the record that says so is kept to be written; but nobody is told before it is.
    draft.leaveUnfinished()
    throw new Rejection('audit_unavailable', 'the audit log could not be written: look whether it was published', {
      retryAfterSeconds: 1,
    })
  } catch (error) {
    // Whether it was written, nobody knows: the record must not say that it was not.
    if (!(error instanceof Rejection)) draft.leaveUnfinished()
    throw await auditor.refuse(draft, error, request.facts.source)
  }
}

/** @throws Rejection `body_malformed` */
export function toFiles(files: z.output<typeof policyFiles>): readonly PolicyFile[] {
  if (new Set(files.map(({ name }) => name)).size < files.length) {
    throw new Rejection('body_malformed', 'files: two of one name')
  }
  return files.map(({ name, document }) => ({ name, document }))
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
    const done = await publisher.publishFiles(files, { by })
    draft.add({ detail: detailOf(done, false) })
    if (done.seq !== undefined) await auditor.log.appendOrDefer(draft.id, draft.granted())
    return done
  } catch (error) {
    if (!(error instanceof Rejection)) draft.leaveUnfinished()
    await auditor.refuse(draft, error, '')
    throw error
  }
}

function detailOf({ version, before, seq, difference }: Publication, dryRun: boolean): string {
  const cut = difference.taken.map(({ dimension, id }) => `${dimension} ${id}`)
  return JSON.stringify({ version, before, seq, dry_run: dryRun, cut_off: cut.slice(0, 8), cut_offs: cut.length })
}

function view({ version, before, seq, difference }: Publication): PublicationView {
  const { added, changed, removed, taken } = difference
  const lists = [added, changed, removed, taken]
  const short = <T>(list: readonly T[]) => list.slice(0, LIST_ENTRIES_MAX)
  return {
    version,
    before,
    published: seq !== undefined,
    seq,
    difference: { added: short(added), changed: short(changed), removed: short(removed) },
    cut_off: short(taken),
    truncated: lists.some((list) => list.length > LIST_ENTRIES_MAX),
  }
}
