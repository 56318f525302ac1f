/**
 * The bounds of stores, for tests that are about what a store answers: how soon it must, `redis-outage` tells. On a machine that
 * stands still for a moment no answer is late. To take the place of `kernel/store-limits.ts`, by `vi.mock`.
 */
export async function patientLimits(original: <T>() => Promise<T>): Promise<object> {
  return { ...(await original<object>()), STORE_DEADLINE_MS: 30_000 }
}
