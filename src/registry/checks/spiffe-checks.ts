/** What trust domains and clients say about each other: one workload is one client, and someone is configured to vouch for it. */
import type { Sliced } from '../../kernel/slices.ts'
import { parseSpiffeId } from '../../protocol/spiffe-id.ts'
import type { ServiceEntry } from '../entries/client-entry.ts'
import type { TrustDomainEntry } from '../entries/trust-domain-entry.ts'

interface Placed<T> {
  readonly at: string
  readonly entry: T
}

interface Spiffe {
  readonly trustDomains: readonly Placed<TrustDomainEntry>[]
  readonly services: readonly Placed<ServiceEntry>[]
  readonly agents: readonly Placed<ServiceEntry>[]
}

/** Adds a line to `problems` for each contradiction. */
export function* checkSpiffeIds(
  { trustDomains, services, agents }: Spiffe,
  problems: string[],
  refer: (known: ReadonlyMap<string, unknown>, name: string, at: string, noun: string) => void,
): Sliced<undefined> {
  const names = new Map<string, string>()
  for (const { at, entry } of trustDomains) {
    const before = names.get(entry.name)
    if (before === undefined) names.set(entry.name, at)
    else problems.push(`${at}.name: already used by ${before}`)
  }
  const holders = new Map<string, string>()
  for (const { at, entry } of [...services, ...agents]) {
    yield
    entry.spiffe_ids.forEach(({ id }, index) => {
      const path = `${at}.spiffe_ids[${index}]`
      const before = holders.get(id)
      if (before === undefined) holders.set(id, path)
      // An SVID names nobody but its workload: with two clients to choose from, the caller would choose its own authority.
      else problems.push(`${path}.id: already used by ${before}`)
      refer(names, parseSpiffeId(id)?.trustDomain ?? '', `${path}.id`, 'trust domain')
    })
  }
}
