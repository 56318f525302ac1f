/** The parts of revocation on a real store, and a session of three hops in it; callers are given, not verified. */
import { AuditLog } from '../../../src/audit/audit-log.ts'
import { Auditor } from '../../../src/audit/auditor.ts'
import { StrangerCounts } from '../../../src/audit/stranger-counts.ts'
import type { ClientId, NodeId, PrincipalId, SessionId } from '../../../src/kernel/ids.ts'
import type { KeyRing } from '../../../src/keys/key-ring.ts'
import { ADMIN_ROLES } from '../../../src/model/admin-role.ts'
import type { Caller } from '../../../src/model/caller.ts'
import type { Registry } from '../../../src/model/registry.ts'
import type { Entry } from '../../../src/model/request-facts.ts'
import type { NodeFacts, SessionFacts } from '../../../src/model/session.ts'
import { Form } from '../../../src/protocol/form.ts'
import type { CallerRequest } from '../../../src/revocation/caller-request.ts'
import type { RevocationParts } from '../../../src/revocation/client-call.ts'
import { LiveCutoffs } from '../../../src/sessions/live-cutoffs.ts'
import { acceptDelegation, issueLeaf, offerDelegation, openSession } from '../../../src/sessions/session-commits.ts'
import { SessionRepository } from '../../../src/sessions/session-repository.ts'
import { Issuances } from '../../../src/x509/issuances.ts'
import { sign, testKey } from '../../support/keys.ts'
import { registry as world } from '../flows/fixtures.ts'
import {
  ALICE,
  actor,
  CHILD,
  child,
  GRANDCHILD,
  grandchild,
  HandClock,
  ISSUER,
  NOW,
  nodeFacts,
  ROOT,
  SESSION,
  sessionFacts,
  testStore,
} from '../sessions/fixtures.ts'
import { SETTINGS, testRing } from '../tokens/fixtures.ts'

/** Lets everybody in. */
const entry: Entry = {
  turn: async () => {},
  claim: () => {},
  admit: (authenticate) => authenticate(),
  succeeded: () => {},
  excused: () => {},
  end: () => {},
  spend: () => {},
  spendIssuer: () => {},
}
export const FACTS = { source: '203.0.113.7', authorizationScheme: undefined, correlation: undefined, entry }
export const PENDING = 'jti_pending' as NodeId

export interface Bench {
  readonly parts: RevocationParts
  readonly clock: HandClock
  readonly ring: KeyRing
  /** The same parts with another registry: what a reload gives. */
  withRegistry(registry: Registry): RevocationParts
  // biome-ignore lint/suspicious/noExplicitAny: records of many shapes
  records(): Promise<readonly any[]>
  close(): Promise<void>
}

let sharedRing: Promise<KeyRing> | undefined

export async function startBench(): Promise<Bench> {
  const clock = new HandClock()
  const { store, close } = await testStore(clock)
  sharedRing ??= testRing()
  const ring = await sharedRing
  const cutoffs = new LiveCutoffs(clock)
  const feed = await store.control.follow(cutoffs)
  const auditor = new Auditor(new AuditLog(store.audit), new StrangerCounts(store.audit, clock), clock)
  const sessions = new SessionRepository(store)
  // As where the key directory cannot be written.
  const keeper = { ensureSigner: async () => undefined }
  const clientKeys = { keysFor: () => Promise.reject(new Error('no client here publishes keys')) }
  const keys = { keysFor: () => Promise.reject(new Error('no platform here publishes keys')) }
  const nobody = () => Promise.reject(new Error('no trust domain is here'))
  const svids = { bundles: { jwtKeys: nobody, x509Authorities: nobody }, issuances: new Issuances(1) }
  const reviews = { review: () => Promise.reject(new Error('no cluster here is asked')) }
  const known = {
    settings: SETTINGS,
    reviews,
    registries: { current: world },
    clientKeys,
    keys,
    ...svids,
    ring,
    keeper,
  }
  const parts = { ...known, store, sessions, cutoffs, auditor, clock }
  return {
    parts,
    clock,
    ring,
    withRegistry: (registry) => ({ ...parts, registries: { current: registry } }),
    records: async () => (await store.audit.latest(100)).map((entry) => JSON.parse(entry.record)),
    close: async () => {
      await feed.stop()
      await close()
    },
  }
}

