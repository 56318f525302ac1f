import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { policyWarnings } from '../../../../src/cli/check/policy-warnings.ts'
import { decodeRegistry, parseRegistryText } from '../../../../src/registry/load-registry.ts'
import { publicJwk, testKey } from '../../../support/keys.ts'
import { testSettings, validDocument } from '../policy-document.ts'

const warningsOf = (change: (document: ReturnType<typeof validDocument>) => void): readonly string[] => {
  const document = validDocument()
  change(document)
  return policyWarnings(decodeRegistry(document, 'registry.yaml', { issuer: testSettings.issuer }), testSettings)
}

const FOLLOWS = { grant_types: ['client_credentials'], api_scopes: ['revocations'] }

function follow(document: ReturnType<typeof validDocument>, resource: object, service: object): void {
  const keys = [{ ...publicJwk(testKey('notes-server')), version: '1' }]
  Object.assign(document, { services: [{ client_id: 'notes-server', keys, ...service }] })
  Object.assign(document.resources[0] ?? {}, { server_client: 'notes-server', ...resource })
}

describe('warnings about a policy', () => {
  test('there are none about one that makes sense', () => {
    expect(warningsOf(() => undefined)).toEqual([])
    const text = readFileSync(join(import.meta.dirname, '../../../../deploy/example/registry.yaml'), 'utf8')
    const example = parseRegistryText(text, 'registry.yaml', { issuer: 'https://errand.example' })
    expect(policyWarnings(example, { ...testSettings, environment: 'production' })).toEqual([])
  })

  test.each<[string, (document: ReturnType<typeof validDocument>) => void]>([
    ['issuer corp: none of its tokens is accepted', ({ issuers: [issuer] }) => delete issuer?.['accepts']],
    ['issuer corp: its users cannot see or revoke', ({ issuers: [issuer] }) => delete issuer?.['user_audience']],
    [
      'resource notes: has no tools',
      ({ resources: [resource], ...rest }) => {
        Object.assign(resource ?? {}, { tools: {} })
        Object.assign(rest.agents[0] ?? {}, { manifest: [{ server: 'notes' }] })
      },
    ],
    [
      'resource notes: none of its tools may be delegated',
      ({ resources: [resource] }) => Object.assign(resource ?? {}, { tools: { search: {} } }),
    ],
    [
      "resource notes: no agent's manifest reaches",
      ({ agents: [agent] }) => Object.assign(agent ?? {}, { manifest: [] }),
    ],
    [
      'resource notes: has no server_client',
      ({ resources: [resource] }) => Object.assign(resource ?? {}, { enforces: 'arguments' }),
    ],
    [
      'resource notes: enforces calls and has no server_client',
      ({ resources: [resource] }) => Object.assign(resource ?? {}, { enforces: 'calls' }),
    ],
    [
      'resource notes: enforces calls, and its server_client notes-server may not ask',
      (document) => follow(document, { enforces: 'calls' }, {}),
    ],
    [
      'resource notes: has dangerous tools for agents and asks nobody whether a token was revoked, so believes one for up to 330 s',
      ({ resources: [resource] }) =>
        Object.assign(resource ?? {}, { tools: { search: { category: 'destructive', delegable: true } } }),
    ],
    [
      'agent writer: belongs to environment production',
      ({ agents: [agent] }) => Object.assign(agent ?? {}, { environment: 'production' }),
    ],
    [
      'agent writer: its manifest goes beyond its owner user:corp:bob, and no new agent may',
      ({ agents: [agent], users }) => {
        users.push({ issuer: 'corp', sub: 'bob' })
        Object.assign(agent ?? {}, { owner: 'user:corp:bob' })
      },
    ],
    [
      'resource notes: search: destructive, for agents, and no person approves a call of it',
      ({ resources: [resource] }) =>
        Object.assign(resource ?? {}, { tools: { search: { category: 'destructive', delegable: true } } }),
    ],
    [
      "agent writer: some of its tools need a person's approval, and its owner",
      (document) => {
        follow(document, { enforces: 'calls', tools: { search: { category: 'read', approval: 'required' } } }, {})
        Object.assign(document.agents[0] ?? {}, { owner: 'the writers' })
      },
    ],
    [
      'resource notes: search: approval: required, and the server does not ask before each call',
      ({ resources: [resource] }) =>
        Object.assign(resource ?? {}, { tools: { search: { category: 'read', approval: 'required' } } }),
    ],
    ['agent writer: has no key', ({ agents: [agent] }) => Object.assign(agent ?? {}, { keys: [] })],
    ['agent writer: has no grant_types', ({ agents: [agent] }) => Object.assign(agent ?? {}, { grant_types: [] })],
    [
      'agent writer: its manifest reaches no tool',
      ({ agents: [agent] }) => Object.assign(agent ?? {}, { manifest: [] }),
    ],
    ['agent writer: no grant allows any user', (document) => Object.assign(document, { grants: [] })],
    [
      'agent writer: no grant allows any user',
      ({ grants: [grant] }) => Object.assign(grant ?? {}, { principals: [{ agent: 'writer' }] }),
    ],
    ['agent writer: no grant allows any user', ({ grants: [grant] }) => Object.assign(grant ?? {}, { effect: 'deny' })],
    [
      'agent writer: may use jwt-bearer, but no issuer',
      ({ agents: [agent] }) => Object.assign(agent ?? {}, { grant_types: ['token-exchange', 'jwt-bearer'] }),
    ],
    [
      'authorization server chat: no agent has a client id there',
      (document) =>
        Object.assign(document, { authorization_servers: [{ issuer: 'https://as.example', slug: 'chat' }] }),
    ],
    [
      'authorization server chat: no resource takes its tokens',
      (document) =>
        Object.assign(document, {
          authorization_servers: [{ issuer: 'https://as.example', slug: 'chat', clients: { writer: 'w' } }],
        }),
    ],
    ['agent writer: has no client id at any issuer', ({ agents: [agent] }) => delete agent?.['upstream']],
    [
      'grant readers: matches no tool',
      ({ grants: [grant] }) => Object.assign(grant ?? {}, { resources: [{ category: 'destructive' }] }),
    ],
    [
      'resource notes: revocation_check says feed, and its server_client notes-server may not follow',
      (document) => follow(document, { revocation_check: 'feed' }, {}),
    ],
    [
      'resource notes: revocation_check says feed, and its server_client notes-server may not follow',
      (document) => follow(document, { revocation_check: 'feed' }, { api_scopes: ['revocations'] }),
    ],
    [
      'resource notes: its server_client notes-server may follow the revocations; if it does, say revocation_check: feed',
      (document) => follow(document, {}, FOLLOWS),
    ],
  ])('%s', (warning, change) => {
    expect(warningsOf(change)).toEqual(expect.arrayContaining([expect.stringContaining(warning)]))
  })

  test('a server that follows, and says so, needs no advice; nor one that introspects', () => {
    expect(warningsOf((document) => follow(document, { revocation_check: 'feed' }, FOLLOWS))).toEqual([])
    expect(warningsOf((document) => follow(document, { revocation_check: 'introspection' }, FOLLOWS))).toEqual([])
    expect(warningsOf((document) => follow(document, {}, {}))).toEqual([])
  })

  test('a server that asks before each call, and may, needs no advice', () => {
    const may = { api_scopes: ['evaluate'], grant_types: ['client_credentials'] }
    expect(warningsOf((document) => follow(document, { enforces: 'calls' }, may))).toEqual([])
  })

  test('an agent that is suspended on purpose needs no advice', () => {
    expect(warningsOf(({ agents: [agent] }) => Object.assign(agent ?? {}, { state: 'suspended', keys: [] }))).toEqual(
      [],
    )
  })
})
