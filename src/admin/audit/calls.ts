/**
 * Calls of tools, each with who made it, for whom, whether it might, and how it ended: what an incident's first questions are
 * answered from (R171, R172, R177).
 */
import type { AuditTrail, TrailFilter, TrailGap } from '../../audit/trail/audit-trail.ts'
import { CALLS_LISTED_MAX, CALLS_LOOKED_AT_MAX } from '../../kernel/store-limits.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import type { Registry } from '../../model/registry.ts'
import type { ToolCategory } from '../../model/resource.ts'
import type { PolicyVersions } from '../decisions/decision-book.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import type { TrailParts } from './read-trail.ts'
import { allGaps, readWhole } from './trail-reading.ts'
import { whoAuthorised } from './who-authorised.ts'

export interface CallsQuestion {
  readonly filter: Pick<TrailFilter, 'agent' | 'user' | 'tool' | 'resource' | 'session' | 'txn' | 'sinceMs' | 'untilMs'>
  /** Of the tool, as the policy had it that decided. */
  readonly categories?: readonly ToolCategory[] | undefined
  /** Only at servers that are registered as holding personal data. */
  readonly personal?: boolean
}

export interface ListedCall {
  readonly at: string
  readonly decision: string
  readonly tool: string
  /** Absent: the tool was not registered then. */
  readonly category?: ToolCategory
  readonly server: string
  readonly resource: string
  /** The server is registered as holding personal data. */
  readonly personal: boolean
  readonly agent: string
  readonly agent_version?: string
  readonly on_behalf_of: string
  readonly user_email?: string
  readonly user_groups?: readonly string[]
  readonly origin?: string
  readonly session?: string
  readonly txn?: string
  /** Whether it was allowed. */
  readonly decided: AuditRecord['outcome']
  readonly reason?: string
  /**
   * How it ended. `untold`: the server announced it, and has not said yet. `not_announced`: the server asked whether it might be
   * called, and does not say what it calls. Absent: it was not allowed.
   */
  readonly ended?: 'success' | 'failure' | 'unknown' | 'untold' | 'not_announced'
  readonly authorised: string
  /** Whether what it was called with is kept, and can be read with a reason. */
  readonly arguments: 'sealed' | 'digest' | 'no'
}

export interface CallsAnswer {
  /** Oldest first. */
  readonly calls: readonly ListedCall[]
  /** There are older ones. */
  readonly cut?: true
  readonly gaps?: readonly TrailGap[]
}

export interface CallsParts extends TrailParts {
  readonly versions: PolicyVersions
  /** As it is now: where the version that decided is no longer kept. */
  readonly current: Registry
}

/** @throws RefusedRequest */
export function readCalls(request: ReadRequest, ask: () => CallsQuestion, parts: CallsParts): Promise<CallsAnswer> {
  return readAs(request, parts, 'admin.read', () => listCalls(ask(), parts))
}

export async function listCalls(question: CallsQuestion, parts: CallsParts): Promise<CallsAnswer> {
  const { trail } = parts
  const { asked, gaps, isCut } = await askedFor(question, parts)
  const ends = await endsOf(
    asked.map(({ record }) => record),
    trail,
    question.filter,
  )
  const calls = asked.map(({ record, registry }) => callOf(record, ends.told.get(record.id), registry))
  const unread = allGaps(gaps, ends.gaps)
  return { calls, ...(isCut ? { cut: true as const } : {}), ...(unread.length === 0 ? {} : { gaps: unread }) }
}

interface Asked {
  readonly record: AuditRecord
  /** As it was when that was decided. */
  readonly registry: Registry
}

const PAGE = 1_000

/**
 * Page by page, until there are enough that are asked for: a destructive call must not be missed because a thousand others came
 * after it.
 */
async function askedFor(question: CallsQuestion, { trail, versions, current }: CallsParts) {
  const wanted = { ...question.filter, event: ['call.attempt', 'access.evaluate'] }
  const registries = new Map<string, Registry>()
  const asked: Asked[] = []
  const gaps: TrailGap[] = []
  let looked = 0
  let after: string | undefined
  do {
    const page = await trail.page(wanted, PAGE, after)
    for (const { record } of page.entries) {
      const { policy = '' } = record
      const registry = registries.get(policy) ?? (await versions.versionOf(policy)) ?? current
      registries.set(policy, registry)
      if (isAsked({ record, registry }, question)) asked.push({ record, registry })
    }
    looked += page.entries.length
    gaps.push(...page.gaps)
    after = page.after
  } while (after !== undefined && asked.length < CALLS_LISTED_MAX && looked < CALLS_LOOKED_AT_MAX)
  const isCut = after !== undefined || asked.length > CALLS_LISTED_MAX
  return { asked: asked.slice(0, CALLS_LISTED_MAX).reverse(), gaps, isCut }
}

function isAsked({ record, registry }: Asked, { categories, personal }: CallsQuestion): boolean {
  if (record.tool === undefined) return false
  const registered = registry.resources.find(({ url }) => url === record.resource)
  if (personal === true && registered?.mode !== 'personal') return false
  if (categories === undefined) return true
  const category = registered?.tools.get(record.tool)?.category
  // Of one that was called and that nobody can classify any more the worst is assumed (DESIGN §6).
  return categories.includes(category ?? 'admin') && (category !== undefined || record.outcome === 'granted')
}

/** An end is never before its call. The last that was told counts. */
async function endsOf(asked: readonly AuditRecord[], trail: AuditTrail, { sinceMs }: TrailFilter) {
  const ids = asked.filter(({ event }) => event === 'call.attempt').map(({ id }) => id)
  const told = new Map<string, NonNullable<AuditRecord['call']>['ended']>()
  if (ids.length === 0) return { told, gaps: [] }
  const { entries, gaps } = await readWhole(trail, { id: ids, event: 'call.outcome', sinceMs }, 2 * CALLS_LISTED_MAX)
  for (const { record } of entries) if (record.call?.ended !== undefined) told.set(record.id, record.call.ended)
  return { told, gaps }
}

function callOf(record: AuditRecord, told: ListedCall['ended'], registry: Registry): ListedCall {
  const { agent, user, tool = '', server, resource = '', origin, session, txn, reason, outcome } = record
  const registered = registry.resources.find(({ url }) => url === resource)
  const category = registered?.tools.get(tool)?.category
  const ended = record.event === 'access.evaluate' ? 'not_announced' : (told ?? 'untold')
  return {
    at: record.at,
    decision: record.id,
    tool,
    ...(category === undefined ? {} : { category }),
    server: server?.name ?? server?.id ?? resource,
    resource,
    personal: registered?.mode === 'personal',
    agent: agent?.id ?? 'unknown',
    ...(agent?.version === undefined ? {} : { agent_version: agent.version }),
    on_behalf_of: record.on_behalf_of ?? 'nobody',
    ...(user?.email === undefined ? {} : { user_email: user.email }),
    ...(user?.groups === undefined ? {} : { user_groups: user.groups }),
    ...(origin === undefined ? {} : { origin }),
    ...(session === undefined ? {} : { session }),
    ...(txn === undefined ? {} : { txn }),
    decided: outcome,
    ...(reason === undefined ? {} : { reason }),
    ...(outcome === 'granted' ? { ended } : {}),
    authorised: whoAuthorised(record),
    arguments: keptOf(record.captured?.arguments),
  }
}

function keptOf(name: string | undefined): ListedCall['arguments'] {
  if (name === undefined) return 'no'
  return name.startsWith('sha256:') ? 'digest' : 'sealed'
}
