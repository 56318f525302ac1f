/**
 * What entries of the registry say about each other: names are unique, and every reference leads somewhere. A rule that
 * names nothing is refused rather than ignored: a misspelt deny would silently deny nothing.
 */

import { nearestName } from '../../kernel/nearest-name.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { each, type Sliced } from '../../kernel/slices.ts'
import { adminAudience, apiAudience } from '../../model/settings.ts'
import { canonicalResource } from '../../protocol/resource.ts'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { SelectorEntry } from '../entries/entry-fields.ts'
import type { GrantEntry } from '../entries/grant-entry.ts'
import { checkAudiences } from './audience-checks.ts'
import { checkAuthorizationServers } from './authorization-server-checks.ts'
import { checkClientMetadata } from './client-metadata-checks.ts'
import { checkOwners, checkVersions } from './governance-checks.ts'
import { type Names, namesOf } from './known-names.ts'
import type { Entries } from './placed-entries.ts'
import { checkSpiffeIds } from './spiffe-checks.ts'
import { checkTree } from './tree-checks.ts'
import { canonicalOrRaw, checkUnique } from './unique-names.ts'
import { checkWorkloads } from './workload-checks.ts'

/** Adds a line to `problems` for each contradiction. */
export function* crossCheck(entries: Entries, issuer: string, problems: string[]): Sliced<undefined> {
  yield* checkUnique(entries, problems)
  yield* checkBuiltIns(entries, issuer, problems)
  yield* checkAudiences(entries, issuer, problems)
  yield* checkWorkloads(entries, issuer, problems)
  yield* checkClientMetadata(entries, issuer, problems)
  yield* checkAuthorizationServers(entries, issuer, problems)
  const names = yield* namesOf(entries)
  const refer: Refer = (known, name, at, noun) => {
    if (known.has(name)) return
    const nearest = nearestName(name, known.keys())
    problems.push(`${at}: no ${noun} is named ${name}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`)
  }
  yield* checkSpiffeIds(entries, problems, refer)
  yield* checkTree(entries, problems, refer)
  yield* each(entries.users, ({ at, entry }) => refer(names.slugs, entry.issuer, `${at}.issuer`, 'issuer'))
  for (const { at, entry } of entries.roles) {
    for (const [index, user] of entry.users.entries()) {
      referToUser(user, `${at}.users[${index}]`, names, refer)
      yield
    }
  }
  const owned = [...entries.projects, ...entries.resources, ...entries.agents]
  yield* checkOwners(owned, ({ slug, at }) => refer(names.slugs, slug, at, 'issuer'), problems)
  yield* checkVersions(entries.agents, problems)
  for (const { at, entry } of entries.services) {
    if (entry.users_of !== undefined) refer(names.slugs, entry.users_of, `${at}.users_of`, 'issuer')
    yield
  }
  for (const { at, entry } of entries.resources) {
    if (entry.server_client !== undefined) refer(names.services, entry.server_client, `${at}.server_client`, 'service')
    const asks = entry.revocation_check === 'feed' || entry.revocation_check === 'introspection'
    if (asks && entry.server_client === undefined) {
      problems.push(`${at}.revocation_check: ${entry.revocation_check} needs a server_client to ask as`)
    }
    for (const tool of Object.keys(entry.standing_intent?.tools ?? {})) {
      refer(new Set(Object.keys(entry.tools)), tool, `${at}.standing_intent.tools.${tool}`, `tool of ${entry.id}`)
    }
    yield
  }
  for (const { at, entry } of entries.services) {
    checkManifest(entry, at, names, refer)
    yield
  }
  for (const { at, entry } of entries.agents) {
    checkAgent(entry, at, names, refer)
    if (entry.delegates.includes(entry.client_id)) problems.push(`${at}.delegates: an agent cannot delegate to itself`)
    yield
  }
  for (const { at, entry } of entries.grants) {
    checkGrant(entry, at, names, refer)
    yield
  }
}

type Refer = (known: Pick<ReadonlySet<string>, 'has' | 'keys'>, name: string, at: string, noun: string) => void

