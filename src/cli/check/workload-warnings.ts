/** Platforms and rules for their workloads that are allowed and worth a look: key files that cannot be used, names, wide rules. */
import { systemClock } from '../../kernel/clock.ts'
import type { Client } from '../../model/client.ts'
import type { Registry } from '../../model/registry.ts'
import type { WorkloadBinding, WorkloadIssuer } from '../../model/workload.ts'
import { IssuerKeys } from '../../net/issuer-keys.ts'
import { claimName } from '../../registry/workloads/claim-path.ts'
import { PLATFORMS } from '../../registry/workloads/platforms.ts'

export function workloadWarnings(registry: Registry): readonly string[] {
  const bySlug = new Map(registry.workloadIssuers.map((issuer) => [issuer.slug, issuer]))
  const clients = [...registry.agents, ...registry.services].filter(({ state }) => state !== 'retired')
  const named = new Set(clients.flatMap(({ workloads }) => workloads.map(({ issuer }) => issuer)))
  return [
    ...registry.workloadIssuers.flatMap((platform) => platformWarnings(platform, named.has(platform.slug))),
    ...clients.flatMap((client) =>
      client.workloads.flatMap((binding) => bindingWarnings(client, binding, bySlug.get(binding.issuer))),
    ),
  ]
}

/** Its tokens are not used up: how long one lives is how long whoever has read it can use it. */
function platformWarnings(
  { slug, lifetimeSecondsMax, sessionMayOutliveSubject }: WorkloadIssuer,
  isNamed: boolean,
): readonly string[] {
  const name = `workload issuer ${slug}`
  return [
    ...(isNamed ? [] : [`${name}: no client's workloads name it, so its tokens are for nobody`]),
    ...(lifetimeSecondsMax === undefined
      ? [`${name}: a stolen token is good for as long as the platform lets it live; set max_lifetime_seconds`]
      : []),
    ...(sessionMayOutliveSubject ? [`${name}: sessions outlive the token that opened them`] : []),
  ]
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

/** Reads every `jwks_file` once; asks nobody else. A broker starts without, and refuses that platform's tokens. */
export async function keyFileWarnings({
  workloadIssuers,
}: Pick<Registry, 'workloadIssuers'>): Promise<readonly string[]> {
  const warnings: string[] = []
  const keys = new IssuerKeys({
    fetchJson: () => Promise.reject(new Error('not asked')),
    clock: systemClock,
    onFailure: ({ slug }, error) => {
      const why = error instanceof Error ? error.message : 'it cannot be read'
      warnings.push(`workload issuer ${slug}: jwks_file: ${why}`)
    },
  })
  const inFiles = workloadIssuers.filter(({ files }) => files?.jwks !== undefined)
  // What fails has been told to onFailure.
  const read = inFiles.map((issuer) => keys.keysFor(issuer, { kid: undefined, alg: 'none' }).catch(() => undefined))
  await Promise.all(read)
  return warnings.sort()
}
