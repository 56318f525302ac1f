/** What is asked of one object of the registry, and of all that was written over the admin API. */
import { z } from 'zod'
import { epochSeconds } from '../../kernel/clock.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { inSlices, type Sliced } from '../../kernel/slices.ts'
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import { LIFECYCLE_STATES, type LifecycleState } from '../../model/lifecycle.ts'
import { canonicalDigest } from '../../registry/canonical-json.ts'
import { entriesOf, isWritten, SECTION_NAMES, type Written } from '../../registry/sections.ts'
import type { ChangeRequest } from '../on-record.ts'
import type { PolicyRequestParts } from '../publication/policy-requests.ts'
import type { Publication } from '../publication/publish.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import { type Change, type Changed, changeRegistry } from './change-object.ts'
import { inState, type ObjectEdit, planned } from './edits.ts'
import { assertNotIdle } from './idle-grant.ts'
import { type ObjectView, viewOf } from './read-objects.ts'
import { assertMayChange, assertNamesNoFiles, documentOf } from './section-authority.ts'
import { storedObject } from './stored-objects.ts'
import { assertOwnersChange } from './tool-authority.ts'

export const stateOrder = z.strictObject({ state: z.enum(LIFECYCLE_STATES) })
export const registryOrder = z.strictObject({ document: z.unknown(), dry_run: z.boolean().default(false) })

export interface ChangeView {
  readonly object?: ObjectView
  readonly policy: string
  readonly seq?: number
  readonly cut_off: readonly { readonly dimension: string; readonly id: string; readonly why: string }[]
}

/** Which object, and what `If-Match` says of it. @throws Rejection `parameter_malformed` */
export type ReadTarget = () => Omit<ObjectEdit, 'next'>

/** Creates it, or puts another in its place. @throws RefusedRequest */
export function putObject(
  request: ChangeRequest,
  target: ReadTarget,
  read: () => Promise<unknown>,
  parts: PolicyRequestParts,
): Promise<ChangeView & { readonly created: boolean }> {
  return edit(request, target, parts, async () => {
    const after = await read()
    if (!isWritten(after)) throw new Rejection('body_malformed', 'the body must be one object')
    return () => after
  })
}

/** @throws RefusedRequest */
export async function removeObject(
  request: ChangeRequest,
  target: ReadTarget,
  parts: PolicyRequestParts,
): Promise<ChangeView> {
  const { created: _created, ...done } = await edit(request, target, parts, async () => () => undefined)
  return done
}

/** @throws RefusedRequest */
export async function moveObject(
  request: ChangeRequest,
  target: ReadTarget,
  read: () => Promise<{ readonly state: LifecycleState }>,
  parts: PolicyRequestParts,
): Promise<ChangeView> {
  const whichever: ReadTarget = () => {
    const named = target()
    return { ...named, expected: named.expected ?? '*' }
  }
  const { created: _created, ...done } = await edit(request, whichever, parts, async () => {
    const { state } = await read()
    return (before) => inState(before, state)
  })
  return done
}

async function edit(
  request: ChangeRequest,
  target: ReadTarget,
  parts: PolicyRequestParts,
  read: () => Promise<ObjectEdit['next']>,
): Promise<ChangeView & { readonly created: boolean }> {
  const changed = await changeRegistry(
    request,
    async () => {
      const wanted = { ...target(), next: await read() }
      const object = `${wanted.section}/${wanted.id}`
      const plan: Change['plan'] = function* (documents, caller) {
        const made = yield* planned(documents, wanted)
        const [before, after] = [made.before, made.after].map((entry) => (entry === undefined ? [] : [entry]))
        if (wanted.section === 'resources') {
          assertOwnersChange(before ?? [], after ?? [], caller, parts.publisher.published.registry)
        }
        if (wanted.section === 'grants' && made.after !== undefined) {
          const { environment } = parts.settings
          const now = epochSeconds(parts.clock)
          assertNotIdle(made.after, parts.publisher.published.registry, { environment, now })
        }
        return { object, ...made }
      }
      return { plan, preview: false }
    },
    parts,
  )
  const { documents, registry } = parts.publisher.published
  const { section, id } = target()
  const now = changed.after === undefined ? undefined : storedObject(documents, section, id)
  return {
    ...(now === undefined ? {} : { object: viewOf(now, registry, parts) }),
    ...cutOff(changed.publication),
    created: changed.before === undefined,
  }
}

function cutOff({ version, seq, difference }: Publication): Omit<ChangeView, 'object'> {
  const cut_off = difference.taken.slice(0, LIST_ENTRIES_MAX)
  return { policy: version, ...(seq === undefined ? {} : { seq }), cut_off }
}

/** One policy document: of everything, or (`source`: `api`) of what was written over the API. @throws RefusedRequest */
export function exportRegistry(
  request: ReadRequest,
  source: string | undefined,
  parts: PolicyRequestParts,
): Promise<{ readonly policy: string; readonly document: Written }> {
  return readAs(request, parts, 'admin.read', async () => {
    if (source !== undefined && source !== 'api') throw new Rejection('parameter_malformed', 'source must be api')
    const { documents, registry } = parts.publisher.published
    return { policy: registry.version, document: await inSlices(documentOf(documents, source ?? 'all')) }
  })
}

/** The documents themselves are kept under the version of the policy, which the record names. */
function* digestOf(document: unknown): Sliced<Written> {
  return { entries: yield* canonicalDigest(document ?? null) }
}

/** In place of all that was written over the API. @throws RefusedRequest */
export async function importRegistry(
  request: ChangeRequest,
  read: () => Promise<z.output<typeof registryOrder>>,
  parts: PolicyRequestParts,
): Promise<Omit<ChangeView, 'object'> & Pick<Publication['difference'], 'added' | 'changed' | 'removed' | 'widened'>> {
  const { publication }: Changed = await changeRegistry(
    request,
    async () => {
      const { document, dry_run } = await read()
      if (!isWritten(document)) throw new Rejection('body_malformed', 'document: must be one policy document')
      return {
        preview: dry_run,
        *plan({ entries }, caller) {
          const { registry } = parts.publisher.published
          yield* assertMayChange(isWritten(entries) ? entries : {}, document, caller, registry)
          for (const section of SECTION_NAMES) assertNamesNoFiles(section, entriesOf(document, section))
          const before = yield* digestOf(entries)
          return { object: 'registry', before, after: yield* digestOf(document), entries: document }
        },
      }
    },
    parts,
  )
  const { added, changed, removed, widened } = publication.difference
  const short = (names: readonly string[]) => names.slice(0, LIST_ENTRIES_MAX)
  const lists = { added: short(added), changed: short(changed), removed: short(removed), widened: short(widened) }
  return { ...cutOff(publication), ...lists }
}
