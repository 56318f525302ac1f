/**
 * The registry as one immutable version, from the documents that describe it. All or nothing: a document with a problem
 * anywhere yields no registry, and every problem is named by its path.
 */

import { claimAt } from '../jose/claim-at.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { atOnce, each, mapped, type Sliced } from '../kernel/slices.ts'
import { userName } from '../kernel/user-name.ts'
import type { Agent, Client, Service } from '../model/client.ts'
import type { Issuer, User } from '../model/issuer.ts'
import type { Grant, Registry, WorkloadMatch } from '../model/registry.ts'
import type { Resource } from '../model/resource.ts'
import type { SpiffeBinding, TrustDomain } from '../model/trust-domain.ts'
import type { WorkloadIssuer } from '../model/workload.ts'
import { canonicalResource } from '../protocol/resource.ts'
import { canonicalJson } from './canonical-json.ts'
import { crossCheck } from './checks/cross-checks.ts'
import type { Entries } from './checks/placed-entries.ts'
import { decodeAgent } from './decode/decode-agent.ts'
import { decodeAuthorizationServer, isSameServer } from './decode/decode-authorization-server.ts'
import { decodeService } from './decode/decode-client.ts'
import { decodeDocument, type PlacedDocument } from './decode/decode-document.ts'
import { decodeGrant } from './decode/decode-grant.ts'
import { decodeIssuer, decodeUser } from './decode/decode-issuer.ts'
import { decodeProjects, decodeResource } from './decode/decode-resource.ts'
import { rolesGiven } from './decode/decode-role.ts'
import { decodeWorkloadIssuer } from './decode/decode-workload.ts'
import { DecodedEntries } from './decode/decoded-entries.ts'
import { decodeTrustDomain } from './entries/trust-domain-entry.ts'
import { versionOf } from './registry-version.ts'
import type { SectionName } from './sections.ts'
import { ConfigurationError, parseYamlText } from './strict-document.ts'
import { ClaimIndex } from './workloads/claim-index.ts'

export interface RegistryOptions {
  /** The broker's issuer identifier: its own URLs may not be registered as resources, nor itself as an issuer. */
  readonly issuer: string
  /** Life of access tokens for resources that do not say; DESIGN's default when absent. */
  readonly accessTokenSeconds?: number
  /** What it was published as; absent: the digest of what it says. */
  readonly version?: string
  /** Takes what its entries become, and knows what those of the version before became. */
  readonly decoded?: DecodedEntries
}

export interface RegistryDocument {
  /** Decoded YAML or JSON, not yet trusted. */
  readonly document: unknown
  /** What problems are reported under: a file's name. */
  readonly sourceName: string
  /** What relative paths in it are relative to; where it is no file, the working directory. */
  readonly directory?: string
}

/** One registry from several documents. @throws ConfigurationError naming every problem. */
export function decodeRegistryDocuments(documents: readonly RegistryDocument[], options: RegistryOptions): Registry {
  return atOnce(decodingRegistry(documents, options))
}

/** As `decodeRegistryDocuments`, in slices: what takes seconds holds up nobody. @throws ConfigurationError */
export function* decodingRegistry(documents: readonly RegistryDocument[], options: RegistryOptions): Sliced<Registry> {
  const problems: string[] = []
  const known = options.decoded ?? new DecodedEntries()
  const decoded: PlacedDocument[] = []
  for (const { document, sourceName, directory = '.' } of documents) {
    const result = yield* decodeDocument(document, { sourceName, directory }, known, problems)
    if (result !== undefined) decoded.push(result)
  }
  // References are judged only when every document was readable: an entry that was not would be reported as missing.
  if (problems.length > 0) throw new ConfigurationError(problems)
  const entries = yield* gather(decoded)
  yield* crossCheck(entries, options.issuer, problems)
  const registry = yield* build(entries, { ...options, decoded: known }, problems)
  if (problems.length > 0) throw new ConfigurationError(problems)
  return registry
}

