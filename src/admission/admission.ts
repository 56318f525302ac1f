/**
 * Admission: what a request may cost before anybody knows whose it is (DESIGN §5). Nothing here verifies anything; it decides
 * only who is worth a signature's work.
 *
 * How a request passes:
 * 1. It arrives, and takes one from its source's allowance. Where that is empty and nobody known is at home there, it is
 *    refused with its body unread, before anything else is made of it (`http/turned-away.ts`): the cheapest answer there is.
 *    From elsewhere it waits, its body read, until it is its turn (`strangers-turns.ts`).
 * 2. It names a client (`claimed-client.ts`; a name for a bucket, not believed).
 *    - The pair (source, claimed client and its key) has authenticated within the last hour: it takes one from the pair's own bucket, gives
 *      the source's back, and goes on at once. Neither the source's other callers nor others who claim its name elsewhere can
 *      take anything from that bucket.
 *    - Otherwise it is a stranger: it takes one from the allowance of (source, claimed client), and waits for one of a few
 *      places where strangers' credentials are verified.
 * 3. What was taken is a reservation. A success gives it back and makes, or keeps, the pair known; everything that ends
 *    otherwise is counted. So only failures are ever counted, and a client
 *    that authenticates is held by its own limit alone, however fast it is. Success means that single-use credentials have
 *    been claimed too: a replayed assertion verifies, and is a stranger's all the same.
 *
 * 4. A store that does not answer is not the caller's failure: that gives everything back too, and makes nobody known.
 * 5. An authenticated client has a rate of its own at each endpoint (so that a flood of token requests never stands in the way
 *    of its revokes), and users' tokens have one per issuer.
 *
 * Not limited here: discovery, keys and health, which cost no cryptography and which verifiers must always reach; and
 * `/admin/v1` beyond its login, because an operator who revokes must not be held up: whoever would make it check a signature
 * must name an internal key, and those are never published.
 *
 * What is promised: at most `burst` + `per_second` × t failures per source, and per source and claimed client, within any t;
 * fixed memory under any flood; a known client is not refused because of strangers, unless they share its source and know
 * both its client id and its key id, and even then it falls back to what strangers have. A source is the socket's peer, or
 * what a configured proxy says; all that a proxy which is not configured passes on is one source. Counted per process.
 */

import type { Ticks } from '../kernel/clock.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Entry } from '../model/request-facts.ts'
import type { Cells, Rate } from './cells.ts'
import { type ClaimedName, claimedName } from './claimed-client.ts'
import type { Door } from './door.ts'
import { HeldRefusals } from './held-refusals.ts'
import { KnownPairs } from './known-pairs.ts'
import { NamedRates } from './named-rates.ts'
import { later, limited, retryAfterSeconds } from './over-limit.ts'
import { RateSketch } from './rate-sketch.ts'
import { ONLY_CELL, release, type Taken, take } from './reservations.ts'
import { sourceKey } from './source-key.ts'
import { StrangersGate } from './strangers-gate.ts'
import { StrangersTurns } from './strangers-turns.ts'

/** `undefined`: switched off. */
export interface AdmissionLimits {
  readonly perSource: Rate | undefined
  readonly perSourceAndClient: Rate | undefined
  /** Of an authenticated client, at each endpoint. */
  readonly perClient: Rate | undefined
  /** Of users' tokens of one issuer. */
  readonly perIssuer: Rate | undefined
  /** How long the refusal of a stranger over its limit is held back. */
  readonly refusalDelayMs: number
}

