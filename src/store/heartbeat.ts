/**
 * Whether a store would take a write, asked of it again and again: readiness answers at once from what it last said, instead
 * of waiting for a store that may not answer at all.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { STORE_HEARTBEAT_MS } from '../kernel/store-limits.ts'

/** While it is down it is asked more often, so that the broker is back as soon as its store is. */
const DOWN_MS = 100

export interface Heartbeat {
  readonly ok: boolean
  stop(): void
}

/** @param beat a round trip, bounded in time, that fails where a write would; it has succeeded once already */
export function startHeartbeat(beat: () => Promise<unknown>): Heartbeat {
  const state = { ok: true, stopped: false }
  const run = async (): Promise<void> => {
    while (!state.stopped) {
      await sleep(state.ok ? STORE_HEARTBEAT_MS : DOWN_MS, undefined, { ref: false })
      state.ok = await beat().then(
        () => true,
        () => false,
      )
    }
  }
  void run()
  return {
    get ok() {
      return state.ok
    },
    stop: () => {
      state.stopped = true
    },
  }
}
