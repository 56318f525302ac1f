/** A valid policy document that uses every key, for tests to break one member of. */
import type { Registry } from '../../../src/model/registry.ts'
import { decodeRegistry } from '../../../src/registry/load-registry.ts'
import { ConfigurationError } from '../../../src/registry/strict-document.ts'
import { publicJwk, testKey } from '../../support/keys.ts'

export const ISSUER = 'https://errand.example'

// biome-ignore lint/suspicious/noExplicitAny: a test breaks any member of the document, also in ways types forbid.
export type Raw = any

export function key(kid: string, version = '1'): Raw {
  return { ...publicJwk(testKey(kid)), version }
}

/** Fresh at each call: tests change it in place. */
export function validDocument(): Raw {
  return {
    issuers: [
      {
        issuer: 'https://idp.example',
        slug: 'corp',
        jwks_uri: 'https://idp.example/jwks',
        accepts: { id_token: true, access_token: 'ceiling' },
        users: 'listed',
      },
      { issuer: 'https://other.example/', slug: 'other', jwks_uri: 'https://other.example/jwks', users: 'from_issuer' },
    ],
    users: [
      { issuer: 'corp', sub: 'alice', groups: ['finance'], roles: ['analyst'] },
      { issuer: 'corp', sub: 'bob', active: false },
      { issuer: 'other', sub: 'carol', groups: ['finance'] },
    ],
    services: [{ client_id: 'warehouse-server', keys: [key('warehouse')] }],
    resources: [
      {
        id: 'warehouse',
        url: 'https://warehouse.example/mcp',
        owner: 'data-team',
        project: 'analytics',
        server_client: 'warehouse-server',
        enforces: 'arguments',
        tools: {
          query: { category: 'read' },
          insert: { category: 'write', scope: 'rows:insert' },
          drop_table: { category: 'destructive' },
          unclassified: {},
        },
      },
      {
        id: 'notes',
        url: 'https://notes.example/mcp/',
        owner: 'office',
        mode: 'personal',
        tools: { read_note: { category: 'read' } },
      },
    ],
    agents: [
      {
        client_id: 'orchestrator',
        owner: 'alice@corp.example',
        environment: 'production',
        keys: [key('orchestrator')],
        grant_types: ['token-exchange', 'client_credentials'],
        api_scopes: ['sessions', 'revocations'],
        manifest: [
          { server: 'warehouse', category: 'read' },
          { server: 'notes', tool: 'read_note' },
        ],
        delegates: ['helper'],
        upstream: { corp: 'orchestrator-at-idp' },
        standing_intent: {
          purpose: 'Answer questions about revenue',
          expires_in: 900,
          tools: { warehouse: { query: { limit: { maximum: 10 } } } },
        },
      },
      { client_id: 'helper', owner: 'bob@corp.example', environment: 'production' },
    ],
    grants: [
      {
        id: 'finance-reads',
        effect: 'allow',
        principals: [{ group: 'finance' }, { user: 'corp:alice' }],
        resources: [{ server: 'warehouse', category: 'read' }],
        constraints: { limit: { maximum: 1000 }, '*': {} },
        when: { not_before: '2026-01-01T00:00:00Z', environment: 'production' },
        reason: 'Finance reads',
      },
      { id: 'no-drops', effect: 'deny', principals: [{ agent: 'helper' }], resources: [{ tool: 'drop_table' }] },
    ],
  }
}

export function decoded(document: Raw): Registry {
  return decodeRegistry(document, 'registry.yaml', { issuer: ISSUER })
}

/** The valid document after `change`, decoded. */
export function registryAfter(change: (document: Raw) => void): Registry {
  const document = validDocument()
  change(document)
  return decoded(document)
}

/** What is wrong with the valid document after `change`. */
export function problemsAfter(change: (document: Raw) => void): readonly string[] {
  const document = validDocument()
  change(document)
  return problemsOf(() => decoded(document))
}

export function problemsOf(attempt: () => unknown): readonly string[] {
  try {
    attempt()
  } catch (fault) {
    if (fault instanceof ConfigurationError) return fault.problems
    throw fault
  }
  throw new Error('nothing was wrong')
}
