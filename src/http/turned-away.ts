/**
 * Requests of sources that are over their limit, answered before anything is made of them: no route, no body, no facts. A flood
 * costs what Node's parser costs and little more, and while refusals are held back nothing of their requests is kept.
 *
 * Guarantees: the answer, the count and the span are those that the route would have given; whoever is let through here is
 * looked at again by the route, so that nothing is decided here that is not decided there.
 */
import type { HttpBindings } from '@hono/node-server'
import type { Door } from '../admission/door.ts'
import { STRANGERS_REFUSED } from '../admission/over-limit.ts'
import { UNREAD_BODY_MS_MAX } from '../kernel/limits.ts'
import { requestSpan } from '../model/trace.ts'
import { LOGIN_PATH } from './admin-login-route.ts'
import { NO_STORE } from './error-response.ts'
import { FORM_DOORS } from './form-routes.ts'
import { rawHeader } from './incoming.ts'
import { WIRE } from './rejection-map.ts'
import type { RouterParts } from './route.ts'
import { basePath } from './router.ts'

type Incoming = HttpBindings['incoming']
type Outgoing = HttpBindings['outgoing']

/** @returns whether the request has been answered, or will be: nobody else need look at it */
export type TurnAway = (incoming: Incoming, outgoing: Outgoing) => boolean

type Parts = Pick<RouterParts, 'admission' | 'sourceOf' | 'nonces' | 'accounted' | 'tracing'> & {
  readonly issuer: string
  readonly auditor: RouterParts['revocation']['auditor']
}

const REASON = 'source_limited'
const { status: STATUS, error: ERROR } = WIRE[REASON]
const BODY = Buffer.from(JSON.stringify({ error: ERROR, error_description: STRANGERS_REFUSED }))

export function turnAway(parts: Parts): TurnAway {
  const { admission, sourceOf, auditor } = parts
  const doors = doorsAt(basePath(parts.issuer))
  return (incoming, outgoing) => {
    const path = pathOf(incoming.url ?? '')
    const door = incoming.method === 'POST' ? doors.get(path) : undefined
    if (door === undefined) return false
    const peer = incoming.socket.remoteAddress ?? 'unknown'
    const source = sourceOf(peer, rawHeader(incoming.rawHeaders, 'x-forwarded-for'))
    const seconds = admission.turnedAway(source, door)
    if (seconds === undefined) return false
    auditor.strangers.count(REASON, source)
    parts.accounted?.('counted')
    // What it goes on sending is read and forgotten, lest it be kept for as long as the refusal is.
    incoming.resume()
    void traced(incoming, path, parts, async () => {
      await admission.holdRefusal()
      answer(incoming, outgoing, headersOf(incoming, seconds, parts.nonces))
      return { status: STATUS }
    })
    return true
  }
}

function doorsAt(base: string): ReadonlyMap<string, Door> {
  const doors = { ...FORM_DOORS, [LOGIN_PATH]: 'login' } as const
  return new Map(Object.entries(doors).map(([path, door]) => [base + path, door]))
}

function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}

function headersOf(incoming: Incoming, seconds: number, nonces: Parts['nonces']): string[] {
  const headers = ['Content-Type', 'application/json', 'Content-Length', String(BODY.length)]
  for (const [name, value] of Object.entries(NO_STORE)) headers.push(name, value)
  headers.push('Retry-After', String(seconds))
  // RFC 9449 §8.2, as with every answer to whoever sends proofs.
  if (nonces !== undefined && rawHeader(incoming.rawHeaders, 'dpop') !== undefined) {
    headers.push('DPoP-Nonce', nonces.current)
  }
  return headers
}

function traced<A extends { readonly status: number }>(
  incoming: Incoming,
  path: string,
  { tracing }: Parts,
  work: () => Promise<A>,
): Promise<A> {
  if (tracing === undefined) return work()
  const head = { method: 'POST', route: path, traceparent: rawHeader(incoming.rawHeaders, 'traceparent') }
  return tracing.request(head, () => {
    requestSpan()?.set({ 'errand.reason': REASON })
    return work()
  })
}

function answer(incoming: Incoming, outgoing: Outgoing, headers: string[]): void {
  if (outgoing.destroyed) return
  outgoing.writeHead(STATUS, headers).end(BODY)
  if (incoming.complete) return
  // A body that goes on and on is not read for the sake of a connection.
  setTimeout(() => {
    if (!incoming.complete) incoming.socket.destroySoon()
  }, UNREAD_BODY_MS_MAX).unref()
}
