/** What has lost its owner, its certificate or its classification, and identities that more than one may be using. */

import { getOrInsertComputed } from '../../kernel/maps.ts'
import { atOnce } from '../../kernel/slices.ts'
import { timeText } from '../../kernel/time-text.ts'
import type { Client } from '../../model/client.ts'
import { orphaned } from '../../model/owner.ts'
import type { Registry } from '../../model/registry.ts'

/** @param now epoch seconds */
export function governanceWarnings(registry: Registry, now: number): readonly string[] {
  return [
    ...atOnce(orphaned(registry)).map(({ kind, id, owner }) => `${kind} ${id}: orphaned; its owner ${owner} has left`),
    ...expiredCertificates(registry, now),
    ...registry.resources.flatMap(({ id, exposure, vendorReview }) =>
      exposure === 'external' && vendorReview === undefined
        ? [`resource ${id}: external without a vendor_review, so nothing is issued for it`]
        : [],
    ),
    ...registry.resources.flatMap(({ id, isClassified }) =>
      isClassified
        ? []
        : [`resource ${id}: its tools are not those that were pinned, and count as admin; see errand tools pin`],
    ),
    ...[...registry.agents, ...registry.services].flatMap(sharedVersions),
    ...sharedKeys([...registry.agents, ...registry.services]),
  ]
}

function expiredCertificates({ agents, resources }: Registry, now: number): readonly string[] {
  const certified = [
    ...agents.map(({ clientId, ...agent }) => ({ ...agent, name: `agent ${clientId}` })),
    ...resources.map(({ id, ...resource }) => ({ ...resource, name: `resource ${id}` })),
  ]
  return certified.flatMap(({ name, state, certifiedUntil }) => {
    if (certifiedUntil === undefined || certifiedUntil > now || state === 'retired') return []
    return [`${name}: was certified until ${timeText(certifiedUntil)}, and is to be looked at again`]
  })
}

/** Two workloads of one version cannot be told apart in any record. */
function sharedVersions({ kind, clientId, spiffeIds }: Client): readonly string[] {
  const versions = spiffeIds.map(({ version }) => version)
  const shared = new Set(versions.filter((version, index) => versions.indexOf(version) < index))
  return [...shared].map(
    (version) => `${kind} ${clientId}: version ${version} is said of several workloads; register an agent for each`,
  )
}

/** An identity that is shared names nobody. */
function sharedKeys(clients: readonly Client[]): readonly string[] {
  const holders = new Map<string, Set<string>>()
  for (const { clientId, keys } of clients) {
    for (const { key } of keys) {
      const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' })
      getOrInsertComputed(holders, JSON.stringify([kty, crv, x, y, n, e]), () => new Set<string>()).add(clientId)
    }
  }
  return [...holders.values()].flatMap((names) =>
    names.size < 2 ? [] : [`${[...names].join(', ')}: share one key; whoever holds it is any of them`],
  )
}
