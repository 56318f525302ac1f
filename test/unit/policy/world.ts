/** A small world for decisions: a registry from a real document, and questions in shorthand. */
import type { Authority, ResourceAuthority, ToolConstraints } from '../../../src/authority/authority.ts'
import { parseToolConstraints } from '../../../src/authority/constraints.ts'
import { agentPrincipal, type DecisionId, type ResourceUrl, userPrincipal } from '../../../src/kernel/ids.ts'
import type { Agent } from '../../../src/model/client.ts'
import type { Decision, Layer, Question } from '../../../src/model/decision.ts'
import type { User } from '../../../src/model/issuer.ts'
import type { Registry } from '../../../src/model/registry.ts'
import { decide } from '../../../src/policy/decide.ts'
import { scopeSet } from '../../../src/protocol/scope.ts'
import { decodeRegistry } from '../../../src/registry/load-registry.ts'

// biome-ignore lint/suspicious/noExplicitAny: a test changes any member of the document, also in ways types forbid.
export type Raw = any

export const NOW = 1_780_000_000
export const LATER = NOW + 3600

export const WAREHOUSE = 'https://warehouse.example/mcp' as ResourceUrl
export const SLACK = 'https://slack.example/mcp' as ResourceUrl
export const FILES = 'https://files.example/mcp' as ResourceUrl
export const NOTES = 'https://notes.example/mcp' as ResourceUrl

export function worldDocument(): Raw {
  return {
    issuers: [
      {
        issuer: 'https://idp.example',
        slug: 'corp',
        jwks_uri: 'https://idp.example/jwks',
      },
    ],
    users: [
      { issuer: 'corp', sub: 'alice', groups: ['finance'], roles: ['analyst'] },
      { issuer: 'corp', sub: 'bob' },
    ],
    resources: [
      {
        id: 'warehouse',
        url: WAREHOUSE,
        owner: 'data',
        project: 'analytics',
        enforces: 'arguments',
        tools: {
          query: { category: 'read' },
          insert: { category: 'write' },
          drop_table: { category: 'destructive' },
          unclassified: {},
        },
      },
      // The tools of `slack` share one scope and one server that looks at nothing else.
      {
        id: 'slack',
        url: SLACK,
        owner: 'office',
        enforces: 'scope',
        tools: {
          post: { category: 'write', scope: 'chat' },
          list: { category: 'read', scope: 'chat' },
        },
      },
      {
        id: 'files',
        url: FILES,
        owner: 'office',
        enforces: 'tools',
        tools: {
          get: { category: 'read', scope: 'files' },
          put: { category: 'write', scope: 'files' },
        },
      },
      {
        id: 'notes',
        url: NOTES,
        owner: 'office',
        enforces: 'arguments',
        mode: 'personal',
        tools: { note: { category: 'read' } },
      },
    ],
    agents: [
      {
        client_id: 'orchestrator',
        owner: 'alice@corp.example',
        environment: 'production',
        manifest: [{ server: '*', category: 'read' }, { server: '*', category: 'write' }, { tool: 'drop_table' }],
      },
      {
        client_id: 'planner',
        owner: 'planning',
        environment: 'production',
        manifest: [{ server: '*' }],
      },
    ],
    grants: [
      {
        id: 'all',
        effect: 'allow',
        principals: [{ group: 'finance' }],
        resources: [{ server: '*' }],
      },
    ],
  }
}

export function world(change: (document: Raw) => void = () => undefined): Registry {
  const document = worldDocument()
  change(document)
  return decodeRegistry(document, 'world.yaml', {
    issuer: 'https://errand.example',
  })
}

/** Tools by resource, each with its constraints as written. */
export type Wanted = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>

/** The authority that `wanted` needs; scopes as the registry has them, without `askedAuthority`, so as to test both. */
export function authorityOf(registry: Registry, wanted: Wanted, rest: Partial<Authority> = {}): Authority {
  const resources = new Map<ResourceUrl, ResourceAuthority>()
  for (const [url, byName] of Object.entries(wanted)) {
    const tools = new Map<string, ToolConstraints>()
    const scopes: string[] = []
    for (const [name, constraints] of Object.entries(byName)) {
      tools.set(name, parseToolConstraints(constraints, name))
      scopes.push(registry.resource(url)?.tools.get(name)?.scope ?? 'unknown')
    }
    resources.set(url as ResourceUrl, {
      scopes: scopeSet(scopes),
      tools,
      limits: {},
    })
  }
  return { resources, notAfter: LATER, maxDepth: 1, ...rest }
}

export function agent(registry: Registry, clientId = 'orchestrator'): Agent {
  const found = registry.client(clientId)
  if (found?.kind !== 'agent') throw new Error(`no agent ${clientId}`)
  return found
}

export function user(registry: Registry, sub: string): User {
  const [issuer] = registry.issuers
  const found = issuer === undefined ? undefined : registry.user(issuer, sub)
  if (found === undefined) throw new Error(`no user ${sub}`)
  return found
}

/** The orchestrator asks for alice; `rest` replaces any part of the question. */
export function question(registry: Registry, wanted: Wanted, rest: Partial<Question> = {}): Question {
  const alice = user(registry, 'alice')
  return {
    id: 'dec_test' as DecisionId,
    now: NOW,
    environment: 'production',
    agent: agent(registry),
    chain: [],
    services: [],
    subject: userPrincipal(alice.issuerSlug, alice.sub),
    user: alice,
    asked: authorityOf(registry, wanted),
    askedExplicitly: false,
    risk: undefined,
    parent: undefined,
    ceiling: undefined,
    target: undefined,
    container: undefined,
    external: { kind: 'none' },
    atCall: false,
    contracted: false,
    ...rest,
  }
}

/** The parts of a question that make it about bob, or about the agent's own work. */
export function forUser(registry: Registry, sub: string): Partial<Question> {
  const found = user(registry, sub)
  return { user: found, subject: userPrincipal(found.issuerSlug, found.sub) }
}

export function autonomous(registry: Registry, clientId = 'orchestrator'): Partial<Question> {
  const found = agent(registry, clientId)
  return {
    user: undefined,
    agent: found,
    subject: agentPrincipal(found.clientId),
  }
}

export function ask(registry: Registry, wanted: Wanted, rest: Partial<Question> = {}): Decision {
  return decide(registry, question(registry, wanted, rest))
}

/** What was granted, as plain data; `undefined`: a denial. */
export function granted(decision: Decision): Record<string, Record<string, unknown>> | undefined {
  if (decision.outcome === 'deny') return undefined
  const plain: Record<string, Record<string, unknown>> = {}
  for (const [url, { tools }] of decision.effective.resources) {
    plain[url] = Object.fromEntries([...tools].map(([name, constraints]) => [name, Object.fromEntries(constraints)]))
  }
  return plain
}

export function reason(decision: Decision): string | undefined {
  return decision.outcome === 'deny' ? decision.reason : undefined
}

export function verdict(decision: Decision, layer: Layer): string | undefined {
  return decision.layers.find((entry) => entry.layer === layer)?.verdict
}
