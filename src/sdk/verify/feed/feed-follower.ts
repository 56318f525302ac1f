/**
 * Follows the feed of revocations for as long as it is told to: by stream, and where none gets through, by poll. Whatever goes
 * wrong is tried again, sooner at first than later, from the place that was reached; what cannot be continued begins anew.
 *
 * It decides nothing: how old the view has become in the meantime is the view's own to say.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  FEED_LATE_MS_MAX,
  FEED_POLL_PERIOD_MS,
  FEED_POLL_WAIT_S,
  FEED_RETRY_MS_MAX,
  FEED_RETRY_MS_MIN,
  FEED_SILENCE_MS_MAX,
} from '../../../kernel/feed-limits.ts'
import { FEED_PATH, positionText } from '../../../protocol/revocation-feed.ts'
import { type ApiToken, type ApiTokenOptions, fetchApiToken } from '../../broker/api-token.ts'
import { BrokerRefused, type StreamDoor } from '../../broker/http.ts'
import { readEvents } from './event-stream.ts'
import { decodeAnswer, decodeEvent, FeedBroken, type FeedMessage } from './feed-message.ts'
import type { RevocationView } from './revocation-view.ts'

/** Of the API token. */
const SCOPE = 'revocations'

export interface FollowerParts extends Omit<ApiTokenOptions, 'scope'> {
  readonly view: RevocationView
  readonly streams: StreamDoor
  /** Told of everything that was applied. */
  readonly applied: (message: FeedMessage) => void
}

export class FeedFollower {
  readonly #parts: FollowerParts
  readonly #stopping = new AbortController()
  #token: ApiToken | undefined
  #failures = 0
  /** Until then polls: streams do not get through. */
  #pollUntilTicksMs = 0
  /** Whether the present stream, or the last, has said anything. */
  #hasSpoken = false
  #via: 'stream' | 'poll' | undefined
  #fault: unknown
  readonly #running: Promise<void>

  constructor(parts: FollowerParts) {
    this.#parts = parts
    this.#running = this.#run()
  }

  /** How it follows now; `undefined`: not at all. */
  get via(): 'stream' | 'poll' | undefined {
    return this.#via
  }

  /** Why it does not; of the last attempt. */
  get fault(): unknown {
    return this.#fault
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#once()
      } catch (fault) {
        if (this.#stopping.signal.aborted) return
        this.#fault = fault
        this.#via = undefined
        if (fault instanceof FeedBroken) this.#parts.view.begin()
        // A token that is not taken any more: revoked, or of keys that are gone.
        if (fault instanceof BrokerRefused && fault.status === 401) this.#token = undefined
        await this.#pause()
      }
    }
  }

  /** One stream to its end, or one poll. */
  async #once(): Promise<void> {
    const token = await this.#currentToken()
    this.#parts.view.connecting()
    if (this.#parts.ticks.ticksMs() < this.#pollUntilTicksMs) return this.#poll(token)
    this.#hasSpoken = false
    try {
      await this.#stream(token)
    } catch (fault) {
      if (!this.#hasSpoken && this.#failures > 0) {
        // Twice in a row not a word: if a poll is answered now, something in between does not let streams through.
        await this.#poll(token)
        this.#pollUntilTicksMs = this.#parts.ticks.ticksMs() + FEED_POLL_PERIOD_MS
        return
      }
      throw fault
    }
  }

  async #currentToken(): Promise<ApiToken> {
    const isGood = this.#token !== undefined && this.#parts.ticks.ticksMs() < this.#token.renewAtTicksMs
    if (!isGood || this.#token === undefined) this.#token = await fetchApiToken({ ...this.#parts, scope: SCOPE })
    return this.#token
  }

  async #stream({ token, renewAtTicksMs }: ApiToken): Promise<void> {
    const { issuer, streams, view, ticks } = this.#parts
    const ending = new AbortController()
    const silence = setTimeout(() => ending.abort(new Error('the feed is silent')), FEED_SILENCE_MS_MAX)
    const renewal = setTimeout(() => void this.#renew(ending), Math.max(renewAtTicksMs - ticks.ticksMs(), 0))
    try {
      const bytes = await streams({
        url: issuer + FEED_PATH,
        bearer: token,
        ...(view.position === undefined ? {} : { lastEventId: positionText(view.position) }),
        signal: AbortSignal.any([ending.signal, this.#stopping.signal]),
      })
      for await (const { event, data } of readEvents(bytes)) {
        silence.refresh()
        this.#apply(decodeEvent(event, data))
        this.#hasSpoken = true
        this.#via = 'stream'
      }
      throw new Error('the feed has ended')
    } catch (fault) {
      // Its token was renewed: it goes on with that at once.
      if (ending.signal.aborted && ending.signal.reason === RENEWED) return
      throw fault
    } finally {
      clearTimeout(silence)
      clearTimeout(renewal)
      ending.abort()
    }
  }

  /** The next token first, and only then the end of the stream that the old one has opened. */
  async #renew(ending: AbortController): Promise<void> {
    while (!ending.signal.aborted && !this.#stopping.signal.aborted) {
      try {
        this.#token = await fetchApiToken({ ...this.#parts, scope: SCOPE })
        return ending.abort(RENEWED)
      } catch (fault) {
        this.#fault = fault
        await sleep(FEED_RETRY_MS_MAX)
      }
    }
  }

  async #poll({ token }: ApiToken): Promise<void> {
    const { issuer, door, view } = this.#parts
    view.connecting()
    const since = view.position === undefined ? '' : `since=${positionText(view.position)}&`
    const url = `${issuer}${FEED_PATH}?${since}wait_seconds=${FEED_POLL_WAIT_S}`
    for (const message of decodeAnswer(await door({ url, bearer: token, waitMs: FEED_POLL_WAIT_S * 1000 }))) {
      this.#apply(message)
    }
    this.#via = 'poll'
    // Whatever answers at once is not asked without a pause.
    await sleep(FEED_RETRY_MS_MIN)
  }

  #apply(message: FeedMessage): void {
    const { view, applied } = this.#parts
    view.apply(message)
    applied(message)
    if (message.kind !== 'heartbeat') return
    this.#fault = undefined
    this.#failures = 0
    // What is told late on this connection may be told in time on another.
    if (view.ageMs > FEED_LATE_MS_MAX) throw new Error('the feed comes late')
  }

  async #pause(): Promise<void> {
    const most = Math.min(FEED_RETRY_MS_MIN * 2 ** this.#failures, FEED_RETRY_MS_MAX)
    this.#failures += 1
    // A part of it is chance: those who have lost the same broker do not come back as one.
    await sleep(randomInt(Math.ceil(most / 2), most + 1), undefined, { signal: this.#stopping.signal }).catch(
      () => undefined,
    )
  }
}

const RENEWED = Symbol('renewed')
