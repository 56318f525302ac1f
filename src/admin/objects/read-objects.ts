/** Objects of the registry for people: lists in pages, and one by one; each says where it was written and how it stands. */
import { z } from 'zod'
import { Rejection } from '../../kernel/rejection.ts'
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import { timeText } from '../../kernel/time-text.ts'
import { LIFECYCLE_STATES } from '../../model/lifecycle.ts'
import { ownerStanding } from '../../model/owner.ts'
import type { Registry } from '../../model/registry.ts'
import { SECTIONS, type SectionName, type Written } from '../../registry/sections.ts'
import type { PolicyRequestParts } from '../publication/policy-requests.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import { pathSegment, type StoredObject, storedObject, storedObjects, versionOf } from './stored-objects.ts'

export interface ObjectView {
  readonly id: string
  /** Below `/admin/v1`. */
  readonly path: string
  /** `file registry.yaml`: changed there alone; or `api`. */
  readonly source: string
  /** What `If-Match` takes. */
  readonly version: string
  readonly state?: string
  /** Its owner has left. */
  readonly orphaned?: true
  /** Of an agent, once that was noticed: since when, and from when on it is issued nothing. */
  readonly orphaned_since?: string
  readonly issued_nothing_from?: string
  readonly entry: Written
}

export interface ObjectPage {
  readonly objects: readonly ObjectView[]
  /** Where the next page begins; absent: this was the last. */
  readonly after?: string
}

const PAGE_DEFAULT = 50

const filters = z.strictObject({
  limit: z.coerce.number().int().min(1).max(LIST_ENTRIES_MAX).default(PAGE_DEFAULT),
  after: z.string().optional(),
  owner: z.string().optional(),
  state: z.enum(LIFECYCLE_STATES).optional(),
  orphaned: z.enum(['true', 'false']).optional(),
  source: z.enum(['file', 'api']).optional(),
})
type Filters = z.output<typeof filters>
export const LISTED_BY = Object.keys(filters.shape)

/** In the order of their names. @throws RefusedRequest */
export function listObjects(
  request: ReadRequest,
  section: SectionName,
  query: Readonly<Record<string, string>>,
  parts: PolicyRequestParts,
): Promise<ObjectPage> {
  return readAs(request, parts, 'admin.read', async () => {
    const wanted = filtersIn(query)
    const { documents, registry } = parts.publisher.published
    const found = [...storedObjects(documents, section)]
      .filter((object) => matches(object, wanted, registry))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
    const page = found.slice(0, wanted.limit)
    const last = page.at(-1)
    const objects = page.map((object) => viewOf(object, registry, parts))
    return found.length > page.length && last !== undefined ? { objects, after: last.id } : { objects }
  })
}

/** @throws RefusedRequest */
export function readObject(
  request: ReadRequest,
  section: SectionName,
  id: string,
  parts: PolicyRequestParts,
): Promise<ObjectView> {
  return readAs(request, parts, 'admin.read', async () => {
    const { documents, registry } = parts.publisher.published
    const object = storedObject(documents, section, id)
    if (object === undefined) throw new Rejection('not_found', 'there is no such object')
    return viewOf(object, registry, parts)
  })
}

export function viewOf(
  object: StoredObject,
  registry: Registry,
  parts: Pick<PolicyRequestParts, 'orphans' | 'settings'>,
): ObjectView {
  const { section, id, file, entry } = object
  return {
    id,
    path: `/${section}/${pathSegment(id)}`,
    source: file === undefined ? 'api' : `file ${file}`,
    version: versionOf(entry),
    ...(SECTIONS[section].hasState ? { state: stateOf(entry) } : {}),
    ...(isOrphaned(object, registry) ? { orphaned: true, ...orphanTimes(object, parts) } : {}),
    entry,
  }
}

/** What an entry does not say is active. */
export function stateOf(entry: Written): string {
  return typeof entry['state'] === 'string' ? entry['state'] : 'active'
}

function orphanTimes(
  { section, id }: StoredObject,
  { orphans, settings }: Pick<PolicyRequestParts, 'orphans' | 'settings'>,
): Pick<ObjectView, 'orphaned_since' | 'issued_nothing_from'> {
  const since = section === 'agents' ? orphans.since(id) : undefined
  if (since === undefined) return {}
  const seconds = Math.floor(since / 1000)
  return { orphaned_since: timeText(seconds), issued_nothing_from: timeText(seconds + settings.orphanGraceSeconds) }
}

/** What is retired needs no owner. */
function isOrphaned({ entry }: StoredObject, registry: Registry): boolean {
  const { owner } = entry
  return typeof owner === 'string' && stateOf(entry) !== 'retired' && ownerStanding(registry, owner) === 'left'
}

function matches(object: StoredObject, wanted: Filters, registry: Registry): boolean {
  const { after, owner, state, orphaned, source } = wanted
  const { section, id, file, entry } = object
  if (after !== undefined && id <= after) return false
  if (owner !== undefined && entry['owner'] !== owner) return false
  if (state !== undefined && !(SECTIONS[section].hasState && stateOf(entry) === state)) return false
  if (source !== undefined && (source === 'api') !== (file === undefined)) return false
  return orphaned === undefined || isOrphaned(object, registry) === (orphaned === 'true')
}

/** @throws Rejection `parameter_malformed` */
function filtersIn(query: Readonly<Record<string, string>>): Filters {
  const decoded = filters.safeParse(query)
  if (decoded.success) return decoded.data
  const [issue] = decoded.error.issues
  throw new Rejection('parameter_malformed', `${String(issue?.path[0])}: ${issue?.message}`)
}
