/**
 * A revocation that is not one: the same parts, read alike, and nothing in them that can write. What is told of it is what the
 * order itself would tell, by the same code.
 */
import type { KillParts } from './kill.ts'
import type { KeyKillParts } from './kill-key.ts'

export type OrderParts = KillParts & KeyKillParts

export function rehearsal(parts: OrderParts): OrderParts {
  const { cutoffs, sessions } = parts
  return {
    ...parts,
    sessions: { view: (id, now) => sessions.view(id, now), commit: async () => undefined },
    cutoffs: {
      set: cutoffs.set,
      storeNowMs: cutoffs.storeNowMs,
      standsUpTo: cutoffs.standsUpTo,
      write: async () => ({ seq: 0, atMs: 0 }),
    },
    keeper: undefined,
  }
}
