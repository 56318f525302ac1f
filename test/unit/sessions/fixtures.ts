/** A session of Alice's by hand: root held by the orchestrator, delegated to the researcher, and on to the scribe. */
import { rmSync } from 'node:fs'
import type { Actor } from '../../../src/authority/actor-chain.ts'
import type { Authority } from '../../../src/authority/authority.ts'
import { parseToolConstraints } from '../../../src/authority/constraints.ts'
import type { Clock } from '../../../src/kernel/clock.ts'
import type { ClientId, NodeId, PrincipalId, ResourceUrl, SessionId } from '../../../src/kernel/ids.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import type { NodeFacts, SessionFacts } from '../../../src/model/session.ts'
import { openStore } from '../../../src/store/open-store.ts'
import type { Store } from '../../../src/store/ports.ts'
import { scratchDirectory } from '../../support/scratch.ts'

export const NOW = 1_780_000_000
export const END = NOW + 900
export const ISSUER = 'https://errand.example'
export const WAREHOUSE = 'https://warehouse.example/mcp' as ResourceUrl
export const SLACK = 'https://slack.example/mcp' as ResourceUrl

export const SESSION = 'ses_one' as SessionId
export const ROOT = 'nod_root' as NodeId
export const CHILD = 'jti_child' as NodeId
export const GRANDCHILD = 'jti_grandchild' as NodeId
export const ALICE = 'user:corp:alice' as PrincipalId

export class HandClock implements Clock {
  ms: number
  constructor(ms = NOW * 1000) {
    this.ms = ms
  }
  nowMs(): number {
    return this.ms
  }
}

/** Arguments of `query`, as written on the wire. */
export function authority(query: Readonly<Record<string, unknown>> = {}, rest: Partial<Authority> = {}): Authority {
  const tools = new Map([['query', parseToolConstraints(query, 'query')]])
  return {
    resources: new Map([[WAREHOUSE, { scopes: ['mcp:tools:read'], tools, limits: {} }]]),
    notAfter: END,
    maxDepth: 1,
    ...rest,
  }
}

export function actor(...agents: readonly string[]): Actor {
  const [newest = '', ...earlier] = agents
  return {
    iss: ISSUER,
    sub: `agent:${newest}`,
    sub_profile: 'ai_agent',
    ...(earlier.length > 0 ? { act: actor(...earlier) } : {}),
  }
}

export function sessionFacts(over: Partial<SessionFacts> = {}): SessionFacts {
  return {
    id: SESSION,
    txn: 'txn_one',
    rootAgent: 'orchestrator' as ClientId,
    rootNode: ROOT,
    subject: { principal: ALICE, profile: 'user', user: { issuerSlug: 'corp', sub: 'alice' } },
    accountableOwner: 'alice@corp.example',
    intentSalt: 'salt',
    ceiling: authority(),
    evidence: {
      digest: 'digest-of-evidence',
      issuer: 'https://idp.example',
      signedInAt: NOW - 5,
      expiresAt: NOW + 7200,
      authTime: NOW - 10,
      acr: undefined,
      amr: undefined,
      risk: undefined,
    },
    openedAt: NOW,
    notAfter: END,
    ...over,
  }
}

export function nodeFacts(over: Partial<NodeFacts> = {}): NodeFacts {
  return {
    id: ROOT,
    parent: undefined,
    holder: 'orchestrator' as ClientId,
    agentVersion: '1',
    act: actor('orchestrator'),
    authority: authority(),
    purpose: 'Summarise Q3 revenue',
    origin: { type: 'user_request', ref: 'msg-7731', assertedBy: 'agent:orchestrator' },
    intentHash: 'hash-of-intent',
    createdAt: NOW,
    notAfter: END,
    senderConstraint: undefined,
    ...over,
  }
}

export const child = (over: Partial<NodeFacts> = {}): NodeFacts =>
  nodeFacts({
    id: CHILD,
    parent: ROOT,
    holder: 'researcher' as ClientId,
    act: actor('researcher', 'orchestrator'),
    authority: authority({ table: { const: 'revenue' } }),
    purpose: 'Find the figures',
    ...over,
  })

export const grandchild = (over: Partial<NodeFacts> = {}): NodeFacts =>
  nodeFacts({
    id: GRANDCHILD,
    parent: CHILD,
    holder: 'scribe' as ClientId,
    act: actor('scribe', 'researcher', 'orchestrator'),
    authority: authority({ table: { const: 'revenue' }, limit: { maximum: 1 } }),
    purpose: 'Write one line',
    ...over,
  })

export interface TestStore {
  readonly store: Store
  close(): Promise<void>
}

/** The real embedded store in a directory of its own. */
export async function testStore(clock: Clock): Promise<TestStore> {
  const directory = scratchDirectory('errand-unit-')
  const store = await openStore({ kind: 'embedded', directory, org: 'default', clock })
  return {
    store,
    close: async () => {
      await store.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** The reason of the Rejection an attempt ends in; any other end fails the test. */
export async function reasonOf(attempt: Promise<unknown> | (() => unknown)): Promise<string> {
  let given: unknown
  try {
    given = await (typeof attempt === 'function' ? attempt() : attempt)
  } catch (thrown) {
    if (thrown instanceof Rejection) return thrown.reason
    throw thrown
  }
  throw new Error(`nothing was refused: ${JSON.stringify(given)}`)
}
