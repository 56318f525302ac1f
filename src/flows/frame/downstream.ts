/**
 * Downstream (DESIGN §3, flow 7). Subject: an access token of ours, from the server it was made for; gives that server an access
 * token for the next resource of the same session, with itself on top of the chain.
 *
 * Guarantees: no more than the hop that the inbound token hangs from holds there, under the manifests of every agent and server of
 * the chain, and for no longer than the inbound token lives; nothing for a server that is in the chain already.
 */
import { extendChain } from '../../authority/actor-chain.ts'
import type { Authority } from '../../authority/authority.ts'
import { servicesOf } from '../../authority/named.ts'
import { restrictToResources } from '../../authority/narrowing.ts'
import { type NodeId, servicePrincipal } from '../../kernel/ids.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Agent, Service } from '../../model/client.ts'
import type { Permit } from '../../model/decision.ts'
import type { InboundEvidence } from '../../model/evidence.ts'
import type { Registry } from '../../model/registry.ts'
import type { Resource } from '../../model/resource.ts'
import type { NodeFacts } from '../../model/session.ts'
import { assertIssuedFor } from '../../policy/asked.ts'
import { reachable } from '../../policy/reachable.ts'
import { passThrough } from '../../sessions/session-commits.ts'
import type { LiveSession } from '../../sessions/session-repository.ts'
import { type Framed, type FrameInput, type Issue, type ServerParty, sessionIndex } from '../flow.ts'
import { constraintFrom } from '../sender-constraint.ts'
import type { ExchangeRequest } from '../token-request.ts'
import { askedFrom, narrowTo } from './asked-authority.ts'
import { asHeld, liveOf, onlyNarrows } from './handle.ts'
import { accessTokenEnd } from './opening.ts'
import { soleTarget } from './targets.ts'

type Input = FrameInput<ExchangeRequest, InboundEvidence, ServerParty>

export function frameDownstream(input: Input): Framed {
  const { request, party, evidence, registry, settings, question } = input
  const live = liveOf(input)
  const here = { registry, environment: settings.environment }
  onlyNarrows(request.details)
  assertOwnHop(live, party.server)
  const target = soleTarget(request, here)
  const own = registry.resource(evidence.audience)
  // A server that was taken out of service goes nowhere with what it was called with before.
  if (own !== undefined) assertIssuedFor(own, here.environment)
  assertOnward(input, target)
  const hop = live.hop ?? hopOf(input, live)
  const end = Math.min(accessTokenEnd(target, question.now, settings.accessTokenSeconds), hop.notAfter)
  const held = live.node.authority
  const { asked, explicit } = askedFrom(held, request.details, here, {
    notAfter: Math.min(end, live.facts.notAfter),
    maxDepth: 0,
  })
  return {
    event: 'token.downstream',
    question: {
      ...asHeld(live, nearestAgent(evidence, registry), input),
      services: servicesIn(evidence, input),
      asked: narrowTo(asked, { resources: [target], scopes: [request.scope] }, registry),
      askedExplicitly: explicit,
      parent: held,
      target: target.url,
    },
    issue: (permit) => issueDownstream(input, { live, hop, target }, permit),
  }
}

interface Onward {
  readonly live: LiveSession
  readonly hop: NodeFacts
  readonly target: Resource
}

function issueDownstream(input: Input, { live, hop, target }: Onward, permit: Permit): Issue {
  const { request, party, evidence, question, rv, confirmation } = input
  const authority = restrictToResources(permit.effective, [target.url])
  const path = [...evidence.path, hop.id]
  return {
    mint: { kind: 'access', resource: target },
    order: {
      holder: { session: live.facts, node: hop, above: [...live.above, live.node], path, builds: evidence.versions },
      authority,
      audience: target.url,
      rv,
      parentHash: evidence.signingInputHash,
      confirmation,
      agentVersion: party.verified.version,
      instance: request.instance,
      now: question.now,
      expiresAt: authority.notAfter,
    },
    change: passThrough(live, evidence.path, hop, { isWritten: live.hop !== undefined, now: question.now }),
    indexes: live.hop === undefined ? [sessionIndex.ofPrincipal(servicePrincipal(party.server.clientId))] : [],
  }
}

/**
 * The hop that the inbound token becomes, under its `jti`: who ends the token ends it. Whoever writes it first, it is the same: what
 * was asked for is in the tokens, what could be, here.
 */
function hopOf({ party, evidence, settings, registry, confirmation }: Input, live: LiveSession): NodeFacts {
  const { server, verified } = party
  const actor = { iss: settings.issuer, sub: servicePrincipal(server.clientId), sub_profile: 'service' }
  const notAfter = Math.min(live.node.notAfter, live.facts.notAfter, evidence.expiresAt)
  const authority: Authority = { ...reachable(live.node.authority, server, registry), notAfter, maxDepth: 0 }
  return {
    ...live.node,
    id: evidence.jti as string as NodeId,
    parent: live.node.id,
    holder: server.clientId,
    agentVersion: verified.version,
    act: extendChain(evidence.act, actor, settings.maxChainDepth),
    authority,
    createdAt: evidence.issuedAt,
    notAfter,
    senderConstraint: constraintFrom(confirmation),
  }
}

/** It was written by whoever was the server of this resource then. @throws Rejection `subject_token_presenter` */
function assertOwnHop({ hop }: LiveSession, server: Service): void {
  if (hop === undefined || hop.holder === server.clientId) return
  throw new Rejection('subject_token_presenter', 'another server has gone on with this token already')
}

/** Back to a server that it comes from, authority would have gone round whatever was narrowed between. */
function assertOnward({ party, evidence, settings }: Input, { serverClient }: Resource): void {
  const passed = [...servicesOf(evidence, settings.issuer), party.server.clientId]
  if (serverClient === undefined || !passed.includes(serverClient)) return
  throw new Rejection('actor_chain_cycle', 'the next server is already in the actor chain, or is the one that asks')
}

/** @throws Rejection `agent_inactive` */
function nearestAgent({ agent }: InboundEvidence, registry: Registry): Agent {
  const client = registry.client(agent.id)
  if (client?.kind === 'agent') return client
  throw new Rejection('agent_inactive', 'an agent of this chain is no longer registered')
}

/** Each server on the way, the one that asks included. @throws Rejection `service_inactive` */
function servicesIn(evidence: InboundEvidence, { party, registry, settings }: Input): readonly Service[] {
  const before = servicesOf(evidence, settings.issuer).map((id) => {
    const client = registry.client(id)
    if (client?.kind === 'service') return client
    throw new Rejection('service_inactive', 'a server of this chain is no longer registered')
  })
  return [party.server, ...before]
}
