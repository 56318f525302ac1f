/**
 * How many access tokens with a scope an agent is issued per minute, as its registry entry says (`issuance`). A sliding window
 * and not a bucket: of three per minute there are never more than three within any sixty seconds.
 *
 * Only what is issued counts; what is on its way holds its place until it has been issued or refused. Checking and taking
 * place is one synchronous step, so that no two requests of this process share a place. Other processes count for themselves.
 */
import { Rejection } from '../kernel/rejection.ts'
import type { IssuanceRule } from '../model/client.ts'

const WINDOW_MS = 60_000

/** Times of issue within the last minute, oldest first, and how many are on their way: at most `perMinute` together. */
interface Window {
  times: readonly number[]
  onTheirWay: number
}

export interface IssuancePlace {
  issued(nowMs: number): void
  release(): void
}

export class IssuanceRates {
  readonly #windows = new Map<string, Window>()

  /** A place under every rule that concerns `scopes`, or under none. @throws Rejection `issuance_limited` */
  take(agent: string, rules: readonly IssuanceRule[], scopes: readonly string[], nowMs: number): IssuancePlace {
    const concerned = rules.filter(({ scope }) => scopes.includes(scope))
    const windows = concerned.map((rule) => {
      const window = this.#window(`${agent}\n${rule.scope}`, nowMs)
      if (window.times.length + window.onTheirWay >= rule.perMinute) throw limited(rule, window, nowMs)
      return window
    })
    for (const window of windows) window.onTheirWay += 1
    const leave = () => {
      for (const window of windows) window.onTheirWay -= 1
    }
    return {
      release: leave,
      issued: (atMs) => {
        leave()
        for (const window of windows) window.times = [...window.times, atMs]
      },
    }
  }

  #window(key: string, nowMs: number): Window {
    const window = this.#windows.get(key) ?? { times: [], onTheirWay: 0 }
    this.#windows.set(key, window)
    window.times = window.times.filter((time) => time > nowMs - WINDOW_MS)
    return window
  }
}

function limited({ scope, perMinute }: IssuanceRule, { times }: Window, nowMs: number): Rejection {
  const waitMs = (times[0] ?? nowMs - WINDOW_MS) + WINDOW_MS - nowMs
  return new Rejection('issuance_limited', 'this agent has been issued as many tokens with this scope as it may be', {
    missing: [`fewer than ${perMinute} tokens with ${scope} within a minute`],
    retryAfterSeconds: Math.max(Math.ceil(waitMs / 1000), 1),
  })
}
