/**
 * Who had access to what: of each server, for each person, how often tools were called, by which agents, and with what success
 * (R172). Counted as the records are read, so that a report of a month needs no more memory than its rows.
 */
import type { AuditTrail, TrailFilter, TrailGap } from '../../audit/trail/audit-trail.ts'
import { ACCESS_RECORDS_MAX } from '../../kernel/store-limits.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import type { Registry } from '../../model/registry.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import type { TrailParts } from './read-trail.ts'

export interface AccessRow {
  readonly resource: string
  readonly server: string
  /** Registered as holding personal data. */
  readonly personal: boolean
  /** `user:…`, or the agent that worked for itself. */
  readonly person: string
  readonly email?: string
  readonly agents: readonly string[]
  readonly tools: readonly string[]
  readonly calls: number
  readonly succeeded: number
  readonly failed: number
  /** Nobody has said how they ended, or the server does not say what it calls. */
  readonly untold: number
  readonly refused: number
  readonly first: string
  readonly last: string
}

export interface AccessReport {
  readonly rows: readonly AccessRow[]
  readonly records: number
  /** Older records were not counted. */
  readonly cut?: true
  readonly gaps?: readonly TrailGap[]
}

export type AccessFilter = Pick<TrailFilter, 'agent' | 'user' | 'tool' | 'resource' | 'sinceMs' | 'untilMs'>

/** @throws RefusedRequest */
export function readAccess(
  request: ReadRequest,
  ask: () => AccessFilter,
  parts: TrailParts & { readonly current: Registry },
): Promise<AccessReport> {
  return readAs(request, parts, 'admin.read', () => countAccess(ask(), parts.trail, parts.current))
}

const PAGE = 1_000

async function countAccess(filter: AccessFilter, trail: AuditTrail, registry: Registry): Promise<AccessReport> {
  const rows = new Map<string, Counting>()
  const gaps: TrailGap[] = []
  /** Newest first: an end is read before its call. */
  const ends = new Map<string, string>()
  let records = 0
  let after: string | undefined
  const wanted = { ...filter, event: ['call.attempt', 'call.outcome', 'access.evaluate'] }
  do {
    const page = await trail.page(wanted, PAGE, after)
    for (const { record } of page.entries) {
      if (record.call?.ended !== undefined) ends.set(record.id, ends.get(record.id) ?? record.call.ended)
      else if (record.tool !== undefined) count(rows, record, ends, registry)
    }
    records += page.entries.length
    gaps.push(...page.gaps)
    after = page.after
  } while (after !== undefined && records < ACCESS_RECORDS_MAX)
  return {
    rows: [...rows.values()].map(shown).sort(byServerAndPerson),
    records,
    ...(after === undefined ? {} : { cut: true as const }),
    ...(gaps.length === 0 ? {} : { gaps }),
  }
}

interface Counting {
  readonly record: AuditRecord
  readonly personal: boolean
  readonly agents: Set<string>
  readonly tools: Set<string>
  calls: number
  succeeded: number
  failed: number
  refused: number
  first: string
  readonly last: string
}

function count(rows: Map<string, Counting>, record: AuditRecord, ends: Map<string, string>, registry: Registry): void {
  const key = JSON.stringify([record.resource, record.on_behalf_of])
  const row = rows.get(key) ?? begun(record, registry)
  rows.set(key, row)
  row.agents.add(record.agent?.id ?? 'unknown')
  if (record.tool !== undefined) row.tools.add(record.tool)
  if (record.at < row.first) row.first = record.at
  const ended = ends.get(record.id)
  ends.delete(record.id)
  if (record.outcome !== 'granted') row.refused += 1
  else row.calls += 1
  if (ended === 'success') row.succeeded += 1
  if (ended === 'failure') row.failed += 1
}

function begun(record: AuditRecord, registry: Registry): Counting {
  const counts = { calls: 0, succeeded: 0, failed: 0, refused: 0, first: record.at, last: record.at }
  const personal = registry.resources.some(({ url, mode }) => url === record.resource && mode === 'personal')
  return { record, personal, agents: new Set(), tools: new Set(), ...counts }
}

function shown({ record, personal, agents, tools, first, last, ...counts }: Counting): AccessRow {
  const { resource = '', server, on_behalf_of: person = 'nobody', user } = record
  return {
    resource,
    server: server?.name ?? server?.id ?? resource,
    personal,
    person,
    ...(user?.email === undefined ? {} : { email: user.email }),
    agents: [...agents].sort(),
    tools: [...tools].sort(),
    ...counts,
    untold: counts.calls - counts.succeeded - counts.failed,
    first,
    last,
  }
}

function byServerAndPerson(a: AccessRow, b: AccessRow): number {
  return a.resource < b.resource ? -1 : a.resource > b.resource ? 1 : a.person < b.person ? -1 : 1
}
