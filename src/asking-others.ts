/** Whom the broker asks, wired: issuers, clients and trust domains for keys, others about tokens and about what they would allow. */
import { basename, dirname } from 'node:path'
import type { Config } from './config/config.ts'
import type { Clock } from './kernel/clock.ts'
import { X509_ISSUANCES_MAX } from './kernel/limits.ts'
import { Secret } from './kernel/secret.ts'
import { readPrivate } from './keys/private-files.ts'
import type { Registry } from './model/registry.ts'
import { ClientKeys } from './net/client-keys.ts'
import { ExternalPolicy } from './net/external-policy.ts'
import { createGuardedFetch } from './net/guarded-fetch.ts'
import { Introspections } from './net/introspections.ts'
import { IssuerKeys } from './net/issuer-keys.ts'
import { TokenReviews } from './net/token-reviews.ts'
import { TrustBundles } from './net/trust-bundles.ts'
import type { Operations } from './operate/operations.ts'
import { Issuances } from './x509/issuances.ts'

/** What others are asked: for verification keys, about tokens, and what they would allow. */
export async function askingOthers(config: Config, { trustDomains }: Registry, { clock, operations }: Operated) {
  const { outbound, externalPdp } = config
  const network = { fetchJson: createGuardedFetch(outbound), clock }
  const keys = new IssuerKeys({
    ...network,
    onFailure: ({ slug }, error) => operations.keysUnread({ issuer: slug }, error),
  })
  const clientKeys = new ClientKeys({
    ...network,
    onFailure: ({ clientId }, error) => operations.keysUnread({ client: clientId }, error),
  })
  const bundles = new TrustBundles({
    ...network,
    onFailure: ({ name }, error) => operations.keysUnread({ trust_domain: name }, error),
  })
  const introspections = new Introspections({
    ...network,
    discovery: keys.discovery,
    readPrivateFile: readCredential,
    onFailure: ({ slug }, error) => operations.introspectionFailed({ issuer: slug }, error),
  })
  const reviews = new TokenReviews({
    ...network,
    onFailure: ({ url }, error) => operations.reviewFailed(url, error),
  })
  const external =
    externalPdp && new ExternalPolicy(externalPdp, { ...network, onFailure: operations.externalPolicyFailed })
  const issuances = new Issuances(X509_ISSUANCES_MAX)
  if (trustDomains.length > 0) await issuances.prepare()
  return { keys, clientKeys, bundles, reviews, introspections, external, issuances }
}

export type Operated = { readonly clock: Clock; readonly operations: Operations }

async function readCredential(path: string): Promise<Secret> {
  const text = await readPrivate(dirname(path), basename(path))
  if (text === undefined) throw new Error('the file of the introspection credential is not there')
  return new Secret(text)
}
