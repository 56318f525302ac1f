/**
 * From a token back to the person: human → A → B, hop by hop, each with what it could do, what it tried, and what was decided
 * (R118, R119). Read from the records alone, so that it can be told when the session is long gone.
 */
import type { TrailGap } from '../../audit/trail/audit-trail.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import type { TrailParts } from './read-trail.ts'
import { sayEvent } from './say-event.ts'
import { notFound, readWhole } from './trail-reading.ts'
import { sayUser, whoAuthorised } from './who-authorised.ts'

export interface ChainHop {
  readonly node: string
  readonly agent: string
  readonly version?: string
  readonly from: string
  readonly at: string
  readonly decision: string
  /** What it was for, while the broker still has the session. */
  readonly purpose?: string
  readonly could: {
    readonly scope?: string
    /** `authorization_details` as they were granted; `null`: no longer kept. */
    readonly authorization_details: unknown
  }
  readonly tried: readonly {
    readonly at: string
    readonly decision: string
    readonly says: string
    readonly outcome: string
    readonly reason?: string
    /** Of a call: how it ended. */
    readonly ended?: string
  }[]
}

export interface Chain {
  readonly jti: string
  readonly txn?: string
  readonly session?: string
  /** Whose work it is, and what set it off. */
  readonly human: string
  readonly origin: string
  readonly authorised: string
  /** Root first; the last is whose token it is. */
  readonly hops: readonly ChainHop[]
  /** There are older records of the session than were looked at. */
  readonly cut?: true
  readonly gaps?: readonly TrailGap[]
}

/** @throws RefusedRequest */
export function readChain(request: ReadRequest, jti: string, parts: TrailParts): Promise<Chain> {
  return readAs(request, parts, 'admin.read', async () => {
    const named = await readWhole(parts.trail, { jti })
    const issued = named.entries.map(({ record }) => record).find(({ call, event }) => !call && isIssue(event))
    if (issued === undefined) throw notFound('no token of this jti is on record as issued', named.gaps)
    const { session, txn, origin } = issued
    const whole = session === undefined ? named : await readWhole(parts.trail, { session })
    const records = whole.entries.map(({ record }) => record)
    const hops = pathTo(issued, records)
    return {
      jti,
      ...(txn === undefined ? {} : { txn }),
      ...(session === undefined ? {} : { session }),
      human: humanOf(issued),
      origin: hops[0]?.origin ?? origin ?? 'unknown',
      authorised: whoAuthorised(issued),
      hops: await Promise.all(hops.map((hop) => showHop(hop, records, parts))),
      ...(whole.isCut ? { cut: true as const } : {}),
      ...(whole.gaps.length === 0 ? {} : { gaps: whole.gaps }),
    }
  })
}

const ISSUES: readonly string[] = [
  'session.open',
  'delegation.issue',
  'delegation.accept',
  'token.autonomous',
  'token.continue',
  'token.downstream',
  'token.api',
]
/** A hop begins with one of these: what it was given, and by whom. */
const BEGINS: readonly string[] = ['session.open', 'token.autonomous', 'delegation.issue', 'token.downstream']

const isIssue = (event: string) => ISSUES.includes(event)

function humanOf(record: AuditRecord): string {
  return record.on_behalf_of?.startsWith('user:') === true
    ? sayUser(record)
    : `nobody: ${record.on_behalf_of ?? record.by} worked for itself`
}

/** What each hop began with, root first. One whose beginning is no longer on record begins the chain. */
function pathTo(issued: AuditRecord, records: readonly AuditRecord[]): readonly AuditRecord[] {
  const path: AuditRecord[] = []
  const seen = new Set<string>()
  for (let node = issued.node; node !== undefined && !seen.has(node); ) {
    seen.add(node)
    const began = records.find((one) => one.node === node && one.outcome === 'granted' && BEGINS.includes(one.event))
    if (began === undefined) break
    path.unshift(began)
    node = began.parent
  }
  return path.length === 0 ? [issued] : path
}

async function showHop(began: AuditRecord, records: readonly AuditRecord[], parts: TrailParts): Promise<ChainHop> {
  const { node = '', scope, authority, at, id } = began
  const accepted = records.find(
    (one) => one.node === node && one.event === 'delegation.accept' && one.outcome === 'granted',
  )
  const holder = accepted ?? began
  const isPassedOn = began.event === 'delegation.issue'
  const version = isPassedOn ? accepted?.agent?.version : holder.agent?.version
  const text = authority === undefined ? undefined : await parts.trail.content(authority, began)
  const purpose = await purposeOf(began, parts)
  return {
    node,
    agent: isPassedOn ? (accepted?.agent?.id ?? began.resource ?? 'unknown') : (holder.agent?.id ?? began.by),
    ...(version === undefined ? {} : { version }),
    from: isPassedOn ? began.by : (began.on_behalf_of ?? began.by),
    at,
    decision: id,
    ...(purpose === undefined ? {} : { purpose }),
    could: {
      ...(scope === undefined ? {} : { scope }),
      authorization_details: text === undefined ? null : JSON.parse(text),
    },
    tried: triedAt(node, began, records),
  }
}

async function purposeOf({ session, node }: AuditRecord, { sessions, clock }: TrailParts): Promise<string | undefined> {
  if (session === undefined) return undefined
  const now = Math.floor(clock.nowMs() / 1000)
  const view = await sessions.view(session as Parameters<typeof sessions.view>[0], now)
  return view?.nodes.find(({ facts }) => facts.id === node)?.facts.purpose
}

/** Everything of this hop but how it began; what it has passed on itself is among it. */
function triedAt(node: string, began: AuditRecord, records: readonly AuditRecord[]): ChainHop['tried'] {
  const own = records.filter(
    (one) => one !== began && (one.event === 'delegation.issue' ? one.parent === node : one.node === node),
  )
  return own
    .filter(({ event }) => event !== 'call.outcome')
    .map((record) => {
      const ended = own.findLast((one) => one.id === record.id && one.call?.ended !== undefined)?.call?.ended
      const { at, id, outcome, reason } = record
      return {
        at,
        decision: id,
        says: sayEvent(record),
        outcome,
        ...(reason === undefined ? {} : { reason }),
        ...(ended === undefined ? {} : { ended }),
      }
    })
}
