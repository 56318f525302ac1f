/** What a record says, as a few plain words. */
import type { AuditRecord } from '../../model/audit-record.ts'
import { EVENTS } from '../../model/event-catalogue.ts'
import { sayPrincipal } from './who-authorised.ts'

export function sayEvent(record: AuditRecord): string {
  const said = words(record)
  if (record.outcome === 'granted') return said
  const ends = { refused: 'REFUSED', unfinished: 'not known whether it happened', undone: 'undone' } as const
  return `${said}: ${ends[record.outcome]}`
}

function words(record: AuditRecord): string {
  const { event, by, tool, resource, call, session } = record
  const who = record.agent === undefined ? sayPrincipal(by) : `agent ${record.agent.id}`
  const [place, what] = [placeOf(record), tool ?? 'a tool']
  switch (event) {
    case 'session.open':
      return `${who} opens ${session ?? 'a session'} for ${record.on_behalf_of ?? 'nobody'}`
    case 'token.autonomous':
      return `${who} gets a token for ${place}, for its own work`
    case 'token.continue':
      return `${who} gets a token for ${place}`
    case 'delegation.issue':
      return `${sayPrincipal(by)} passes part of it on to agent ${resource ?? 'unknown'}`
    case 'delegation.accept':
      return `${who} accepts what was passed on by ${sayPrincipal(record.chain?.[1] ?? 'nobody')}`
    case 'token.downstream':
      return `${sayPrincipal(by)} goes on to ${place}, in the name of its caller`
    case 'access.evaluate':
      return `${sayPrincipal(by)} asks whether ${who} may call ${what} at ${place}`
    case 'call.attempt':
      return `${who} calls ${what} at ${place}`
    case 'call.outcome':
      return `${what} at ${place} has ended: ${call?.ended ?? 'nobody knows how'}`
    case 'approval.requested':
      return `the call of ${what} at ${place} waits for a person`
    case 'approval.granted':
      return `${by} says yes to the call of ${what}`
    case 'approval.denied':
      return `${by} says no to the call of ${what}`
    case 'control.write':
      return sayOrder(record)
    default:
      return `${sayPrincipal(by)}: ${EVENTS[event]?.says ?? event}`
  }
}

export function placeOf({ server, resource, authorization_server: other }: AuditRecord): string {
  return server?.name ?? server?.id ?? resource ?? other ?? 'a server'
}

/** An order of the kill switch, or of what a block was lifted from, is recorded as it came (`kill-order.ts`). */
function sayOrder({ by, detail = '' }: AuditRecord): string {
  const order = orderIn(detail)
  const { dimension } = order
  if (typeof dimension !== 'string') return `${by}: ${detail === '' ? EVENTS['control.write'].says : detail}`
  const named = ['session', 'node', 'agent', 'user'].flatMap((name) => {
    const value = order[name]
    return typeof value === 'string' ? [`${name} ${value}`.replace(/^user user:/, 'user:')] : []
  })
  const block = order['block'] === true ? ', and blocks what it was revoked for' : ''
  return `${by} revokes ${named.length === 0 ? dimension : named.join(' for ')}${block}`
}

/** As it was given: `dimension`, and what of it. Empty: it is none. */
export function orderIn(detail: string): Readonly<Record<string, unknown>> {
  try {
    const order: unknown = JSON.parse(detail)
    return typeof order === 'object' && order !== null ? (order as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}
