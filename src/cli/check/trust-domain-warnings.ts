/** Trust domains whose bundle cannot be read now, or vouches for nobody: a broker starts all the same, and refuses their SVIDs. */
import type { Config } from '../../config/config.ts'
import { systemClock } from '../../kernel/clock.ts'
import type { Registry } from '../../model/registry.ts'
import { createGuardedFetch } from '../../net/guarded-fetch.ts'
import { NothingPublished } from '../../net/published.ts'
import { TrustBundles } from '../../net/trust-bundles.ts'

/** Reads every bundle once, side by side. */
export async function trustDomainWarnings(
  { trustDomains }: Pick<Registry, 'trustDomains'>,
  { outbound }: Pick<Config, 'outbound'>,
): Promise<readonly string[]> {
  const warnings: string[] = []
  const bundles = new TrustBundles({
    fetchJson: createGuardedFetch(outbound),
    clock: systemClock,
    onFailure: ({ name }, error) =>
      warnings.push(`trust domain ${name}: ${error instanceof Error ? error.message : ''}`),
  })
  await Promise.all(
    trustDomains.map((domain) =>
      bundles.x509Authorities(domain).catch((error: unknown) => {
        if (!(error instanceof NothingPublished)) throw error // the others have been told to onFailure
      }),
    ),
  )
  return warnings.sort()
}
