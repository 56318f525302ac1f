/**
 * The revocations as a verifier uses them: whether a token that verified is dead by now, and what of it is (DESIGN §7).
 *
 * Stale means stop: a view that is older than its bound refuses everything with `unavailable`, unless the operator of the server
 * has chosen otherwise in writing; one that never was complete refuses whatever was chosen.
 */
import type { Clock, Ticks } from '../../../kernel/clock.ts'
import { messageOf } from '../../../kernel/fault.ts'
import { FEED_STALE_MS_DEFAULT, FEED_STALE_MS_MIN, FEED_TOKENS_HELD_MAX } from '../../../kernel/feed-limits.ts'
import type { ServerIdentity } from '../../broker/client-assertion.ts'
import type { JsonDoor, StreamDoor } from '../../broker/http.ts'
import type { SignedToken } from '../signed-token.ts'
import { TokenRefused, type VerifiedToken, withoutRevoked } from '../verified-token.ts'
import { FeedFollower } from './feed-follower.ts'
import type { FeedMessage } from './feed-message.ts'
import { Places, type TokenPlaces } from './places.ts'
import { RevocationView } from './revocation-view.ts'

export interface RevocationOptions extends ServerIdentity {
  /** How old the view may be, in milliseconds; 2 000 at least. Default: 5 000. */
  readonly staleAfterMs?: number
  /**
   * `accept`: a view that is too old is believed all the same, so that a revoked token may pass for as long as no broker can be
   * reached. Default: `refuse`, with `unavailable`.
   */
  readonly whenStale?: 'refuse' | 'accept'
  /**
   * Told of each token that was verified here and has been revoked since, so that what it began can be ended. Of the last
   * 10 000 that were verified.
   */
  readonly onRevoked?: (token: VerifiedToken) => void
}

/** For health checks. */
export interface RevocationState {
  /** It has been complete once. */
  readonly ready: boolean
  /** Tokens are judged; else they are refused, or believed where that was chosen. */
  readonly fresh: boolean
  /** Infinite: never complete. */
  readonly ageMs: number
  readonly cutoffs: number
  /** `undefined`: nobody is being heard now. */
  readonly via: 'stream' | 'poll' | undefined
  /** What went wrong last, where something has since the last heartbeat. */
  readonly fault: string | undefined
}

export interface RevocationParts {
  readonly issuer: string
  readonly resource: string
  readonly door: JsonDoor
  readonly streams: StreamDoor
  readonly clock: Clock
  readonly ticks: Ticks
}

interface HeldToken {
  readonly token: VerifiedToken
  readonly places: TokenPlaces
}

export class Revocations {
  readonly #options: RevocationOptions
  readonly #parts: RevocationParts
  readonly #places: Places
  readonly #view: RevocationView
  readonly #follower: FeedFollower
  readonly #staleAfterMs: number
  readonly #held = new Map<string, HeldToken>()
  readonly #whenReady: Promise<void>
  #settle: { readonly ready: () => void; readonly closed: (why: Error) => void } | undefined
  #isReady = false
  #isClosed = false
  #isLooking = false

  /** Begins to follow at once. */
  constructor(options: RevocationOptions, parts: RevocationParts) {
    const { staleAfterMs = FEED_STALE_MS_DEFAULT } = options
    // Below it every token would be refused between two heartbeats.
    if (!(staleAfterMs >= FEED_STALE_MS_MIN)) throw new TypeError(`staleAfterMs must be ${FEED_STALE_MS_MIN} at least`)
    this.#options = options
    this.#parts = parts
    this.#staleAfterMs = staleAfterMs
    this.#whenReady = new Promise<void>((ready, closed) => {
      this.#settle = { ready, closed }
    })
    // Whoever does not wait for it must not be ended by it.
    this.#whenReady.catch(() => undefined)
    this.#places = new Places(parts)
    this.#view = new RevocationView(parts.clock, parts.ticks)
    this.#follower = new FeedFollower({
      ...parts,
      client: options,
      view: this.#view,
      applied: (message) => this.#applied(message),
    })
  }

  /** Resolves when the view is complete for the first time: until then every token is refused. @throws Error when closed before */
  ready(): Promise<void> {
    return this.#whenReady
  }

  get state(): RevocationState {
    const { fault, via } = this.#follower
    return {
      ready: this.#isReady,
      fresh: this.#isFresh(),
      ageMs: this.#view.ageMs,
      cutoffs: this.#view.size,
      via,
      fault: fault === undefined ? undefined : messageOf(fault),
    }
  }

  /** Follows no more: from here on every token is refused. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#settle?.closed(new Error('the verifier was closed'))
    await this.#follower.close()
  }

  #isFresh(): boolean {
    return !this.#isClosed && this.#view.ageMs <= this.#staleAfterMs
  }

  /** What is left of a token that verified. @throws TokenRefused `invalid`: revoked; `unavailable`: nobody can say */
  judged(signed: SignedToken): VerifiedToken {
    const { token } = signed
    const places = this.#places.of(signed)
    // What is known to be dead is dead, however old the rest of what is known.
    if (this.#isCutOff(places)) throw new TokenRefused('invalid', 'the token has been revoked')
    const mayBeStale = this.#options.whenStale === 'accept' && this.#isReady && !this.#isClosed
    if (!this.#isFresh() && !mayBeStale) {
      throw new TokenRefused('unavailable', 'whether the token was revoked cannot be said at present')
    }
    const left = withoutRevoked(token, (tool) => this.#view.isCutOff(this.#places.ofTool(tool), places.rv))
    if (left.tools.size === 0 && token.tools.size > 0) {
      throw new TokenRefused('invalid', 'every tool of the token has been revoked')
    }
    if (this.#options.onRevoked !== undefined) this.#hold(signed.digest, { token: left, places })
    return left
  }

  #isCutOff({ shared, jti, rv }: TokenPlaces): boolean {
    return this.#view.isCutOff(shared, rv) || this.#view.isCutOffAt('node', jti)
  }

  #hold(digest: string, held: HeldToken): void {
    if (this.#held.size >= FEED_TOKENS_HELD_MAX && !this.#held.has(digest)) {
      const [oldest] = this.#held.keys()
      if (oldest !== undefined) this.#held.delete(oldest)
    }
    this.#held.set(digest, held)
  }

  #applied(message: FeedMessage): void {
    if (message.kind === 'heartbeat') {
      this.#isReady = true
      this.#settle?.ready()
    } else if (message.cutoffs.length > 0 && this.#held.size > 0 && !this.#isLooking) {
      // All that arrives together is looked at once.
      this.#isLooking = true
      setImmediate(() => this.#look())
    }
  }

  #look(): void {
    this.#isLooking = false
    const nowS = this.#parts.clock.nowMs() / 1000
    for (const [digest, { token, places }] of this.#held) {
      const isRevoked = this.#isCutOff(places)
      if (isRevoked || token.expiresAt < nowS) this.#held.delete(digest)
      if (isRevoked) this.#options.onRevoked?.(token)
    }
  }
}
