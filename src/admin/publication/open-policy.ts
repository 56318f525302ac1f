/**
 * The policy at the start of a broker. Nothing published: its own files are. With an embedded store they are the truth, and a
 * changed set of them is published; brokers that share a store decide by what is published, whatever their files say.
 */
import type { Logger } from 'pino'
import type { Clock } from '../../kernel/clock.ts'
import type { KeyKeeper } from '../../keys/key-keeper.ts'
import type { Registry } from '../../model/registry.ts'
import { prepareGrants } from '../../policy/grant-index.ts'
import type { RegistryDocument } from '../../registry/load-registry.ts'
import type { PolicyFile } from '../../registry/publication/policy-documents.ts'
import { PolicyLibrary } from '../../registry/publication/policy-library.ts'
import type { LiveCutoffs } from '../../sessions/live-cutoffs.ts'
import type { Store } from '../../store/ports.ts'
import { OrphanWatch } from '../reviews/orphan-watch.ts'
import { PolicyFollower } from './policy-follower.ts'
import { RegistryPublisher } from './publish.ts'
import { ShadowPolicy } from './shadow-policy.ts'

export interface PolicyParts {
  readonly store: Store
  readonly cutoffs: LiveCutoffs
  readonly clock: Clock
  readonly log: Logger
  readonly issuer: string
  readonly environment: string
  readonly accessTokenSeconds: number
  /** Of this broker's own files. */
  readonly documents: readonly RegistryDocument[]
  /** Asked for once the key directory is open. */
  readonly keeper: () => Pick<KeyKeeper, 'ensureSigner'>
}

export interface OpenPolicy {
  readonly follower: PolicyFollower
  readonly publisher: RegistryPublisher
  /** What looks at the policy beside those who decide by it, once it has begun. */
  readonly aside: { readonly shadow: ShadowPolicy; readonly orphans: OrphanWatch }
  /** @param publishOwn for files other than those published; `false`: those published decide. @throws Rejection `policy_*` */
  begin(publishOwn: false | ((files: readonly PolicyFile[]) => Promise<unknown>)): Promise<void>
}

const BROKER = 'broker'

export function openPolicy(parts: PolicyParts): OpenPolicy {
  const { store, cutoffs, clock, log, issuer, environment, accessTokenSeconds, documents } = parts
  const published = () => cutoffs.set.policy?.version
  const library = new PolicyLibrary({
    store: store.documents,
    issuer,
    directoryOf: directoriesOf(documents),
    published,
    prepare: prepareGrants,
  })
  const files = filesOf(documents)
  const own = library.decodeAtOnce({ issuer, accessTokenSeconds, files, entries: {} })
  const report = {
    loaded: ({ version }: Registry) => log.info({ policy: version }, 'another policy decides from now on'),
    failed: (policy: string, problem: string) =>
      log.error(
        { policy, problem },
        'the published policy cannot be loaded: nothing is issued until it is, or another',
      ),
  }
  const follower = new PolicyFollower({ library, cutoffs, report }, own)
  const shared = { library, follower, cutoffs, control: store.control, clock, environment }
  const publisher = new RegistryPublisher({
    ...shared,
    ensureKeys: (registry) => signersFor(registry, parts.keeper()),
  })
  const failed = (draft: string, problem: string) =>
    log.error({ draft, problem }, 'the draft in shadow cannot be asked: decisions are made without it')
  const shadow = new ShadowPolicy({ library, documents: store.documents, clock, failed })
  const orphans = new OrphanWatch({ documents: store.documents, registries: follower, clock, log })
  const begin: OpenPolicy['begin'] = async (publishOwn) => {
    if (cutoffs.set.policy === undefined) await publisher.publishFirst(BROKER)
    await follower.caughtUp()
    await shadow.start()
    await orphans.start()
    if (cutoffs.policyFault !== undefined || publisher.hasFiles(files)) return
    if (publishOwn !== false) await publishOwn(files)
    else log.warn({ published: follower.current.version, files: own.registry.version }, FILES_DIFFER)
  }
  return { follower, publisher, aside: { shadow, orphans }, begin }
}

const FILES_DIFFER = 'the files here are not the published policy, which decides: errand policy apply publishes them'

/** A key for whatever its resources want signed: a version may ask for an algorithm that none before did. */
async function signersFor(
  { resources, authorizationServers }: Registry,
  keeper: Pick<KeyKeeper, 'ensureSigner'>,
): Promise<void> {
  const algs = new Set([...resources, ...authorizationServers].map(({ signingAlg }) => signingAlg))
  for (const alg of algs) await keeper.ensureSigner('access', alg)
}

export function filesOf(documents: readonly RegistryDocument[]): readonly PolicyFile[] {
  return documents.map(({ sourceName, document }) => ({ name: sourceName, document }))
}

/** A file that is not here stands where the first one does. */
function directoriesOf(documents: readonly RegistryDocument[]): (name: string, position: number) => string {
  const elsewhere = documents[0]?.directory ?? '.'
  return (name, position) => {
    const here = documents[position]?.sourceName === name ? documents[position] : undefined
    return (here ?? documents.find(({ sourceName }) => sourceName === name))?.directory ?? elsewhere
  }
}
