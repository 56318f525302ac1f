/**
 * The registry as one immutable version, from the documents that describe it. All or nothing: a document with a problem
 * anywhere yields no registry, and every problem is named by its path.
 */

import { claimAt } from '../jose/claim-at.ts'
import { Sha256 } from '../kernel/digest.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { atOnce, each, mapped, type Sliced } from '../kernel/slices.ts'
import { userName } from '../kernel/user-name.ts'
import type { Client } from '../model/client.ts'
import type { Issuer, User } from '../model/issuer.ts'
import type { Registry, WorkloadMatch } from '../model/registry.ts'
import type { Resource } from '../model/resource.ts'
import type { SpiffeBinding, TrustDomain } from '../model/trust-domain.ts'
import type { WorkloadIssuer } from '../model/workload.ts'
import { canonicalResource } from '../protocol/resource.ts'
import { canonicalJson } from './canonical-json.ts'
import { crossCheck } from './checks/cross-checks.ts'
import type { Entries, Placed } from './checks/placed-entries.ts'
import { decodeAgent } from './decode/decode-agent.ts'
import { decodeAuthorizationServer, isSameServer } from './decode/decode-authorization-server.ts'
import { decodeService } from './decode/decode-client.ts'
import { decodeDocument } from './decode/decode-document.ts'
import { decodeGrant } from './decode/decode-grant.ts'
import { decodeIssuer, decodeUser } from './decode/decode-issuer.ts'
import { decodeProjects, decodeResource } from './decode/decode-resource.ts'
import { rolesGiven } from './decode/decode-role.ts'
import { decodeWorkloadIssuer } from './decode/decode-workload.ts'
import type { DecodedDocument } from './entries/registry-document.ts'
import { decodeTrustDomain } from './entries/trust-domain-entry.ts'
import { ConfigurationError, parseYamlText, place } from './strict-document.ts'
import { ClaimIndex } from './workloads/claim-index.ts'

export interface RegistryOptions {
  /** The broker's issuer identifier: its own URLs may not be registered as resources, nor itself as an issuer. */
  readonly issuer: string
  /** Life of access tokens for resources that do not say; DESIGN's default when absent. */
  readonly accessTokenSeconds?: number
  /** What it was published as; absent: the digest of what it says. */
  readonly version?: string
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
  const decoded: Decoded[] = []
  for (const { document, sourceName, directory = '.' } of documents) {
    const result = yield* decodeDocument(document, sourceName, problems)
    if (result !== undefined) decoded.push({ document: result, sourceName, directory })
  }
  // References are judged only when every document was readable: an entry that was not would be reported as missing.
  if (problems.length > 0) throw new ConfigurationError(problems)
  const entries = yield* gather(decoded)
  yield* crossCheck(entries, options.issuer, problems)
  const registry = yield* build(entries, options, problems)
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

interface Decoded {
  readonly document: DecodedDocument
  readonly sourceName: string
  readonly directory: string
}

function* gather(decoded: readonly Decoded[]): Sliced<Entries> {
  function* section<K extends keyof DecodedDocument>(name: K): Sliced<Placed<DecodedDocument[K][number]>[]> {
    const placed: Placed<DecodedDocument[K][number]>[] = []
    for (const { document, sourceName, directory } of decoded) {
      const entries: readonly DecodedDocument[K][number][] = document[name]
      for (const [index, entry] of entries.entries()) {
        placed.push({ at: place(sourceName, [name, index]), directory, entry })
        yield
      }
    }
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

function* build(entries: Entries, options: RegistryOptions, problems: string[]): Sliced<Registry> {
  const issuers = entries.issuers.map(({ directory, entry }) => decodeIssuer(entry, directory))
  const workloadIssuers = entries.workloadIssuers.map(({ directory, entry }) =>
    decodeWorkloadIssuer(entry, directory, options.issuer),
  )
  const trustDomains = entries.trustDomains.map(({ directory, entry }) => decodeTrustDomain(entry, directory))
  const roles = entries.roles.map(({ entry }) => entry)
  const withRoles = rolesGiven(roles)
  const users = yield* mapped(entries.users, ({ entry }) => withRoles(decodeUser(entry)))
  const authorizationServers = entries.authorizationServers.map(({ entry }) => decodeAuthorizationServer(entry))
  const services = yield* mapped(entries.services, ({ at, entry }) => decodeService(entry, at, problems))
  const projects = decodeProjects(entries.projects.map(({ entry }) => entry))
  const surroundings = { accessTokenSeconds: options.accessTokenSeconds, projects }
  const resources = yield* mapped(entries.resources, ({ at, entry }) =>
    decodeResource(entry, at, surroundings, problems),
  )
  const urls = new Map(resources.map((resource): [string, ResourceUrl] => [resource.id, resource.url]))
  const agents = yield* mapped(entries.agents, ({ at, entry }) => decodeAgent(entry, at, urls, problems))
  const grants = yield* mapped(entries.grants, ({ at, entry }) => decodeGrant(entry, at, problems))
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

/** The same entries give the same version, whatever files they came from and however those were spelled. */
function* versionOf(entries: Entries, options: RegistryOptions): Sliced<string> {
  const digest = new Sha256()
  const sections = Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1))
  // Canonical JSON of all the sections, the issuer and the lifetime, piece by piece.
  for (const [index, [name, placed]] of sections.entries()) {
    digest.add(`${index === 0 ? '[{' : ','}${JSON.stringify(name)}:[`)
    for (const [position, { entry }] of (placed as readonly Placed<unknown>[]).entries()) {
      digest.add(`${position === 0 ? '' : ','}${canonicalJson(entry)}`)
      yield
    }
    digest.add(']')
  }
  digest.add(`},${canonicalJson(options.issuer)},${canonicalJson(options.accessTokenSeconds ?? null)}]`)
  return digest.digest()
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
