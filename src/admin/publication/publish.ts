/**
 * Publishing a policy: the documents are kept under their version first, then one write of the control slot makes that version
 * the policy of all brokers and cuts off whatever it takes away. Two who publish at once: the second looks again at what the
 * first has made of it.
 */
import { EVERYTHING } from '../../authority/dimensions.ts'
import { CURRENT_POLICY } from '../../authority/policy-entry.ts'
import type { Clock } from '../../kernel/clock.ts'
import { CUTOFF_LIFETIME_S, MISSING_LINES_MAX } from '../../kernel/limits.ts'
import { ACCESS_CUTOFF_S, POLICY_ATTEMPTS_MAX } from '../../kernel/policy-limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { inSlices, type Sliced } from '../../kernel/slices.ts'
import type { Registry } from '../../model/registry.ts'
import { type PolicyDocuments, type PolicyFile, sameFiles } from '../../registry/publication/policy-documents.ts'
import type { LoadedPolicy, Offered, PolicyLibrary } from '../../registry/publication/policy-library.ts'
import { ConfigurationError } from '../../registry/strict-document.ts'
import type { LiveCutoffs } from '../../sessions/live-cutoffs.ts'
import { type ControlStore, type ControlWrite, StoreUnavailable } from '../../store/ports.ts'
import { inadmissible } from './admissible.ts'
import { type Difference, differenceOf } from './difference.ts'
import type { PolicyFollower } from './policy-follower.ts'
import type { Taken } from './taken.ts'

export interface PublisherParts {
  readonly library: PolicyLibrary
  readonly follower: PolicyFollower
  readonly cutoffs: LiveCutoffs
  readonly control: ControlStore
  readonly clock: Clock
  readonly environment: string
  /** A key for every algorithm that the version's resources want their tokens signed with. */
  readonly ensureKeys: (registry: Registry) => Promise<void>
}

export interface Publication {
  readonly version: string
  /** `undefined`: nothing had been published. */
  readonly before: string | undefined
  /** Sequence number of the write; `undefined`: nothing was written, it is published already or this was a preview. */
  readonly seq: number | undefined
  readonly difference: Difference
}

export interface PublicationOptions {
  /** Principal of whoever publishes. */
  readonly by: string
  /** Says what would be done, and does nothing. */
  readonly preview?: boolean
  /** Whether files may be published in place of those there are. @throws Rejection */
  readonly check?: (before: PolicyDocuments, after: PolicyDocuments) => Sliced<undefined>
}

const UNCHANGED: Difference = { added: [], changed: [], removed: [], taken: [], widened: [] }
/** What the version before was, nobody can say: so nothing of before it may live, and whoever reviews what is more has all of it to review. */
const UNKNOWN: Difference = {
  ...UNCHANGED,
  taken: [{ dimension: 'everything', id: EVERYTHING, why: 'the version before cannot be read' }],
  widened: ['the version before cannot be read: all of this one may be more'],
}

/** What takes access tokens only, which end soon by themselves. */
const ACCESS_ONLY: readonly Taken['dimension'][] = ['agent_access', 'user_access', 'resource']

export class RegistryPublisher {
  readonly #parts: PublisherParts
  /** What was compared last: looked at beforehand, and published then. */
  #compared: { readonly before: Registry; readonly after: Registry; readonly difference: Difference } | undefined

  constructor(parts: PublisherParts) {
    this.#parts = parts
  }

  /** This broker's own files, where nothing has been published yet. @throws StoreUnavailable */
  async publishFirst(by: string): Promise<void> {
    await this.#attempt(async (published) => published, { by })
  }

  /** Files in place of the files published; what was written over the API stays. @throws Rejection `policy_*`; StoreUnavailable */
  publishFiles(files: readonly PolicyFile[], options: PublicationOptions): Promise<Publication> {
    const { check } = options
    const make = async (published: PolicyDocuments) => {
      const next = { ...published, files }
      if (check !== undefined) await inSlices(check(published, next))
      return next
    }
    return this.#publish(make, options)
  }

  /**
   * What was written over the API, after `edit`; the files stay. `edit` is given one policy document, and may be called again.
   * @throws Rejection `policy_*` or whatever `edit` throws; StoreUnavailable
   */
  publishEntries(
    edit: (entries: unknown, published: PolicyDocuments) => unknown,
    options: PublicationOptions,
  ): Promise<Publication> {
    const make = async (published: PolicyDocuments) => {
      return { ...published, entries: await edit(published.entries, published) }
    }
    return this.#publish(make, options)
  }

  /** What this broker decides by now, with what it was made from. */
  get published(): LoadedPolicy {
    return this.#parts.follower.policy
  }

  /** What would be decided by, were these the files: with what was written over the API. @throws Rejection `policy_invalid` */
  draft(files: readonly PolicyFile[]): Promise<LoadedPolicy> {
    return this.#decode({ ...this.published.documents, files })
  }

