/**
 * Tokens in memory, of one holder (an agent by itself, or one session of one user): asked for ahead of their end, once however
 * many wait, and used on while nobody can give another. Nothing here is written anywhere.
 */
import { randomInt } from 'node:crypto'
import type { Ticks } from '../../kernel/clock.ts'
import type { Secret } from '../../kernel/secret.ts'
import { formatScope, type ScopeSet } from '../../protocol/scope.ts'
import { BrokerUnavailable } from './agent-errors.ts'
import type { Granted } from './token-endpoint.ts'

export interface AccessToken {
  readonly secret: Secret
  readonly type: 'Bearer' | 'DPoP'
  readonly scopes: ScopeSet
  /** By the ticks, as the holder counts. */
  readonly endsAtTicksMs: number
}

interface Entry {
  token: (AccessToken & { readonly renewAtTicksMs: number }) | undefined
  flight: Promise<AccessToken> | undefined
  /** Not before: the broker was away, or has refused. */
  askAgainTicksMs: number
}

/** `undefined` scope: all that was declared. */
export type Obtain = (resource: string, scopes: ScopeSet | undefined) => Promise<Granted>

/** Renewed this long before its end: the more of the two, but not in the first half of its life. */
const AHEAD_MS = 30_000
const AHEAD_SHARE = 0.2
const LATEST_SHARE = 0.5
/** How far renewals of tokens that were given together are drawn apart, of what is left. */
const JITTER_PERCENT = 25
/** A token on its way must not end there. */
const TRAVEL_MS = 2_000
/** Between two failed attempts to renew a token that is still good. */
const ASK_AGAIN_MS = 1_000
/** Resources × scope sets of one holder: a server that asks for another scope each time must not fill the memory. */
const ENTRIES_MAX = 256

export class TokenCache {
  readonly #obtain: Obtain
  readonly #ticks: Ticks
  readonly #entries = new Map<string, Entry>()

  constructor(obtain: Obtain, ticks: Ticks) {
    this.#obtain = obtain
    this.#ticks = ticks
  }

  /** @throws what obtaining one throws, where none is at hand that is still good */
  async get(resource: string, scopes: ScopeSet | undefined): Promise<AccessToken> {
    const entry = this.#entry(resource, scopes)
    const now = this.#ticks.ticksMs()
    const token = entry.token !== undefined && now < entry.token.endsAtTicksMs ? entry.token : undefined
    if (token !== undefined && (now < token.renewAtTicksMs || now < entry.askAgainTicksMs)) return token
    entry.flight ??= this.#renew(entry, resource, scopes)
    if (token === undefined) return entry.flight
    // Good for a while: nobody waits for its successor, and nobody hears that there is none yet.
    entry.flight.catch(() => undefined)
    return token
  }

  /** The server did not take it. Another's complaint about one that has been replaced changes nothing. */
  reject(token: AccessToken): void {
    for (const entry of this.#entries.values()) if (entry.token?.secret === token.secret) entry.token = undefined
  }

  /** Another in the place of this one, which stays until there is. Once, however many want it. @throws as `get` */
  replace(resource: string, scopes: ScopeSet | undefined, token: AccessToken): Promise<AccessToken> {
    const entry = this.#entry(resource, scopes)
    if (entry.token !== undefined && entry.token.secret !== token.secret) return Promise.resolve(entry.token)
    entry.flight ??= this.#renew(entry, resource, scopes)
    return entry.flight
  }

  /** What was made elsewhere for the same holder. */
  put(resource: string, scopes: ScopeSet | undefined, granted: Granted): void {
    this.#entry(resource, scopes).token = held(granted)
  }

  clear(): void {
    this.#entries.clear()
  }

  #entry(resource: string, scopes: ScopeSet | undefined): Entry {
    const key = scopes === undefined ? resource : `${resource} ${formatScope(scopes)}`
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    const fresh: Entry = { token: undefined, flight: undefined, askAgainTicksMs: 0 }
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < ENTRIES_MAX) break
      this.#entries.delete(oldest)
    }
    this.#entries.set(key, fresh)
    return fresh
  }

  async #renew(entry: Entry, resource: string, scopes: ScopeSet | undefined): Promise<AccessToken> {
    try {
      const token = held(await this.#obtain(resource, scopes))
      entry.token = token
      return token
    } catch (error) {
      const afterMs = error instanceof BrokerUnavailable ? (error.retryAfterSeconds ?? 0) * 1000 : 0
      entry.askAgainTicksMs = this.#ticks.ticksMs() + Math.max(afterMs, ASK_AGAIN_MS)
      throw error
    } finally {
      entry.flight = undefined
    }
  }
}

function held({ token, type, scopes, lifeSeconds, askedTicksMs }: Granted): NonNullable<Entry['token']> {
  const lifeMs = lifeSeconds * 1000
  const aheadMs = Math.min(Math.max(AHEAD_MS, lifeMs * AHEAD_SHARE), lifeMs * LATEST_SHARE)
  const jitterMs = (aheadMs * randomInt(0, JITTER_PERCENT)) / 100
  return {
    secret: token,
    type: type === 'DPoP' ? 'DPoP' : 'Bearer',
    scopes,
    renewAtTicksMs: askedTicksMs + lifeMs - aheadMs - jitterMs,
    endsAtTicksMs: askedTicksMs + lifeMs - Math.min(TRAVEL_MS, lifeMs * LATEST_SHARE),
  }
}
