/**
 * The versions of the policy in the store: each is kept once, under its version, and never changed. A bounded history says which
 * were offered, when and by whom; the oldest are forgotten together with their documents.
 */
import { POLICY_LOADED_MAX, POLICY_VERSIONS_MAX } from '../../kernel/policy-limits.ts'
import { atOnce, inSlices, type Sliced } from '../../kernel/slices.ts'
import type { Registry } from '../../model/registry.ts'
import type { DocumentStore } from '../../store/ports.ts'
import { DecodedEntries } from '../decode/decoded-entries.ts'
import { decodingRegistry } from '../load-registry.ts'
import { type DirectoryOf, decodePolicy, documentsOf, encodePolicy, type PolicyDocuments } from './policy-documents.ts'

/** A version offered for publication. */
export interface Offered {
  readonly version: string
  /** Principal; `broker`: at the start of one. */
  readonly by: string
  /** Epoch milliseconds. */
  readonly atMs: number
}

/** A version with everything it was made from. */
export interface LoadedPolicy {
  readonly registry: Registry
  readonly documents: PolicyDocuments
}

export interface LibraryOptions {
  readonly store: DocumentStore
  readonly issuer: string
  readonly directoryOf: DirectoryOf
  /** The version that decides now: however many were offered since, it is not forgotten. */
  readonly published: () => string | undefined
  /** What decisions will look things up in, made beforehand; beside that of a version before, if there is one. */
  readonly prepare: (registry: Registry, before?: Registry) => Sliced<undefined>
}

const HISTORY = 'policy:history'
const FORGOTTEN = ''

export class PolicyLibrary {
  readonly #options: LibraryOptions
  /** The latest used last. */
  readonly #loaded = new Map<string, LoadedPolicy>()
  /** Of what was decoded last, and the policy that it is. */
  #decoded: DecodedEntries | undefined
  #latest: LoadedPolicy | undefined

  constructor(options: LibraryOptions) {
    this.#options = options
  }

  /** As `decode`, with nothing in between: for a broker that answers nobody yet. @throws ConfigurationError */
  decodeAtOnce(documents: PolicyDocuments): LoadedPolicy {
    return atOnce(this.#decoding(documents))
  }

  /** The version that these documents are. @throws ConfigurationError naming every problem */
  async decode(documents: PolicyDocuments, version?: string): Promise<LoadedPolicy> {
    const latest = this.#latest
    // What was looked at a moment ago, to be published now.
    if (version === undefined && latest !== undefined && areThe(documents, latest.documents)) return latest
    return inSlices(this.#decoding(documents, version))
  }

  /** `undefined`: never published, or forgotten. @throws ConfigurationError, StoreUnavailable; Error where it is damaged */
  async load(version: string): Promise<LoadedPolicy | undefined> {
    const known = this.#loaded.get(version)
    if (known !== undefined) return this.remember(known)
    const documents = await this.read(version)
    return documents === undefined ? undefined : this.remember(await this.decode(documents, version))
  }

  /** As `load`, not decoded: a later program may no longer take what an earlier one published. */
  async read(version: string): Promise<PolicyDocuments | undefined> {
    const text = await this.#options.store.read(nameOf(version))
    if (text === undefined || text === FORGOTTEN) return undefined
    const documents = await decodePolicy(text)
    if (documents.issuer !== this.#options.issuer) throw new Error(`it was published for ${documents.issuer}`)
    return documents
  }

  /** Spares this process from reading it again. */
  remember(policy: LoadedPolicy): LoadedPolicy {
    const { version } = policy.registry
    this.#loaded.delete(version)
    this.#loaded.set(version, policy)
    for (const oldest of this.#loaded.keys()) {
      if (this.#loaded.size <= POLICY_LOADED_MAX) break
      this.#loaded.delete(oldest)
    }
    return policy
  }

  /** Durable when it resolves: it can be published from now on. @throws StoreUnavailable */
  async keep(policy: LoadedPolicy, by: string, atMs: number): Promise<void> {
    const { version } = policy.registry
    await this.#add({ version, by, atMs })
    const name = nameOf(version)
    const held = await this.#options.store.read(name)
    if (held === undefined || held === FORGOTTEN || !(await isWhole(held))) {
      await this.#options.store.replace(name, held, await encodePolicy(policy.documents))
    }
  }

  /** Oldest first. */
  async history(): Promise<readonly Offered[]> {
    const text = await this.#options.store.read(HISTORY)
    return text === undefined ? [] : (JSON.parse(text) as readonly Offered[])
  }

  *#decoding(documents: PolicyDocuments, version?: string): Sliced<LoadedPolicy> {
    const { issuer, directoryOf, prepare } = this.#options
    const decoded = new DecodedEntries(this.#decoded)
    const options = { issuer, accessTokenSeconds: documents.accessTokenSeconds, decoded, ...(version && { version }) }
    const registry = yield* decodingRegistry(documentsOf(documents, directoryOf), options)
    yield* prepare(registry, this.#latest?.registry)
    decoded.complete()
    this.#decoded = decoded
    this.#latest = { registry, documents }
    return this.#latest
  }

  async #add(offered: Offered): Promise<void> {
    for (;;) {
      const text = await this.#options.store.read(HISTORY)
      const all = [...(text === undefined ? [] : (JSON.parse(text) as readonly Offered[])), offered]
      const kept = all.slice(-POLICY_VERSIONS_MAX)
      if (!(await this.#options.store.replace(HISTORY, text, JSON.stringify(kept)))) continue
      const names = new Set([...kept.map(({ version }) => version), this.#options.published()])
      for (const { version } of all) if (!names.has(version)) await this.#forget(version)
      return
    }
  }

  async #forget(version: string): Promise<void> {
    const name = nameOf(version)
    await this.#options.store.replace(name, await this.#options.store.read(name), FORGOTTEN)
  }
}

/** The very same: nothing of them is gone through. */
function areThe(documents: PolicyDocuments, others: PolicyDocuments): boolean {
  const { issuer, accessTokenSeconds, files, entries } = documents
  const isAlike = issuer === others.issuer && accessTokenSeconds === others.accessTokenSeconds
  return isAlike && files === others.files && entries === others.entries
}

async function isWhole(text: string): Promise<boolean> {
  return decodePolicy(text).then(
    () => true,
    () => false,
  )
}

function nameOf(version: string): string {
  return `policy:${version}`
}
