/** What a new version takes from agents and services. */
import { each, type Sliced } from '../../kernel/slices.ts'
import type { Agent, AgentVersion, Client, Service } from '../../model/client.ts'
import { mayIssue } from '../../model/lifecycle.ts'
import { isSame, keepsAll } from './fingerprint.ts'
import { narrowsManifest } from './manifest-change.ts'
import type { TakenAway, Versions } from './taken.ts'

/** `session`: nothing that stands on it may live. `token`: what it was given must be asked for again. */
type Loss = 'session' | 'token' | undefined
type Rules<T> = { readonly [K in keyof T]-?: (before: T[K], after: T[K], versions: Compared) => Loss }

interface Compared extends Versions {
  /** By a grant of either version. */
  readonly ownersNamed: ReadonlySet<string>
}

const NOTHING = () => undefined
const ended = (isKept: boolean): Loss => (isKept ? undefined : 'session')
const lessened = (isKept: boolean): Loss => (isKept ? undefined : 'token')
const endedUnlessKept = (before: readonly unknown[], after: readonly unknown[]) => ended(keepsAll(before, after))
const lessenedUnlessKept = (before: readonly unknown[], after: readonly unknown[]) => lessened(keepsAll(before, after))

/** Every member of a client: one that is added here has to say what a change of it takes away. */
const SERVICE: Omit<Rules<Service>, 'kind'> = {
  clientId: NOTHING,
  state: (_before, after, { environment }) => ended(mayIssue(after, environment)),
  // Whoever holds a credential that was taken out may have been the reason.
  keys: endedUnlessKept,
  keySets: endedUnlessKept,
  secrets: endedUnlessKept,
  workloads: endedUnlessKept,
  spiffeIds: endedUnlessKept,
  legacyAssertionAudience: NOTHING,
  assertionReuse: NOTHING,
  certificateBound: (before, after) => lessened(before || !after),
  grantTypes: lessenedUnlessKept,
  apiScopes: lessenedUnlessKept,
  // Whose users it may ask about, at an endpoint that reads the entry at each question.
  usersOf: NOTHING,
  manifest: (before, after, { after: registry }) => lessened(!narrowsManifest(before, after, registry)),
}

const AGENT: Omit<Rules<Agent>, 'kind'> = {
  ...SERVICE,
  owner: (before, after, { ownersNamed }) =>
    lessened(before === after || !(ownersNamed.has(before) || ownersNamed.has(after))),
  certifiedUntil: NOTHING,
  environment: (before, after) => ended(before === after),
  versions: (before, after, { environment }) => {
    // Versions that have no life of their own live as long as the agent does.
    if (after.size === 0) return undefined
    if (before.size === 0) return 'session'
    const isKept = ([name, version]: [string, AgentVersion]) => {
      const now = after.get(name)
      return !mayIssue(version.state, environment) || (now !== undefined && mayIssue(now.state, environment))
    }
    // What the others hold stands: each asks again, with a credential of its own, and one that has ended has none.
    return lessened([...before].every(isKept))
  },
  delegates: endedUnlessKept,
  upstreamClientIds: (before, after) => endedUnlessKept([...before], [...after]),
  // Read when a session opens: what one was opened for stays what it is for.
  standingIntent: NOTHING,
  issuance: NOTHING,
  apiKeys: endedUnlessKept,
}

/** Found once: each agent whose owner changes would go through all grants again. */
export function* ownersNamed(versions: Versions): Sliced<ReadonlySet<string>> {
  const owners = new Set<string>()
  for (const { grants } of [versions.before, versions.after]) {
    yield* each(grants, ({ principals }) => {
      for (const principal of principals) if ('owner' in principal) owners.add(principal.owner)
    })
  }
  return owners
}

export function takenFromClient(before: Client, versions: Compared, taken: TakenAway): void {
  const after = versions.after.client(before.clientId)
  const who = `${before.kind} ${before.clientId}`
  if (after === undefined || after.kind !== before.kind) {
    taken.add('agent', before.clientId, `${who}: removed`)
    return
  }
  const rules: Readonly<Record<string, (before: never, after: never, versions: Compared) => Loss>> =
    before.kind === 'agent' ? AGENT : SERVICE
  for (const [member, rule] of Object.entries(rules)) {
    const [from, to] = [before, after].map((client) => client[member as keyof Client] as never) as [never, never]
    if (isSame(from, to) && member !== 'manifest') continue
    const loss = rule(from, to, versions)
    if (loss === 'session') taken.add('agent', before.clientId, `${who}: ${member}`)
    if (loss === 'token') taken.add('agent_access', before.clientId, `${who}: ${member}`)
  }
}
