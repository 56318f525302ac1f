/**
 * What a server asks its broker for while it works: a judge for each call (live mode), a token for the next server, and what may be
 * shown to whom. One object for a process, made with the server's own identity: the service that is `server_client` of its resource.
 *
 * | mode | who judges a call | network per call |
 * |---|---|---|
 * | `local` | this process, by what the token says | none |
 * | `live` | the broker, by rights, budgets and approvals of this moment; each call is on record before it runs | one request, and one behind the answer |
 */
import { type Clock, systemClock, systemTicks, type Ticks } from '../../../kernel/clock.ts'
import { FETCH_TIMEOUT_MS } from '../../../kernel/outbound-limits.ts'
import type { ServerIdentity } from '../../broker/client-assertion.ts'
import type { Fetch, FormDoor, JsonDoor } from '../../broker/http.ts'
import { tracedDoors } from '../../broker/trace.ts'
import { type CallJudge, localJudge } from '../call-judge.ts'
import { BrokerApi } from './broker-api.ts'
import { Downstream, type DownstreamToken, type PassedOn, type Target } from './downstream.ts'
import type { Inbound } from './inbound.ts'
import { liveJudge } from './live-judge.ts'
import { Outcomes } from './outcomes.ts'
import { type Showing, type Viewer, visible, visibleTo } from './visible.ts'

export { BrokerUnavailable, NotTrusted, Refused } from '../../agent/agent-errors.ts'
export type { DownstreamToken, Target } from './downstream.ts'
export type { Inbound } from './inbound.ts'
export type { Showing, Viewer } from './visible.ts'

export interface BrokerClientOptions {
  /** The broker's issuer identifier, exactly. */
  readonly issuer: string
  readonly client: ServerIdentity
  /** Who judges calls. Default: `live`. */
  readonly mode?: 'local' | 'live'
  /** For one question: whatever is not answered by then is refused as `unavailable` (503). Default: 3 000 ms. */
  readonly timeoutMs?: number
  /** In live mode: tells the broker what tools answer, for it to seal (`audit.capture.responses`). Default: false. */
  readonly reportResponses?: boolean
  /**
   * `traceparent` of what is being done now, as a tracing library has it: goes to the broker and to servers downstream. Default: of
   * the inbound request, in what the broker is asked about its calls.
   */
  readonly traceparent?: () => string | undefined
  readonly door?: JsonDoor
  readonly forms?: FormDoor
  readonly fetch?: Fetch
  readonly clock?: Clock
  readonly ticks?: Ticks
}

export interface BrokerClient {
  /** For the drop-ins' option `judge`. */
  readonly judge: CallJudge
  /** A token of this server's own for the next one, in the name of whoever called it. @throws Refused, BrokerUnavailable, NotTrusted */
  exchangeForDownstream(inbound: Inbound, target: Target): Promise<DownstreamToken>
  /** `fetch` with such a token, for that resource alone. @param passed on with each request; a text is the `requestId` */
  downstreamFetch(inbound: Inbound, target: Target, passed?: string | PassedOn): Fetch
  /** Of `ids`, in their order, those that may be shown to the viewer now; whatever is not certain is not among them. */
  filterVisible(viewer: Viewer, ids: readonly string[], showing: Showing): Promise<string[]>
  /** Those that may be shown to everybody of a shared place; to nobody in particular, none. */
  visibleToAll(audience: readonly Viewer[], ids: readonly string[], showing: Showing): Promise<string[]>
  /** Outcomes that wait to be told, and those that were given up. */
  readonly outcomes: { readonly pending: number; readonly untold: number }
  /** Before the process ends: tells what waits, and forgets tokens. @param withinMs default: 5 000 */
  close(withinMs?: number): Promise<void>
}

const CLOSE_MS = 5_000

export function createBrokerClient(options: BrokerClientOptions): BrokerClient {
  const { issuer, client, mode = 'live', timeoutMs = FETCH_TIMEOUT_MS } = options
  const { door, forms, fetch } = tracedDoors(options)
  const { clock = systemClock, ticks = systemTicks } = options
  if (!URL.canParse(issuer) || issuer.endsWith('/'))
    throw new TypeError('issuer must be a URL without a trailing slash')
  if (mode !== 'local' && mode !== 'live') throw new TypeError('mode must be local or live')
  if (!(timeoutMs > 0)) throw new TypeError('timeoutMs must be more than nothing')
  const api = new BrokerApi({ issuer, client, timeoutMs, door, clock, ticks })
  const outcomes = new Outcomes(api)
  const downstream = new Downstream({ issuer, client, door: forms, fetch, clock, ticks })
  return {
    judge: mode === 'local' ? localJudge : liveJudge(api, outcomes, options.reportResponses === true),
    exchangeForDownstream: (inbound, target) => downstream.exchange(inbound, target),
    downstreamFetch: (inbound, target, passed) => downstream.fetchFor(inbound, target, passed),
    filterVisible: (viewer, ids, showing) => visible(api, viewer, ids, showing),
    visibleToAll: (audience, ids, showing) => visibleTo(api, audience, ids, showing),
    outcomes,
    close: async (withinMs = CLOSE_MS) => {
      downstream.clear()
      await outcomes.close(withinMs)
    },
  }
}
