/**
 * The next server, called in the name of whoever called this one: with a token of this server's own (DESIGN §3, flow 7), which the
 * broker gives for the inbound one. The inbound token goes to the broker alone: nothing here takes its text to anywhere else.
 *
 * Guarantees: one exchange however many wait; a token is kept by the inbound token's `jti` and what was asked for, and never beyond
 * the end of either; it goes to its own resource and to no other address; a bound inbound token is answered with a key of this process.
 */
import { type Clock, epochSeconds, type Ticks } from '../../../kernel/clock.ts'
import type { Secret } from '../../../kernel/secret.ts'
import { GRANT_TYPE, TOKEN_TYPE } from '../../../protocol/oauth.ts'
import { formatScope, parseScope, type ScopeSet } from '../../../protocol/scope.ts'
import { plainTracestate, TRACEPARENT, TRACESTATE } from '../../../protocol/trace-context.ts'
import { NotTrusted, Refused } from '../../agent/agent-errors.ts'
import { privateKeyJwt } from '../../agent/credential.ts'
import { DpopKey } from '../../agent/dpop-key.ts'
import { TokenEndpoint } from '../../agent/token-endpoint.ts'
import type { ServerIdentity } from '../../broker/client-assertion.ts'
import type { Fetch, FormDoor } from '../../broker/http.ts'
import { plainTraceparent } from '../../broker/trace.ts'
import { type Inbound, type ReadInbound, readInbound } from './inbound.ts'

/** What is wanted of the next server. */
export interface Target {
  /** Its URL, as registered with the broker. */
  readonly resource: string
  /** Default: all that the session is for there. */
  readonly scope?: string
  /** To ask for less than that: `mcp_tools` of this resource alone (RFC 9396). */
  readonly authorizationDetails?: readonly Readonly<Record<string, unknown>>[]
}

/** Of the inbound request, so that the next server's log and records name it, too. */
export interface PassedOn {
  readonly requestId?: string | undefined
  /** W3C Trace Context; what is not well-formed is not passed on. */
  readonly traceparent?: string | undefined
  /** Beside it, as it came; without a `traceparent` it says nothing, and stays behind. */
  readonly tracestate?: string | undefined
}

/** For the one resource it names. It is not the inbound token, and has no text that would print. */
export interface DownstreamToken {
  readonly resource: string
  readonly secret: Secret
  readonly type: 'Bearer' | 'DPoP'
  readonly scopes: ScopeSet
  /** Epoch seconds, by this server's clock; never later than the inbound token's. */
  readonly expiresAt: number
}

export interface DownstreamParts {
  readonly issuer: string
  readonly client: ServerIdentity
  readonly door: FormDoor
  readonly fetch: Fetch
  readonly clock: Clock
  readonly ticks: Ticks
}

interface Kept {
  readonly flight: Promise<DownstreamToken>
  /** By the ticks; `undefined`: it is on its way. */
  endsAtTicksMs: number | undefined
}

const KEPT_MAX = 10_000
/** A token on its way must not end there. */
const TRAVEL_MS = 2_000

export class Downstream {
  readonly #parts: DownstreamParts
  readonly #kept = new Map<string, Kept>()
  readonly #key: DpopKey
  readonly #endpoints: { readonly plain: TokenEndpoint; readonly bound: TokenEndpoint }

