/** For the contracts of what ends by itself. */
import { setTimeout as sleep } from 'node:timers/promises'

/** What `act` finds while something lasts that it writes: where a machine is too busy to come so far by then, once more with more time. */
export async function whileItLasts<T>(
  act: (expiresAtMs: number) => Promise<T>,
  briefMs = 500,
): Promise<T & { over(): Promise<void> }> {
  for (let lastsMs = briefMs; ; lastsMs *= 2) {
    const expiresAtMs = Date.now() + lastsMs
    const found = await act(expiresAtMs)
    if (Date.now() < expiresAtMs) return { ...found, over: () => sleep(Math.max(0, expiresAtMs - Date.now()) + 20) }
  }
}
