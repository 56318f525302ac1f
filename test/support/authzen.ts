/** Asking the Authorization API, and the fixture of its certification scenario as an ordinary policy. */
import { AuditLog } from '../../src/audit/audit-log.ts'
import { Auditor } from '../../src/audit/auditor.ts'
import { StrangerCounts } from '../../src/audit/stranger-counts.ts'
import { evaluateOne } from '../../src/calls/evaluate.ts'
import { servicePrincipal } from '../../src/kernel/ids.ts'
import type { Registry } from '../../src/model/registry.ts'
import { scopeSet } from '../../src/protocol/scope.ts'
import { SessionRepository } from '../../src/sessions/session-repository.ts'
import type { TestIssuer } from './issuer.ts'
import { publicJwk, testKey } from './keys.ts'
import { type Answer, registryDocument, startWorld, type World } from './world.ts'

export const EVALUATION = '/access/v1/evaluation'
export const EVALUATIONS = '/access/v1/evaluations'
export const SEARCH = {
  subject: '/access/v1/search/subject',
  resource: '/access/v1/search/resource',
  action: '/access/v1/search/action',
}

/** A service's API token for asking. */
export function evaluateToken(world: World, service: string): Promise<string> {
  return world.apiToken(service, 'evaluate')
}

export function ask(world: World, token: string, path: string, body: unknown): Promise<Answer> {
  return world.bearer(path, token, 'POST', body)
}

const RECORDS = 'https://records.example/mcp'

/**
 * `certification/authorization-api-1_0-scenario.md` of openid/authzen, C.1: Alice and Bob, who is an admin; two records that
 * differ in a registered attribute; what may be done with them is said with constraints on that attribute and on the action's.
 */
export function certificationWorld(): Promise<World> {
  const only = (tool: string) => [{ server: 'records', tool }]
  const allow = (id: string, principals: readonly object[], tool: string, constraints?: object) => ({
    id,
    effect: 'allow',
    principals,
    resources: only(tool),
    ...(constraints === undefined ? {} : { constraints: { ...constraints, '*': {} } }),
  })
  const alice = { user: 'corp:alice' }
  return startWorld({
    registry: {
      users: [
        { issuer: 'corp', sub: 'alice' },
        { issuer: 'corp', sub: 'bob', roles: ['admin'] },
      ],
      services: [
        {
          client_id: 'records-app',
          keys: [{ ...publicJwk(testKey('records-app-key')), version: '1' }],
          grant_types: ['client_credentials'],
          api_scopes: ['evaluate'],
          users_of: 'corp',
        },
      ],
      resources: [
        {
          id: 'records',
          url: RECORDS,
          owner: 'records-team',
          server_client: 'records-app',
          tools: {
            read: { category: 'read' },
            write: { category: 'write' },
            delete: { category: 'destructive', delegable: true },
          },
          containers: [
            { id: 'record-1', type: 'record', attributes: { status: 'active' } },
            { id: 'record-2', type: 'record', attributes: { status: 'archived' } },
          ],
        },
      ],
      agents: [],
      grants: [
        allow('everybody-reads', [alice, { user: 'corp:bob' }], 'read'),
        allow('alice-writes-what-is-active', [alice], 'write', { status: { const: 'active' } }),
        allow('admins-write-what-is-archived', [{ role: 'admin' }], 'write', { status: { const: 'archived' } }),
        allow('alice-deletes-softly', [alice], 'delete', { soft: { const: true } }),
      ],
    },
  })
}

/** The world's usual services, which may ask about their servers. */
export function evaluatingServices(idp: TestIssuer): { readonly services: readonly object[] } {
  const { services } = registryDocument(idp)
  return {
    services: (services as object[]).map((service) => ({ ...service, api_scopes: ['revocations', 'evaluate'] })),
  }
}

/** The broker's own answer to the warehouse, by another registry than the published one. */
export function evaluateWith(world: World, registry: Registry, body: Readonly<Record<string, unknown>>) {
  const { store, ring, cutoffs } = world.broker
  const { clock } = world
  const { settings } = world.config
  const client = registry.client('warehouse-server')
  if (client === undefined) throw new Error('the registry has no warehouse-server')
  const auditor = new Auditor(new AuditLog(store.audit), new StrangerCounts(store.audit, clock), clock)
  const approvals = { windows: store.windows, indexes: store.indexes, stillApproves: () => false }
  const alone = {
    approvals,
    external: undefined,
    shadow: { answer: () => undefined },
    orphans: { since: () => undefined },
    drift: { refused: async () => false },
    capture: { modeOf: () => 'off' as const, onto: async () => undefined },
  }
  const common = { store, ring, cutoffs, clock, settings, auditor, ...alone }
  const caller = {
    kind: 'client',
    principal: servicePrincipal(client.clientId),
    client,
    scopes: scopeSet(['evaluate']),
  } as const
  const facts = {
    source: 'test',
    authorizationScheme: undefined,
    basicCredentials: undefined,
    apiKey: undefined,
    correlation: undefined,
  }
  return evaluateOne(
    { caller: async () => caller, facts, spend: () => undefined, body: () => body },
    {
      ...common,
      calls: store.calls,
      windows: store.windows,
      observer: undefined,
      registries: { current: registry },
      sessions: new SessionRepository(store),
    },
  )
}
