/** One agent, one service, one registry: what the tests of this folder vary. */
import { expect } from 'vitest'
import type { ClientId } from '../../../src/kernel/ids.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { KeyRing } from '../../../src/keys/key-ring.ts'
import type { KeyClass, RingKey } from '../../../src/keys/ring-view.ts'
import type { Agent, Client, ClientKey, Service } from '../../../src/model/client.ts'
import type { Issuer, User } from '../../../src/model/issuer.ts'
import type { Registry } from '../../../src/model/registry.ts'
import { Issuances } from '../../../src/x509/issuances.ts'
import { publicJwk, type TestAlg, type TestKey, testKey } from '../../support/keys.ts'

export const NOW = 1_800_000_000
export const BROKER = 'https://broker.example'
/** For clients that publish no keys: asking the network would fail the test. */
export const NO_KEY_SETS = { keysFor: () => Promise.reject(new Error('no client here publishes keys')) }

/** Likewise for platforms, of which there is none here. */
export const NO_REVIEWS = { review: () => Promise.reject(new Error('no cluster here is asked')) }
export const NO_PLATFORM_KEYS = { keysFor: () => Promise.reject(new Error('no platform here publishes keys')) }

export function clientKey(kid: string, version = '1', alg: TestAlg = 'ES256'): ClientKey {
  return { kid, alg, key: testKey(kid, alg).publicKey, version }
}

export function agent(clientId: string, over: Partial<Agent> = {}): Agent {
  return {
    kind: 'agent',
    clientId: clientId as ClientId,
    state: 'active',
    keys: [clientKey(`${clientId}-key`)],
    grantTypes: [],
    apiScopes: [],
    keySets: [],
    secrets: [],
    workloads: [],
    spiffeIds: [],
    legacyAssertionAudience: false,
    assertionReuse: undefined,
    certificateBound: false,
    owner: 'team-data',
    environment: 'test',
    certifiedUntil: undefined,
    versions: new Map(),
    manifest: [],
    delegates: [],
    upstreamClientIds: new Map([['idp', `idp-${clientId}`]]),
    standingIntent: undefined,
    issuance: [],
    apiKeys: [],
    ...over,
  }
}

export function service(clientId: string, over: Partial<Service> = {}): Service {
  return {
    kind: 'service',
    usersOf: undefined,
    manifest: [],
    clientId: clientId as ClientId,
    state: 'active',
    keys: [clientKey(`${clientId}-key`)],
    grantTypes: [],
    apiScopes: [],
    keySets: [],
    secrets: [],
    workloads: [],
    spiffeIds: [],
    legacyAssertionAudience: false,
    assertionReuse: undefined,
    certificateBound: false,
    ...over,
  }
}

/** For tests without trust domains. */
const nobody = () => Promise.reject(new Error('no trust domain is here'))
export const NO_SVIDS = { bundles: { jwtKeys: nobody, x509Authorities: nobody }, issuances: new Issuances(1) }

export interface RegistryContents {
  readonly clients?: readonly Client[]
  readonly issuers?: readonly Issuer[]
  readonly users?: readonly User[]
}

export function registry({ clients = [], issuers = [], users = [] }: RegistryContents): Registry {
  return {
    version: 'test',
    grants: [],
    agents: clients.filter((client) => client.kind === 'agent'),
    services: clients.filter((client) => client.kind === 'service'),
    projects: [],
    resources: [],
    issuers,
    users,
    roles: [],
    workloadIssuers: [],
    authorizationServers: [],
    authorizationServer: () => undefined,
    workloadIssuer: () => undefined,
    workloads: () => [],
    trustDomains: [],
    trustDomain: () => undefined,
    clientBySpiffeId: () => undefined,
    client: (clientId) => clients.find((client) => client.clientId === clientId),
    issuer: (issuer) => issuers.find((entry) => entry.issuer === issuer),
    issuerBySlug: (slug) => issuers.find((entry) => entry.slug === slug),
    resource: () => undefined,
    resourceByName: () => undefined,
    user: (issuer, sub) => users.find((user) => user.issuerSlug === issuer.slug && user.sub === sub),
  }
}

export function user(sub: string, over: Partial<User> = {}): User {
  return { issuerSlug: 'idp', sub, active: true, groups: [], roles: [], ...over }
}

export function ring(keys: readonly (readonly [KeyClass, TestKey])[]): KeyRing {
  return new KeyRing(keys.map(([cls, key]) => ringKey(cls, key)))
}

function ringKey(cls: KeyClass, key: TestKey): RingKey {
  return {
    class: cls,
    alg: key.alg as RingKey['alg'],
    kid: key.kid,
    activateAt: NOW - 1_000,
    createdAt: NOW - 1_000,
    development: true,
    signing: { kid: key.kid, alg: key.alg, key: key.privateKey },
    verification: { kid: key.kid, alg: key.alg, key: key.publicKey },
    publicJwk: publicJwk(key),
  }
}

/** The reason of the Rejection that `attempt` must end with; checks that no token text is in it. */
export async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    (value) => new Error(`was accepted: ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Rejection)) throw error
  expect(error.message).not.toContain('eyJ')
  return error.reason
}