export interface Tree {
  readonly id?: SessionId
  readonly principal?: PrincipalId
  /** Without a user: the root agent's own work. */
  readonly autonomous?: boolean
}

/** root (2 tokens) ─ child (1) ─ grandchild (3), and a delegation below the root that nobody accepted. */
export async function plant(bench: Bench, tree: Tree = {}): Promise<SessionFacts> {
  const id = tree.id ?? SESSION
  const principal = tree.principal ?? ALICE
  const user = { issuerSlug: 'corp', sub: principal.split(':')[2] ?? '' }
  const facts = sessionFacts(
    tree.autonomous === true
      ? {
          id,
          subject: { principal: 'agent:orchestrator' as PrincipalId, profile: 'ai_agent', user: undefined },
          evidence: undefined,
        }
      : { id, subject: { principal, profile: 'user', user } },
  )
  const { sessions, store } = bench.parts
  let count = 0
  const commit = (change: Parameters<SessionRepository['commit']>[0]) => {
    count += 1
    return sessions.commit(change, `plant-${count}`, undefined)
  }
  await commit(openSession(facts, nodeFacts(), false))
  const grow = async (path: readonly NodeId[], node: NodeFacts) => {
    await commit(offerDelegation({ facts, state: 'active' }, path, node, NOW))
    await commit(acceptDelegation({ facts, state: 'active' }, path, node, { withLeaf: false, now: NOW }))
  }
  await grow([ROOT], child())
  await grow([ROOT, CHILD], grandchild())
  await commit(
    offerDelegation(
      { facts, state: 'active' },
      [ROOT],
      child({ id: PENDING, act: actor('researcher', 'orchestrator') }),
      NOW,
    ),
  )
  for (const [path, leaves] of [
    [[ROOT], 2],
    [[ROOT, CHILD], 1],
    [[ROOT, CHILD, GRANDCHILD], 3],
  ] as const) {
    for (let leaf = 0; leaf < leaves; leaf += 1) await commit(issueLeaf({ facts, state: 'active' }, path, NOW))
  }
  const lists = [principal, 'agent:orchestrator', 'agent:researcher', 'agent:scribe', 'all']
  await Promise.all(lists.map((list) => store.indexes.add(`sessions:${list}`, id, facts.notAfter * 1000)))
  return facts
}

export const user = (principal: string = ALICE): Caller => ({ kind: 'user', principal: principal as PrincipalId })
export const operator: Caller = { kind: 'operator', principal: 'operator:ops' as PrincipalId, roles: ADMIN_ROLES }
export function client(id: string, registry = world): Caller {
  const found = registry.client(id)
  if (found === undefined) throw new Error(`no client ${id}`)
  return { kind: 'client', principal: `${found.kind}:${id}` as PrincipalId, client: found, scopes: ['sessions'] }
}

export const as = (caller: Caller): CallerRequest => ({ caller: async () => caller, facts: FACTS })

/** The hops of a report by node, so that order does not matter. */
export function hopsOf(report: { readonly hops: readonly { node: string; tokens: number; depth: number }[] }) {
  return Object.fromEntries(report.hops.map(({ node, tokens, depth }) => [node, [depth, tokens]]))
}

let assertions = 0
/** A form with a fresh assertion of the client. */
export function formAs(clientId: string, params: Readonly<Record<string, string>>, claims: object = {}): () => Form {
  assertions += 1
  const base = { iss: clientId, sub: clientId, aud: ISSUER, iat: NOW, exp: NOW + 60, jti: `unit-${assertions}` }
  const assertion = sign({ key: testKey(`${clientId}-key`), header: {}, claims: { ...base, ...claims } })
  const body = new URLSearchParams({
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion.reveal(),
    ...params,
  })
  return () => Form.parse(body.toString())
}

export const asClientId = (id: string) => id as ClientId

/** What a refused request carries to the transport: its reason, or the fault. */
export async function refusalOf(
  attempt: Promise<unknown>,
): Promise<{ reason?: string; authenticated: boolean; decisionId?: string }> {
  const refused = await attempt.then(
    (given) => {
      throw new Error(`nothing was refused: ${JSON.stringify(given)}`)
    },
    (thrown: { error: { reason?: string }; authenticated: boolean; decisionId?: string }) => thrown,
  )
  if (refused.error === undefined) throw refused
  return { ...refused, reason: refused.error.reason ?? String(refused.error) } as never
}
