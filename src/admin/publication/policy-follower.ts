/**
 * Keeps this broker deciding by the policy that is published: hears of it on the control feed, loads it, and swaps it in as a
 * whole. Until then what is minted carries a number below the publication's, so that its cut-offs concern it; one that cannot be
 * loaded stops the broker, which must not go on deciding by what is no longer the policy.
 */
import { messageOf } from '../../kernel/fault.ts'
import { POLICY_RETRY_MS } from '../../kernel/policy-limits.ts'
import type { RegistrySource } from '../../model/published-registry.ts'
import type { Registry } from '../../model/registry.ts'
import type { LoadedPolicy, PolicyLibrary } from '../../registry/publication/policy-library.ts'
import type { LiveCutoffs } from '../../sessions/live-cutoffs.ts'

export interface FollowerParts {
  readonly library: PolicyLibrary
  readonly cutoffs: LiveCutoffs
  /** Told once of each version that cannot be loaded, and of each that now decides. */
  readonly report: FollowerReport
}

export interface FollowerReport {
  loaded(registry: Registry): void
  failed(version: string, problem: string): void
}

/** Who offers what is only given back. */
const STORE = 'store'

export class PolicyFollower implements RegistrySource {
  readonly #parts: FollowerParts
  #policy: LoadedPolicy
  #loading: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #failedVersion: string | undefined
  #isStopped = false

  /** @param own what this broker's files say: nothing is decided by it before it is published. */
  constructor(parts: FollowerParts, own: LoadedPolicy) {
    this.#parts = parts
    this.#policy = own
    parts.library.remember(own)
    parts.cutoffs.policyPublished = () => void this.caughtUp()
    parts.cutoffs.readAnew = (atMs) => void this.#keepAgain(atMs)
  }

  get current(): Registry {
    return this.#policy.registry
  }

  /** What decides now, with its documents. */
  get policy(): LoadedPolicy {
    return this.#policy
  }

  /** Resolves when what is published has been loaded, or could not be. */
  caughtUp(): Promise<void> {
    this.#loading ??= this.#catchUp()
    return this.#loading
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#retry)
  }

  async #catchUp(): Promise<void> {
    const { cutoffs, library } = this.#parts
    clearTimeout(this.#retry)
    // Whoever asks from here on is given this.
    await undefined
    try {
      for (;;) {
        const version = cutoffs.set.policy?.version
        if (version === undefined || this.#isStopped) return
        try {
          const loaded = await library.load(version)
          if (loaded === undefined) throw new Error('the store does not have it')
          // Another may have been published meanwhile: then this one decides nothing.
          if (cutoffs.set.policy?.version === version) return this.#swap(loaded)
        } catch (error) {
          return this.#fail(version, messageOf(error))
        }
      }
    } finally {
      // In the same step as the last look: what is published after it is heard of by another.
      this.#loading = undefined
    }
  }

  /** A store that has lost the text of what decides is given it again: brokers that start have nowhere else to read it. */
  async #keepAgain(atMs: number): Promise<void> {
    const { cutoffs, library } = this.#parts
    const policy = this.#policy
    const { version } = policy.registry
    if (cutoffs.set.policy?.version !== version || cutoffs.policyProblem !== undefined) return
    try {
      if ((await library.read(version)) === undefined) await library.keep(policy, STORE, atMs)
    } catch {
      // With the next snapshot, by this broker or another.
    }
  }

  #swap(policy: LoadedPolicy): void {
    const isNews = this.#policy.registry.version !== policy.registry.version || this.#failedVersion !== undefined
    this.#policy = policy
    this.#failedVersion = undefined
    this.#parts.cutoffs.decideBy(policy.registry.version)
    if (isNews) this.#parts.report.loaded(policy.registry)
  }

  #fail(version: string, problem: string): void {
    this.#parts.cutoffs.policyFault = problem
    if (this.#failedVersion !== version) this.#parts.report.failed(version, problem)
    this.#failedVersion = version
    if (this.#isStopped) return
    this.#retry = setTimeout(() => void this.caughtUp(), POLICY_RETRY_MS)
    this.#retry.unref()
  }
}