/** A resource at the broker's own URLs would make its API tokens ordinary ones; itself as an IdP would launder tokens. */
function* checkBuiltIns(entries: Entries, issuer: string, problems: string[]): Sliced<undefined> {
  const own = [issuer, apiAudience(issuer), adminAudience(issuer)].map(canonicalOrRaw)
  for (const { at, entry } of entries.resources) {
    try {
      if (own.includes(canonicalResource(entry.url))) problems.push(`${at}.url: belongs to the broker itself`)
    } catch (fault) {
      if (!(fault instanceof Rejection)) throw fault
      problems.push(`${at}.url: ${fault.message}`)
    }
    yield
  }
  for (const { at, entry } of entries.issuers) {
    if (canonicalOrRaw(entry.issuer) === canonicalOrRaw(issuer)) problems.push(`${at}.issuer: is the broker itself`)
  }
}

function checkManifest({ manifest }: Pick<AgentEntry, 'manifest'>, at: string, names: Names, refer: Refer): void {
  manifest.forEach((selector, index) => {
    checkSelector(selector, `${at}.manifest[${index}]`, names, refer)
  })
}

function checkAgent(entry: AgentEntry, at: string, names: Names, refer: Refer): void {
  checkManifest(entry, at, names, refer)
  entry.delegates.forEach((delegate, index) => {
    refer(names.agents, delegate, `${at}.delegates[${index}]`, 'agent')
  })
  for (const slug of Object.keys(entry.upstream)) refer(names.slugs, slug, `${at}.upstream.${slug}`, 'issuer')
  entry.api_keys.forEach(({ resources }, index) => {
    for (const one of resources) refer(names.toolsByServer, one, `${at}.api_keys[${index}].resources`, 'resource')
  })
  for (const [resource, named] of Object.entries(entry.standing_intent?.tools ?? {})) {
    const path = `${at}.standing_intent.tools.${resource}`
    refer(names.toolsByServer, resource, path, 'resource')
    const known = names.toolsByServer.get(resource)
    if (known === undefined) continue
    for (const tool of Object.keys(named)) refer(known, tool, `${path}.${tool}`, `tool of ${resource}`)
  }
}

function checkGrant(entry: GrantEntry, at: string, names: Names, refer: Refer): void {
  entry.principals.forEach(({ user, agent, owner }, index) => {
    const path = `${at}.principals[${index}]`
    if (agent !== undefined) refer(names.agents, agent, `${path}.agent`, 'agent')
    if (owner !== undefined) refer(names.owners, owner, `${path}.owner`, "agent's owner")
    if (user !== undefined) referToUser(user, `${path}.user`, names, refer)
  })
  entry.resources.forEach((selector, index) => {
    checkSelector(selector, `${at}.resources[${index}]`, names, refer)
  })
}

/** Of an issuer whose users are not listed, nobody knows them beforehand. */
function referToUser(user: string, at: string, names: Names, refer: Refer): void {
  const slug = user.slice(0, user.indexOf(':'))
  refer(names.slugs, slug, at, 'issuer')
  if (names.listedSlugs.has(slug)) refer(names.users, user, at, 'listed user')
}

function checkSelector(
  { project, server, tool, container }: SelectorEntry,
  at: string,
  names: Names,
  refer: Refer,
): void {
  const namesProject = project !== undefined && project !== '*'
  const namesServer = server !== undefined && server !== '*'
  if (namesProject) refer(names.projects, project, `${at}.project`, 'project')
  if (namesServer) refer(names.toolsByServer, server, `${at}.server`, 'resource')
  if (container !== undefined) {
    const known = names.containersByServer.get(server ?? '')
    if (known !== undefined) refer(known, container, `${at}.container`, `container of ${server}`)
  }
  if (tool === undefined || tool === '*') return
  // Of an unknown server or project nothing more is said: that it has no such tool would only repeat it.
  if (namesServer) {
    const known = names.toolsByServer.get(server)
    if (known !== undefined) refer(known, tool, `${at}.tool`, `tool of ${server}`)
  } else if (namesProject) {
    const known = names.toolsByProject.get(project)
    if (known !== undefined) refer(known, tool, `${at}.tool`, `tool of project ${project}`)
  } else {
    refer(names.tools, tool, `${at}.tool`, 'tool')
  }
}