  constructor(parts: DownstreamParts) {
    const { issuer, client, door, clock, ticks } = parts
    this.#parts = parts
    this.#key = new DpopKey(clock)
    const tokenEndpoint = `${issuer}/token`
    const metadata = { get: async () => ({ issuer, tokenEndpoint, revocationEndpoint: undefined, document: {} }) }
    const credential = privateKeyJwt({ clientId: client.clientId, sign: (claims) => client.sign(claims) })
    const asking = { metadata, credential, door, clock, ticks }
    this.#endpoints = {
      plain: new TokenEndpoint({ ...asking, proofs: undefined }),
      bound: new TokenEndpoint({ ...asking, proofs: this.#key }),
    }
  }

  /** @throws Refused with the broker's reason, BrokerUnavailable, NotTrusted; TypeError for what is no verified token */
  exchange(inbound: Inbound, target: Target): Promise<DownstreamToken> {
    const read = readInbound(inbound)
    const key = JSON.stringify([
      read.verified.jti,
      target.resource,
      target.scope ?? null,
      target.authorizationDetails ?? null,
    ])
    const known = this.#kept.get(key)
    const now = this.#parts.ticks.ticksMs()
    if (known !== undefined && (known.endsAtTicksMs === undefined || now < known.endsAtTicksMs)) return known.flight
    this.#makeRoom(now)
    const ends = (ticksMs: number) => {
      kept.endsAtTicksMs = ticksMs
    }
    const kept: Kept = { flight: this.#ask(read, target, ends), endsAtTicksMs: undefined }
    this.#kept.set(key, kept)
    kept.flight.catch(() => {
      if (this.#kept.get(key) === kept) this.#kept.delete(key)
    })
    return kept.flight
  }

  /** `fetch` for this one target: sets `Authorization`, and what is to be passed on. */
  fetchFor(inbound: Inbound, target: Target, passed: string | PassedOn = {}): Fetch {
    const { requestId, traceparent, tracestate } = typeof passed === 'string' ? { requestId: passed } : passed
    const trace = plainTraceparent(traceparent)
    const state = trace === undefined ? undefined : plainTracestate(tracestate)
    const base = new URL(target.resource)
    return async (input, init) => {
      const request = new Request(input, init)
      if (!isWithin(new URL(request.url), base)) {
        throw new NotTrusted(`a token for ${target.resource} is not sent to ${new URL(request.url).origin}`)
      }
      const token = await this.exchange(inbound, target)
      request.headers.set('authorization', `${token.type} ${token.secret.reveal()}`)
      if (token.type === 'DPoP') {
        const { method, url } = request
        request.headers.set('dpop', await this.#key.proof({ method, url, token: token.secret }))
      }
      if (requestId !== undefined) request.headers.set('x-request-id', requestId)
      if (trace !== undefined) request.headers.set(TRACEPARENT, trace)
      if (state !== undefined) request.headers.set(TRACESTATE, state)
      // Wherever it would be sent on to, the token is not for.
      const response = await this.#parts.fetch(new Request(request, { redirect: 'error' }))
      this.#key.learn(request.url, response.headers.get('dpop-nonce') ?? undefined)
      // Perhaps it was cut off: the next call asks the broker, who knows.
      if (response.status === 401) this.#forget(token)
      return response
    }
  }

  clear(): void {
    this.#kept.clear()
  }

  async #ask(
    { verified, bearer }: ReadInbound,
    target: Target,
    ends: (ticksMs: number) => void,
  ): Promise<DownstreamToken> {
    const { clock } = this.#parts
    const { resource, scope, authorizationDetails } = target
    const params = {
      grant_type: GRANT_TYPE.tokenExchange,
      subject_token: bearer.reveal(),
      subject_token_type: TOKEN_TYPE.accessToken,
      resource,
      scope: scope === undefined ? undefined : formatScope(parseScope(scope)),
      authorization_details: authorizationDetails && JSON.stringify(authorizationDetails),
    }
    const { plain, bound } = this.#endpoints
    // The key of a bound token is its sender's: what comes of it is bound to one of this process instead.
    const isBound = Object.hasOwn(verified.claims, 'cnf')
    const granted = await (isBound ? bound : plain).ask(params, 'access').catch((error: unknown) => {
      const needsKey = error instanceof Refused && error.reason === 'sender_constraint_required'
      if (isBound || !needsKey) throw error
      return bound.ask(params, 'access')
    })
    const inboundLeftMs = verified.expiresAt * 1000 - clock.nowMs()
    const leftMs = Math.min(granted.lifeSeconds * 1000, inboundLeftMs)
    ends(granted.askedTicksMs + leftMs - Math.min(TRAVEL_MS, leftMs / 2))
    return {
      resource,
      secret: granted.token,
      type: granted.type === 'DPoP' ? 'DPoP' : 'Bearer',
      scopes: granted.scopes,
      expiresAt: Math.min(verified.expiresAt, epochSeconds(clock) + Math.floor(granted.lifeSeconds)),
    }
  }

  #forget(token: DownstreamToken): void {
    for (const [key, { flight, endsAtTicksMs }] of this.#kept) {
      if (endsAtTicksMs === undefined) continue
      void flight.then((kept) => {
        if (kept === token) this.#kept.delete(key)
      })
    }
  }

  #makeRoom(now: number): void {
    if (this.#kept.size < KEPT_MAX) return
    for (const [key, { endsAtTicksMs }] of this.#kept) {
      if (endsAtTicksMs !== undefined && endsAtTicksMs <= now) this.#kept.delete(key)
    }
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size < KEPT_MAX) break
      this.#kept.delete(oldest)
    }
  }
}

/** At the resource's own address, or below it. */
function isWithin(url: URL, base: URL): boolean {
  if (url.origin !== base.origin || url.username !== '' || url.password !== '') return false
  const root = base.pathname.endsWith('/') ? base.pathname : `${base.pathname}/`
  return url.pathname === base.pathname || url.pathname.startsWith(root)
}
