/**
 * One piece of work on one page: what was asked, every exchange, decision, call, outcome and hop downstream, and every end of it,
 * in order; who did it on whose behalf, and why they were allowed to (R167, R171).
 */
import type { TrailGap } from '../../audit/trail/audit-trail.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import { endsOf } from './ends.ts'
import type { TrailParts } from './read-trail.ts'
import { sayEvent } from './say-event.ts'
import { allGaps, notFound, readWhole } from './trail-reading.ts'
import { sayUser } from './who-authorised.ts'

export interface StoryStep {
  readonly at: string
  readonly event: string
  readonly decision: string
  readonly outcome: string
  readonly says: string
  /** The rule that allowed it, or what refused it. */
  readonly why?: string
  readonly by: string
  readonly session?: string
  readonly node?: string
  readonly jti?: string
  readonly tool?: string
  /** Of a call: how it ended; `untold`: nobody has said. */
  readonly ended?: string
  /** What of it was captured, and how. */
  readonly captured?: Readonly<Record<string, 'digest' | 'sealed'>>
}

export interface Story {
  readonly txn: string
  readonly from: string
  readonly to: string
  readonly for: readonly string[]
  readonly agents: readonly string[]
  readonly origin: readonly string[]
  /** Of each session what it was for, while the broker still has it. */
  readonly sessions: readonly { readonly session: string; readonly purpose?: string }[]
  /** What set it off, in words: kept sealed, only by its digest, or not at all. */
  readonly prompt: { readonly kept: 'sealed' | 'digest' | 'no'; readonly record?: string; readonly digest?: string }
  readonly calls: {
    readonly announced: number
    readonly succeeded: number
    readonly failed: number
    readonly unknown: number
    readonly untold: number
  }
  readonly refused: number
  readonly steps: readonly StoryStep[]
  /** There are older records of it than are told. */
  readonly cut?: true
  /** Nor was all looked through that may have ended it. */
  readonly ends_cut?: true
  readonly gaps?: readonly TrailGap[]
}

/** @throws RefusedRequest */
export function readStory(request: ReadRequest, txn: string, parts: TrailParts): Promise<Story> {
  return readAs(request, parts, 'admin.read', async () => {
    const { entries, gaps, isCut } = await readWhole(parts.trail, { txn })
    const records = entries.map(({ record }) => record)
    const [first] = records
    if (first === undefined) throw notFound('nothing of this piece of work is on record', gaps)
    const ends = await endsOf(records, parts.trail)
    const all = inOrder([...records, ...ends.records])
    const unread = allGaps(gaps, ends.gaps)
    return {
      txn,
      ...summary(records),
      sessions: await sessionsOf(records, parts),
      prompt: promptIn(records),
      calls: callsIn(records),
      refused: records.filter(({ outcome }) => outcome === 'refused').length,
      steps: all.map((record) => stepOf(record, records)),
      ...(isCut ? { cut: true as const } : {}),
      ...(ends.isCut ? { ends_cut: true as const } : {}),
      ...(unread.length === 0 ? {} : { gaps: unread }),
    }
  })
}

/** A record has the time that its request began at; an end of the same millisecond comes behind what it ends. */
function inOrder(records: readonly AuditRecord[]): readonly AuditRecord[] {
  return [...records].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
}

function summary(records: readonly AuditRecord[]) {
  const times = records.map(({ at }) => at).sort()
  const people = records.flatMap((record) => (record.on_behalf_of === undefined ? [] : [sayUser(record)]))
  return {
    from: times[0] ?? '',
    to: times.at(-1) ?? '',
    for: longest(people),
    agents: [...new Set(records.flatMap(({ agent }) => (agent === undefined ? [] : [agent.id])))],
    origin: [...new Set(records.flatMap(({ origin }) => origin ?? []))],
  }
}

/** A person is named once, with their address where any record has it. */
function longest(names: readonly string[]): readonly string[] {
  const all = [...new Set(names)]
  return all.filter((name) => !all.some((other) => other !== name && other.endsWith(`(${name})`)))
}

async function sessionsOf(records: readonly AuditRecord[], { sessions, clock }: TrailParts) {
  const ids = [...new Set(records.flatMap(({ session }) => session ?? []))]
  const now = Math.floor(clock.nowMs() / 1000)
  return Promise.all(
    ids.map(async (session) => {
      const view = await sessions.view(session as Parameters<typeof sessions.view>[0], now)
      const purpose = view?.nodes[0]?.facts.purpose
      return { session, ...(purpose === undefined ? {} : { purpose }) }
    }),
  )
}

function promptIn(records: readonly AuditRecord[]): Story['prompt'] {
  const asked = records.find(({ captured }) => captured?.prompt !== undefined)
  const name = asked?.captured?.prompt
  if (asked === undefined || name === undefined) return { kept: 'no' }
  return { kept: howKept(name), record: asked.id, digest: name }
}

/** `sha256:` and a digest: nothing is kept (`captured.ts`). */
function howKept(name: string): 'digest' | 'sealed' {
  return name.startsWith('sha256:') ? 'digest' : 'sealed'
}

/** The last that was told of a call counts: one that was `unknown` may have been told of later. */
function endOf({ id }: AuditRecord, records: readonly AuditRecord[]): string {
  return records.findLast((one) => one.id === id && one.call?.ended !== undefined)?.call?.ended ?? 'untold'
}

const isCall = ({ event, outcome }: AuditRecord) => event === 'call.attempt' && outcome === 'granted'

function callsIn(records: readonly AuditRecord[]): Story['calls'] {
  const ends = records.filter(isCall).map((record) => endOf(record, records))
  const count = (ended: string) => ends.filter((end) => end === ended).length
  return {
    announced: ends.length,
    succeeded: count('success'),
    failed: count('failure'),
    unknown: count('unknown'),
    untold: count('untold'),
  }
}

function stepOf(record: AuditRecord, records: readonly AuditRecord[]): StoryStep {
  const { at, event, id, outcome, by, session, node, jti, tool } = record
  const ended = isCall(record) ? endOf(record, records) : record.call?.ended
  const why = whyOf(record)
  const captured = Object.entries(record.captured ?? {}).map(([kind, name]) => [kind, howKept(name)] as const)
  return {
    at,
    event,
    decision: id,
    outcome,
    says: sayEvent(record),
    ...(why === undefined ? {} : { why }),
    by,
    ...(session === undefined ? {} : { session }),
    ...(node === undefined ? {} : { node }),
    ...(jti === undefined ? {} : { jti }),
    ...(tool === undefined ? {} : { tool }),
    ...(ended === undefined ? {} : { ended }),
    ...(captured.length === 0 ? {} : { captured: Object.fromEntries(captured) }),
  }
}

function whyOf({ outcome, reason, missing = [], grants = [], policy, shadow }: AuditRecord): string | undefined {
  if (outcome !== 'granted') return [reason, ...missing].filter((part) => part !== undefined).join('; ') || undefined
  if (policy === undefined) return undefined
  const version = policy.slice(0, 12)
  const allowed = grants.length === 0 ? `no layer of policy ${version} stood against it` : undefined
  const draft = shadow === undefined ? '' : '; a draft in shadow would have answered otherwise'
  return (allowed ?? `grant ${grants.join(', ')} of policy ${version}`) + draft
}
