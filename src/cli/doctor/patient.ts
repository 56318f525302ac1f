/** What a diagnosis is made with: the registry, the keys that the broker would use, and the clock; no store and no broker. */
import { isAbsolute } from 'node:path'
import type { Config } from '../../config/config.ts'
import { loadRegistryFiles } from '../../config/load-config.ts'
import { type KeySet, parseKeySet } from '../../jose/key-set.ts'
import { SeenSignatures } from '../../jose/seen-signatures.ts'
import { parseStrictJson } from '../../jose/strict-json.ts'
import { type Clock, epochSeconds } from '../../kernel/clock.ts'
import type { Secret } from '../../kernel/secret.ts'
import { loadKeys } from '../../keys/key-files.ts'
import { KeyRing } from '../../keys/key-ring.ts'
import type { Client, ClientKeySet } from '../../model/client.ts'
import type { PublishingIssuer } from '../../model/issuer.ts'
import type { Registry } from '../../model/registry.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import { ClientKeys } from '../../net/client-keys.ts'
import { createGuardedFetch, type FetchJson } from '../../net/guarded-fetch.ts'
import { IssuerKeys } from '../../net/issuer-keys.ts'
import { OutboundError } from '../../net/outbound-error.ts'
import { TrustBundles } from '../../net/trust-bundles.ts'
import { Issuances } from '../../x509/issuances.ts'
import { UsageError } from '../failures.ts'

export interface Patient {
  readonly token: Secret
  readonly settings: BrokerSettings
  readonly registry: Registry
  /** Whom it is to be examined as, where the command says so. */
  readonly as: Client | undefined
  readonly keys: Pick<IssuerKeys, 'keysFor'>
  readonly clientKeys: Pick<ClientKeys, 'keysFor'>
  readonly bundles: TrustBundles
  readonly issuances: Issuances
  readonly seen: SeenSignatures
  readonly now: number
  /** The broker's own keys: read for its own tokens alone. @throws KeyFileError */
  ring(): Promise<KeyRing>
  /** What went wrong outside, one line each. */
  readonly troubles: readonly string[]
}

export interface PatientOptions {
  readonly token: Secret
  readonly clientId: string | undefined
  readonly offline: boolean
  /** Text of a key set that is taken for whatever key set the broker would fetch. */
  readonly jwks: string | undefined
  readonly clock: Clock
}

export function admit(config: Config, { token, clientId, offline, jwks, clock }: PatientOptions): Patient {
  const registry = loadRegistryFiles(config)
  const as = clientId === undefined ? undefined : registry.client(clientId)
  if (clientId !== undefined && as === undefined) throw new UsageError(`--as: no client is named ${clientId}`)
  const troubles: string[] = []
  const onFailure = (_source: unknown, error: unknown) => {
    troubles.push(error instanceof Error ? error.message : 'its keys cannot be read')
  }
  const network = { fetchJson: offline ? notAsked : createGuardedFetch(config.outbound), clock, onFailure }
  const given = jwks === undefined ? undefined : keysFrom(jwks)
  return {
    token,
    settings: config.settings,
    registry,
    as,
    keys: given?.ofIssuers ?? new IssuerKeys(network),
    clientKeys: given?.ofClients ?? new ClientKeys(network),
    bundles: new TrustBundles(network),
    issuances: new Issuances(1_000),
    seen: new SeenSignatures(1_000),
    now: epochSeconds(clock),
    ring: async () => new KeyRing(await loadKeys(config.keys.directory, { development: config.development })),
    troubles,
  }
}

const notAsked: FetchJson = async (url) => {
  const where = isAbsolute(url) ? url : new URL(url).host
  throw new OutboundError('unreachable', `${where} was not asked: --offline`)
}

/** A file in the place of the network: what is verified with it, and how, stays the same. */
function keysFrom(text: string) {
  const read = (algorithms: readonly string[]): KeySet => {
    try {
      return parseKeySet(parseStrictJson(text), algorithms)
    } catch {
      throw new UsageError('--jwks: the file is not a JWK set of public keys')
    }
  }
  const ANY = ['ES256', 'RS256', 'Ed25519']
  return {
    ofIssuers: { keysFor: async ({ algorithms }: PublishingIssuer) => read(algorithms ?? ANY) },
    ofClients: { keysFor: async (_client: Client, { algorithms }: ClientKeySet) => read(algorithms) },
  }
}