/** @throws ConfigurationError naming every problem */
export function decodeRegistry(document: unknown, sourceName: string, options: RegistryOptions): Registry {
  return decodeRegistryDocuments([{ document, sourceName }], options)
}

/** @throws ConfigurationError naming every problem */
export function parseRegistryText(yamlText: string, sourceName: string, options: RegistryOptions): Registry {
  return decodeRegistry(parseYamlText(yamlText, sourceName), sourceName, options)
}

function* gather(decoded: readonly PlacedDocument[]): Sliced<Entries> {
  function* section<K extends SectionName>(name: K): Sliced<readonly PlacedDocument[K][number][]> {
    const placed: PlacedDocument[K][number][] = []
    for (const document of decoded) yield* each(document[name], (entry) => placed.push(entry))
    return placed
  }
  return {
    issuers: yield* section('issuers'),
    workloadIssuers: yield* section('workload_issuers'),
    trustDomains: yield* section('trust_domains'),
    users: yield* section('users'),
    roles: yield* section('roles'),
    authorizationServers: yield* section('authorization_servers'),
    services: yield* section('services'),
    projects: yield* section('projects'),
    resources: yield* section('resources'),
    agents: yield* section('agents'),
    grants: yield* section('grants'),
  }
}

type Surroundings = RegistryOptions & { readonly decoded: DecodedEntries }

function* build(entries: Entries, options: Surroundings, problems: string[]): Sliced<Registry> {
  const { decoded, accessTokenSeconds } = options
  const issuers = entries.issuers.map(({ directory, entry }) => decodeIssuer(entry, directory))
  const workloadIssuers = entries.workloadIssuers.map(({ directory, entry }) =>
    decodeWorkloadIssuer(entry, directory, options.issuer),
  )
  const trustDomains = entries.trustDomains.map(({ directory, entry }) => decodeTrustDomain(entry, directory))
  const roles = entries.roles.map(({ entry }) => entry)
  const withRoles = rolesGiven(roles)
  const ofUser = decoded.nouns<User>('users', canonicalJson(roles))
  const users = yield* mapped(entries.users, (placed) => ofUser(placed, () => withRoles(decodeUser(placed.entry))))
  const authorizationServers = entries.authorizationServers.map(({ entry }) => decodeAuthorizationServer(entry))
  const ofService = decoded.nouns<Service>('services', '')
  const services = yield* mapped(entries.services, (placed) =>
    ofService(placed, () => decodeService(placed.entry, placed.at, problems)),
  )
  const projects = decodeProjects(entries.projects.map(({ entry }) => entry))
  const ofResource = decoded.nouns<Resource>('resources', canonicalJson([accessTokenSeconds ?? null, projects]))
  const resources = yield* mapped(entries.resources, (placed) =>
    ofResource(placed, () => decodeResource(placed.entry, placed.at, { accessTokenSeconds, projects }, problems)),
  )
  const urls = new Map(resources.map((resource): [string, ResourceUrl] => [resource.id, resource.url]))
  const ofAgent = decoded.nouns<Agent>('agents', canonicalJson([...urls]))
  const agents = yield* mapped(entries.agents, (placed) =>
    ofAgent(placed, () => decodeAgent(placed.entry, placed.at, urls, problems)),
  )
  const ofGrant = decoded.nouns<Grant>('grants', '')
  const grants = yield* mapped(entries.grants, (placed) =>
    standingAt(
      placed.at,
      ofGrant(placed, () => decodeGrant(placed.entry, placed.at, problems)),
    ),
  )
  const clients = [...services, ...agents]
  const lookUps = yield* indexed(issuers, { users, withRoles }, clients, problems.length > 0 ? [] : resources)
  const workloads = yield* workloadLookUps(workloadIssuers, clients)
  const spiffeIds = yield* spiffeLookUps(trustDomains, clients)
  const version = options.version ?? (yield* versionOf(entries, options))
  return Object.freeze({
    version,
    grants,
    agents,
    services,
    projects,
    resources,
    issuers,
    users,
    roles,
    workloadIssuers,
    trustDomains,
    authorizationServers,
    authorizationServer: (name: string) => authorizationServers.find(({ issuer }) => isSameServer(issuer, name)),
    ...lookUps,
    ...workloads,
    ...spiffeIds,
  })
}

