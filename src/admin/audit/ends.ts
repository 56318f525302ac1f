/** What ended a piece of work and is not on record under its name: the kill switch, for an agent, a user, or everything. */
import type { AuditTrail, TrailGap } from '../../audit/trail/audit-trail.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import { orderIn } from './say-event.ts'
import { allGaps, readWhole } from './trail-reading.ts'

const OF_SESSION = ['session.close', 'session.revoke', 'session.review', 'session.contracted', 'session.halted']
const ORDERS_MAX = 400

export interface Ends {
  readonly records: readonly AuditRecord[]
  readonly gaps: readonly TrailGap[]
  /** There were more orders in that time than were looked through. */
  readonly isCut: boolean
}

/** @param records of the work, oldest first */
export async function endsOf(records: readonly AuditRecord[], trail: AuditTrail): Promise<Ends> {
  const sessions = [...new Set(records.flatMap(({ session }) => session ?? []))]
  const [sinceMs, untilMs] = lifeOf(records)
  const [inSession, orders] = await Promise.all([
    sessions.length === 0 ? undefined : readWhole(trail, { session: sessions, event: [...OF_SESSION, 'token.revoke'] }),
    readWhole(trail, { event: 'control.write', outcome: 'granted', sinceMs, untilMs }, ORDERS_MAX),
  ])
  const known = new Set(records.map(keyOf))
  const found = [
    ...(inSession?.entries ?? []).map(({ record }) => record),
    ...orders.entries.map(({ record }) => record).filter((order) => isHit(order, records)),
  ]
  return {
    records: found.filter((record) => !known.has(keyOf(record))),
    gaps: allGaps(inSession?.gaps ?? [], orders.gaps),
    isCut: orders.isCut || inSession?.isCut === true,
  }
}

function keyOf({ id, at, event, outcome }: AuditRecord): string {
  return JSON.stringify([id, at, event, outcome])
}

/** From its first record to the end of the last token that it was given. */
function lifeOf(records: readonly AuditRecord[]): readonly [sinceMs: number, untilMs: number] {
  const times = records.map(({ at }) => Date.parse(at))
  const ends = records.map(({ expires_at: seconds = 0 }) => seconds * 1000)
  return [Math.min(...times), Math.max(...times, ...ends) + 1]
}

/** An order is recorded as it came (`kill-order.ts`). */
function isHit({ detail = '' }: AuditRecord, records: readonly AuditRecord[]): boolean {
  const order = orderIn(detail)
  const has = (of: (record: AuditRecord) => string | undefined, value: unknown) =>
    typeof value === 'string' && records.some((record) => of(record) === value)
  const [agent, user] = [order['agent'], order['user']]
  switch (order['dimension']) {
    case 'everything':
      return true
    case 'agent':
      return has((record) => record.agent?.id, agent)
    case 'user':
      return has((record) => record.on_behalf_of, user)
    case 'user_agent':
      return has((record) => record.agent?.id, agent) && has((record) => record.on_behalf_of, user)
    default:
      return has((record) => record.session, order['session'])
  }
}
