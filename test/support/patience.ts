/** What a test that is not about time takes for granted of a machine: nothing. */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * How long a test waits for what has to come in the end: so long that no machine is too slow or too busy, as a wait that succeeds
 * early costs nothing. Where something is promised within a time the test says that time itself.
 */
export const PATIENCE_MS = 30_000

/** Asks again for as long as the answer is 503: a store that a busy machine holds up is no answer to what was asked. */
export async function whenReady<T extends { readonly status: number }>(ask: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    const answer = await ask()
    if (answer.status !== 503 || performance.now() > until) return answer
    await sleep(100)
  }
}
