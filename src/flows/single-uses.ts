/**
 * The single-use credentials of one request (DESIGN §5, step 5): claimed in one round trip, after all cryptography has
 * passed, under the request's nonce, so that a repeated call sees its own claim as its own.
 */
import { newNonce } from '../kernel/ids.ts'
import type { SingleUse } from '../model/evidence.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import { claimOnce } from '../sessions/replay-guard.ts'
import type { Store } from '../store/ports.ts'

export class SingleUses {
  readonly #nonce = newNonce()
  readonly #store: Store
  readonly #cutoffs: LiveCutoffs
  #unclaimed: SingleUse[] = []

  constructor(store: Store, cutoffs: LiveCutoffs) {
    this.#store = store
    this.#cutoffs = cutoffs
  }

  get isAnyUnclaimed(): boolean {
    return this.#unclaimed.length > 0
  }

  add(use: SingleUse | undefined): void {
    if (use !== undefined) this.#unclaimed.push(use)
  }

  /** Once: what could not be claimed is not tried again. @throws Rejection as `claimOnce` does; StoreUnavailable */
  async claim(): Promise<void> {
    const uses = this.#unclaimed
    this.#unclaimed = []
    const cutoffs = this.#cutoffs
    const claimed = uses.map((use) => claimOnce(this.#store.claims, use, { nonce: this.#nonce, cutoffs }))
    // In their order, the client's own first: whoever replays that is a stranger, whatever else they replay.
    for (const outcome of await Promise.allSettled(claimed)) if (outcome.status === 'rejected') throw outcome.reason
  }
}