/** Of a grant that has moved in its file, nothing else is another. */
function standingAt(at: string, grant: Grant): Grant {
  return grant.at === at ? grant : { ...grant, at }
}

type LookUps = Pick<Registry, 'client' | 'issuer' | 'issuerBySlug' | 'resource' | 'resourceByName' | 'user'>

function* indexed(
  issuers: readonly Issuer[],
  { users, withRoles }: { readonly users: readonly User[]; readonly withRoles: (user: User) => User },
  clients: readonly Client[],
  resources: readonly Resource[],
): Sliced<LookUps> {
  const byClientId = yield* mapOf<Client>(clients, ({ clientId }) => clientId)
  const byIssuer = new Map(issuers.map((issuer) => [issuer.issuer, issuer]))
  const bySlug = new Map(issuers.map((issuer) => [issuer.slug, issuer]))
  const byUrl = yield* mapOf(resources, ({ url }) => canonicalResource(url))
  const byId = yield* mapOf(resources, ({ id }) => id)
  const byUser = yield* mapOf(users, userName)
  // As registered, which is how tokens and sessions name them; else in its canonical form.
  const asRegistered = yield* mapOf(resources, ({ url }) => url)
  const resource = (url: string): Resource | undefined => asRegistered.get(url) ?? byUrl.get(canonicalResource(url))
  return {
    client: (clientId) => byClientId.get(clientId),
    issuer: (issuer) => byIssuer.get(issuer),
    issuerBySlug: (slug) => bySlug.get(slug),
    resource,
    resourceByName: (idOrUrl) => byId.get(idOrUrl) ?? (URL.canParse(idOrUrl) ? resource(idOrUrl) : undefined),
    user: (issuer, sub) => {
      const listed = byUser.get(userName({ issuerSlug: issuer.slug, sub }))
      if (listed !== undefined || issuer.users === 'listed') return listed
      return withRoles({ issuerSlug: issuer.slug, sub, active: true, groups: [], roles: [] })
    },
  }
}

function* mapOf<T>(items: readonly T[], nameOf: (item: T) => string): Sliced<ReadonlyMap<string, T>> {
  const named = new Map<string, T>()
  yield* each(items, (item) => named.set(nameOf(item), item))
  return named
}

function* workloadLookUps(
  issuers: readonly WorkloadIssuer[],
  clients: readonly Client[],
): Sliced<Pick<Registry, 'workloadIssuer' | 'workloads'>> {
  const byIssuer = new Map(issuers.map((issuer) => [issuer.issuer, issuer]))
  const bySlug = new Map(issuers.map(({ slug }) => [slug, new ClaimIndex<WorkloadMatch>()]))
  for (const client of clients) {
    for (const { issuer, rules, version } of client.workloads) bySlug.get(issuer)?.add(rules, { client, version })
    yield
  }
  return {
    workloadIssuer: (issuer) => byIssuer.get(issuer),
    workloads: ({ slug }, claims) => bySlug.get(slug)?.fulfilled((path) => claimAt(claims, path)) ?? [],
  }
}

function* spiffeLookUps(
  domains: readonly TrustDomain[],
  clients: readonly Client[],
): Sliced<Pick<Registry, 'trustDomain' | 'clientBySpiffeId'>> {
  const byName = new Map(domains.map((domain) => [domain.name, domain]))
  const byId = new Map<string, { client: Client; binding: SpiffeBinding }>()
  yield* each(clients, (client) => {
    for (const binding of client.spiffeIds) byId.set(binding.id, { client, binding })
  })
  return { trustDomain: (name) => byName.get(name), clientBySpiffeId: (id) => byId.get(id) }
}