export class Admission {
  readonly #ticks: Ticks
  readonly #sources: RateSketch | undefined
  readonly #claims: RateSketch | undefined
  readonly #known: KnownPairs
  readonly #gates: Readonly<Record<Door, StrangersGate>> = {
    token: new StrangersGate(),
    revoke: new StrangersGate(),
    sessions: new StrangersGate(),
    login: new StrangersGate(),
  }
  readonly #turns = new StrangersTurns()
  readonly #clients: NamedRates
  readonly #issuers: NamedRates
  readonly #refusals: HeldRefusals
  #nowMs = 0
  #lastTicksMs: number

  constructor(limits: AdmissionLimits, ticks: Ticks) {
    const { perSource, perSourceAndClient, perClient, perIssuer } = limits
    this.#ticks = ticks
    this.#lastTicksMs = ticks.ticksMs()
    this.#sources = perSource === undefined ? undefined : new RateSketch(perSource)
    this.#claims = perSourceAndClient === undefined ? undefined : new RateSketch(perSourceAndClient)
    this.#known = new KnownPairs(perSourceAndClient)
    this.#clients = new NamedRates(perClient)
    this.#issuers = new NamedRates(perIssuer)
    this.#refusals = new HeldRefusals(limits.refusalDelayMs)
  }

  /** Resolves when a request that ended like this may be answered. */
  async beforeAnswer(error: unknown): Promise<void> {
    if (!(error instanceof Rejection)) return
    if (error.reason === 'source_limited' || error.reason === 'source_client_limited') await this.#refusals.hold()
  }

  /**
   * Whether `arrive` would refuse with `source_limited`: for whoever can answer that before anything is made of the request.
   * Takes nothing. @returns the seconds to wait, or `undefined`
   */
  turnedAway(address: string, door: Door): number | undefined {
    const source = sourceKey(address)
    if (this.#sources === undefined || this.#known.isHome(source)) return undefined
    const waitMs = this.#sources.waitMs(payerOf(source, door), this.#now())
    return waitMs === 0 ? undefined : retryAfterSeconds(waitMs)
  }

  /** Resolves when such a refusal may be answered. */
  holdRefusal(): Promise<void> {
    return this.#refusals.hold()
  }

  /** Before the body is read. @throws Rejection `source_limited` */
  arrive(address: string, door: Door): Entry {
    const source = sourceKey(address)
    const payer = payerOf(source, door)
    const nowMs = this.#now()
    const taken: Taken[] = []
    const paid = take(this.#sources, payer, nowMs, taken)
    if (!paid && !this.#known.isHome(source)) throw this.#sourceLimited(payer, nowMs)
    let claimed: ClaimedName | undefined
    let isKnown = false
    let client: string | undefined
    const own: Taken[] = []
    let isOwn = false
    let isFirst = false
    return {
      turn: async () => {
        isFirst = this.#known.isHome(source)
        if (isFirst) this.#turns.knownBegun()
        else if (!(await this.#turns.take(door))) throw limited('strangers_limited', undefined)
      },
      claim: (claim) => {
        claimed = claimedName(claim)
        isKnown = this.#claim({ source, payer, claimed, taken, paid })
      },
      admit: async (authenticate) => {
        const result = await (isKnown ? authenticate() : this.#asStranger(door, authenticate))
        client = result.client.clientId
        return result
      },
      spend: (endpoint) => this.#spend(this.#clients.bucket(`${endpoint} ${client}`), 'client_limited', own),
      spendIssuer: (issuer) => this.#spend(this.#issuers.bucket(issuer), 'issuer_limited', own),
      succeeded: () => {
        if (client === undefined) return
        isOwn = true
        release(taken)
        if (claimed !== undefined) this.#known.remember({ source, claimed: claimed.recognisedBy, client }, this.#now())
      },
      excused: (isProven) => {
        if (client === undefined || !(isProven || isKnown)) return
        isOwn = true
        release(taken)
      },
      end: () => {
        if (isFirst) this.#turns.knownEnded()
        // Whoever replays a client's assertion does not spend what the client has.
        if (!isOwn) release(own)
        for (const { from, places } of [...taken.splice(0), ...own.splice(0)]) from.count(places, this.#now())
      },
    }
  }

  /** One request, at this endpoint, of a client that has shown a token of ours. @throws Rejection `client_limited` */
  spend(clientId: string, endpoint: string): void {
    const own: Taken[] = []
    this.#spend(this.#clients.bucket(`${endpoint} ${clientId}`), 'client_limited', own)
    for (const { from, places } of own) from.count(places, this.#now())
  }

  /** Whether this is a known pair that can pay for itself. */
  #claim({ source, payer, claimed, taken, paid }: Arrived): boolean {
    const nowMs = this.#now()
    const pair = claimed === undefined ? undefined : this.#known.find(source, claimed.recognisedBy, nowMs)
    if (pair !== undefined) {
      const { bucket } = pair
      if (bucket === undefined || bucket.reserve(ONLY_CELL, nowMs)) {
        release(taken)
        if (bucket !== undefined) taken.push({ from: bucket, places: ONLY_CELL })
        return true
      }
    }
    if (!paid) throw this.#sourceLimited(payer, nowMs)
    const name = `${payer}\n${claimed?.client}`
    if (claimed !== undefined && !take(this.#claims, name, nowMs, taken)) {
      throw limited('source_client_limited', this.#claims?.waitMs(name, nowMs))
    }
    return false
  }

  #spend(bucket: Cells | undefined, reason: 'client_limited' | 'issuer_limited', own: Taken[]): void {
    if (bucket === undefined) return
    const nowMs = this.#now()
    if (!bucket.reserve(ONLY_CELL, nowMs)) {
      const whose = reason === 'client_limited' ? 'of this client' : 'with tokens of this issuer'
      throw later(
        reason,
        `too many requests ${whose}: wait as long as Retry-After says`,
        bucket.waitMs(ONLY_CELL, nowMs),
      )
    }
    own.push({ from: bucket, places: ONLY_CELL })
  }

  async #asStranger<T>(door: Door, authenticate: () => Promise<T>): Promise<T> {
    const gate = this.#gates[door]
    if (!(await gate.enter())) throw limited('strangers_limited', undefined)
    try {
      return await authenticate()
    } finally {
      gate.leave()
    }
  }

  #sourceLimited(payer: string, nowMs: number) {
    return limited('source_limited', this.#sources?.waitMs(payer, nowMs))
  }

  /** Only what has passed counts: a source of ticks that is set back stops nobody, one that jumps fills buckets once. */
  #now(): number {
    const ticksMs = this.#ticks.ticksMs()
    this.#nowMs += Math.max(ticksMs - this.#lastTicksMs, 0)
    this.#lastTicksMs = ticksMs
    return this.#nowMs
  }
}

interface Arrived {
  readonly source: string
  /** Whose allowance a stranger's request is taken from: the source's at this door. */
  readonly payer: string
  readonly claimed: ClaimedName | undefined
  readonly taken: Taken[]
  /** Whether the source could pay. */
  readonly paid: boolean
}

const payerOf = (source: string, door: Door) => `${door} ${source}`
