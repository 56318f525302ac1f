/** What a flow's frame is given, by hand: requests as parsed, evidence as verified, a session as read. */
import type { Authority } from '../../../src/authority/authority.ts'
import { parseDetails } from '../../../src/authority/details.ts'
import type { Framed, FrameInput, Party } from '../../../src/flows/flow.ts'
import { toolsByResource } from '../../../src/flows/frame/asked-authority.ts'
import type { ClientCredentialsRequest, ExchangeRequest } from '../../../src/flows/token-request.ts'
import type { ClientId, DecisionId, Jti, NodeId } from '../../../src/kernel/ids.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import type { Agent } from '../../../src/model/client.ts'
import type { Permit } from '../../../src/model/decision.ts'
import type {
  HandleEvidence,
  SelfEvidence,
  SubjectEvidence,
  UserEvidence,
  VerifiedClient,
} from '../../../src/model/evidence.ts'
import type { Registry } from '../../../src/model/registry.ts'
import { askedAuthority } from '../../../src/policy/asked.ts'
import { decide } from '../../../src/policy/decide.ts'
import { GRANT_TYPE, TOKEN_TYPE } from '../../../src/protocol/oauth.ts'
import { decodeRegistry } from '../../../src/registry/load-registry.ts'
import type { LiveSession } from '../../../src/sessions/session-repository.ts'
import type { TestIssuer } from '../../support/issuer.ts'
import { INTENT, registryDocument } from '../../support/world.ts'
import { ALICE, actor, END, ISSUER, NOW, nodeFacts, ROOT, SESSION, sessionFacts } from '../sessions/fixtures.ts'
import { SETTINGS } from '../tokens/fixtures.ts'

export { DELEGATED, INTENT } from '../../support/world.ts'

// biome-ignore lint/suspicious/noExplicitAny: a test changes any member of the document.
export type Raw = any

/** The registry of the test world, after `change`. */
export function registryWith(change: (document: Raw) => void = () => undefined): Registry {
  const document: Raw = structuredClone(registryDocument({ url: 'https://idp.example' } as TestIssuer))
  change(document)
  return decodeRegistry(document, 'world.yaml', { issuer: ISSUER })
}

export const registry = registryWith()

export function agentOf(id: string, from = registry): Agent {
  const found = from.client(id)
  if (found?.kind !== 'agent') throw new Error(`no agent ${id}`)
  return found
}

export function party(id = 'orchestrator', from = registry): Party {
  const agent = agentOf(id, from)
  const singleUse = { slot: 'client_assertion' as const, key: `assertion:${id}`, expiresAtMs: END * 1000 }
  const verified = { client: agent, version: '3', singleUse } as VerifiedClient
  const proven = { keys: [], singleUse: undefined } as unknown as Party['proven']
  return { agent, verified, proven }
}

export const details = (value: unknown) => parseDetails(value)

export function exchange(over: Partial<ExchangeRequest> = {}): ExchangeRequest {
  return {
    grantType: GRANT_TYPE.tokenExchange,
    resources: [],
    audiences: [],
    scope: undefined,
    details: undefined,
    instance: undefined,
    prompt: undefined,
    subjectToken: new Secret('subject'),
    subjectTokenType: TOKEN_TYPE.session,
    subjectIssuer: undefined,
    actor: undefined,
    requested: TOKEN_TYPE.accessToken,
    ...over,
  }
}

export function credentials(over: Partial<ClientCredentialsRequest> = {}): ClientCredentialsRequest {
  return {
    grantType: GRANT_TYPE.clientCredentials,
    resources: [],
    audiences: [],
    scope: undefined,
    details: undefined,
    instance: undefined,
    prompt: undefined,
    ...over,
  }
}

export function userEvidence(over: Readonly<Record<string, unknown>> = {}, from = registry): UserEvidence {
  const [issuer] = from.issuers
  const user = issuer === undefined ? undefined : from.user(issuer, 'alice')
  return {
    kind: 'user',
    issuer,
    user,
    principal: ALICE,
    ceiling: { kind: 'identity_only' },
    signedInAt: NOW - 10,
    expiresAt: NOW + 7200,
    authTime: NOW - 10,
    acr: undefined,
    amr: undefined,
    foreignActor: undefined,
    digest: 'digest-of-evidence',
    ...over,
  } as unknown as UserEvidence
}

export function handleEvidence(over: Partial<HandleEvidence> = {}): HandleEvidence {
  return {
    kind: 'session',
    jti: 'jti_handle' as Jti,
    kid: 'key-1',
    session: SESSION,
    path: [ROOT],
    clientId: 'orchestrator' as ClientId,
    subject: ALICE,
    act: actor('orchestrator'),
    versions: ['orchestrator|1'],
    rv: 40,
    issuedAt: NOW - 60,
    expiresAt: END,
    signingInputHash: 'hash-of-parent',
    digest: 'digest-of-handle',
    claims: { env: 'development' },
    ...over,
  } as unknown as HandleEvidence
}

export const selfEvidence = (agent = agentOf('orchestrator')): SelfEvidence =>
  ({ kind: 'self', agent }) as unknown as SelfEvidence

export const here = (from = registry) => ({ registry: from, environment: 'development' })

/** What the usual intent comes to. */
export function fullAuthority(rest: Partial<Authority> = {}, from = registry): Authority {
  return { ...askedAuthority(here(from), toolsByResource(details(INTENT), from), END, 1), ...rest }
}

/** The session of that intent, as its root agent's handle finds it. */
export function liveRoot(over: { held?: Authority; node?: object; facts?: object } = {}): LiveSession {
  const held = over.held ?? fullAuthority()
  return {
    facts: { ...sessionFacts({ ceiling: fullAuthority() }), ...over.facts },
    state: 'active',
    node: { ...nodeFacts({ authority: held }), ...over.node },
    above: [],
    drift: 0,
  }
}

export function input<R extends ExchangeRequest | ClientCredentialsRequest, E extends SubjectEvidence>(
  over: Partial<FrameInput<R, E>> & { request: R; evidence: E },
): FrameInput<R, E> {
  return {
    party: party(),
    live: undefined,
    registry,
    settings: SETTINGS,
    question: {
      id: 'dec_one' as DecisionId,
      now: NOW,
      environment: 'development',
      services: [],
      container: undefined,
      external: { kind: 'none' },
      atCall: false,
      contracted: false,
    },
    rv: 41,
    txn: undefined,
    confirmation: undefined,
    ...over,
  }
}

/** The real decision on the framed question; a denial fails the test. */
export function permitFor(framed: Framed, from = registry): Permit {
  const decision = decide(from, framed.question)
  if (decision.outcome === 'allow') return decision
  throw new Error(`denied: ${decision.reason} ${decision.missing.join('; ')}`)
}

export const issueFor = (framed: Framed, from = registry) => framed.issue(permitFor(framed, from))

/** Names of the tools of an authority, by resource. */
export function toolsIn(authority: Authority): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries([...authority.resources].map(([url, { tools }]) => [url, [...tools.keys()]]))
}

export const node = (id: string) => id as NodeId
