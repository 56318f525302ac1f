/** What a test that is not about time takes for granted of a machine: nothing. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'

/**
 * How long a test waits for what has to come in the end: so long that no machine is too slow or too busy, as a wait that succeeds
 * early costs nothing. Where something is promised within a time the test says that time itself.
 */
export const PATIENCE_MS = 30_000

/** In several turns: what comes in one that the machine stood still in is read in the next. */
export async function aWhile(ms: number): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await sleep(ms / 10)
}

/** Asks again for as long as the answer is 503: a store that a busy machine holds up is no answer to what was asked. */
export async function whenReady<T extends { readonly status: number }>(ask: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    const answer = await ask()
    if (answer.status !== 503 || performance.now() > until) return answer
    await sleep(100)
  }
}

/** The same of a store that says so by throwing; only for what may be asked twice. */
export async function whenAvailable<T>(ask: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || performance.now() > until) throw error
      await sleep(100)
    }
  }
}

/** Whether every part of a store that was away has been looked at: its control slot answers before its shards do. */
export async function isBack(store: Store): Promise<boolean> {
  return store.takesWrites && (await store.ping().then(Boolean, () => false))
}
