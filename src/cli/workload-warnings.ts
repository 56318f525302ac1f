/** Rules for workloads that are allowed and worth a look: names that a rename takes away, and rules wider than usually meant. */
import type { Client } from '../model/client.ts'
import type { Registry } from '../model/registry.ts'
import type { WorkloadBinding, WorkloadIssuer } from '../model/workload.ts'
import { claimName } from '../registry/claim-path.ts'
import { PLATFORMS } from '../registry/platforms.ts'

export function workloadWarnings(registry: Registry): readonly string[] {
  const bySlug = new Map(registry.workloadIssuers.map((issuer) => [issuer.slug, issuer]))
  return [...registry.agents, ...registry.services]
    .filter(({ state }) => state !== 'retired')
    .flatMap((client) =>
      client.workloads.flatMap((binding) => bindingWarnings(client, binding, bySlug.get(binding.issuer))),
    )
}

function bindingWarnings(
  { kind, clientId }: Client,
  { issuer, rules, version }: WorkloadBinding,
  platform: WorkloadIssuer | undefined,
): readonly string[] {
  if (platform === undefined) return []
  const { claims, wide } = PLATFORMS[platform.platform]
  const asked = rules.map(({ path }) => claimName(path))
  const whose = `${kind} ${clientId}: workload of ${issuer}, version ${version}`
  const movable = asked.filter((name) => Object.hasOwn(claims, name) && claims[name]?.onlyBeside !== undefined)
  return [
    ...movable.map((name) => `${whose}: ${name} is a name; after a rename the rule matches nobody, without a word`),
    ...(wide === undefined || wide.without.some((name) => asked.includes(name)) ? [] : [`${whose}: ${wide.says}`]),
  ]
}