  /** Among the versions that can be looked up; it decides nothing. @throws StoreUnavailable */
  keepDraft(policy: LoadedPolicy, by: string): Promise<void> {
    return this.#parts.library.keep(policy, by, this.#parts.clock.nowMs())
  }

  /** Whether the files published say the same as these. */
  hasFiles(files: readonly PolicyFile[]): boolean {
    const { cutoffs, follower } = this.#parts
    return cutoffs.set.policy !== undefined && sameFiles(follower.policy.documents.files, files)
  }

  /** What decisions of that version were made from; `undefined`: it is not kept any more. @throws StoreUnavailable */
  async versionOf(version: string): Promise<Registry | undefined> {
    return (await this.#parts.library.load(version))?.registry
  }

  /** What was offered lately, oldest first. @throws StoreUnavailable */
  history(): Promise<readonly Offered[]> {
    return this.#parts.library.history()
  }

  async #publish(
    make: (published: PolicyDocuments) => Promise<PolicyDocuments>,
    options: PublicationOptions,
  ): Promise<Publication> {
    for (let attempt = 0; attempt < POLICY_ATTEMPTS_MAX; attempt += 1) {
      const done = await this.#attempt(make, options)
      if (done !== undefined) return done
      await this.#parts.follower.caughtUp()
    }
    throw new Rejection('policy_contended', 'others publish all the time: try again', { retryAfterSeconds: 1 })
  }

  /** `undefined`: another version was published in the meantime. */
  async #attempt(
    make: (published: PolicyDocuments) => Promise<PolicyDocuments>,
    { by, preview = false }: PublicationOptions,
  ): Promise<Publication | undefined> {
    const { library, follower, cutoffs, control, clock } = this.#parts
    const before = cutoffs.set.policy?.version
    const known = before === undefined ? undefined : await this.#known(before)
    const next = await this.#decode(await make(known?.documents ?? follower.policy.documents))
    const { version } = next.registry
    if (before === version) return { version, before, seq: undefined, difference: UNCHANGED }
    const difference = before === undefined ? UNCHANGED : await this.#difference(known?.registry, next)
    if (preview) return { version, before, seq: undefined, difference }
    // The first is this broker's own, for which keys were made when the key directory was opened.
    if (before !== undefined) await this.#parts.ensureKeys(next.registry)
    const nowMs = clock.nowMs()
    await library.keep(next, by, nowMs)
    library.remember(next)
    const entries: ControlWrite[] = [
      { entry: 'policy', id: CURRENT_POLICY, version },
      ...difference.taken.map((taken) => cutoffOf(taken, nowMs)),
    ]
    const written = await cutoffs.writeAfter(before, control, entries)
    if (written === undefined) return undefined
    await follower.caughtUp()
    return { version, before, seq: written.seq, difference }
  }

  /** As much of it as can still be read; what keeps the store from answering is thrown. */
  async #known(version: string): Promise<Partial<LoadedPolicy>> {
    const { follower, library } = this.#parts
    if (follower.current.version === version) return follower.policy
    const documents = await library.read(version).catch(unlessUnavailable)
    const policy = await library.load(version).catch(unlessUnavailable)
    return policy ?? (documents === undefined ? {} : { documents })
  }

  /** @throws Rejection `policy_invalid` naming every problem there is room for */
  async #decode(documents: PolicyDocuments): Promise<LoadedPolicy> {
    try {
      return await this.#parts.library.decode(documents)
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error
      throw invalid(error.problems)
    }
  }

  async #difference(before: Registry | undefined, { registry: after }: LoadedPolicy): Promise<Difference> {
    if (before === undefined) return UNKNOWN
    if (this.#compared?.before === before && this.#compared.after === after) return this.#compared.difference
    const illegal = await inSlices(inadmissible(before, after))
    if (illegal.length > 0) throw invalid(illegal)
    const difference = await inSlices(differenceOf({ before, after, environment: this.#parts.environment }))
    this.#compared = { before, after, difference }
    return difference
  }
}

function unlessUnavailable(error: unknown): undefined {
  if (error instanceof StoreUnavailable) throw error
  return undefined
}

function invalid(problems: readonly string[]): Rejection {
  const missing = problems.length <= MISSING_LINES_MAX ? problems : problems.slice(0, MISSING_LINES_MAX)
  return new Rejection(
    'policy_invalid',
    `this is no policy to decide by: ${problems.length === 1 ? 'one problem' : `${problems.length} problems`}`,
    {
      missing,
    },
  )
}

function cutoffOf({ dimension, id }: Taken, nowMs: number): ControlWrite {
  const seconds = ACCESS_ONLY.includes(dimension) ? ACCESS_CUTOFF_S : CUTOFF_LIFETIME_S
  return { entry: 'cutoff', dimension, id, expiresAtMs: nowMs + seconds * 1000 }
}
