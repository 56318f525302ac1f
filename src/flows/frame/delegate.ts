/**
 * Delegate (DESIGN §3, flow 3). Subject: my session token; `audience`: the one sub-agent's client id. Gives a delegation
 * token that only that sub-agent can accept, once, and whose effective authority is strictly narrower than mine.
 */
import { extendChain } from '../../authority/actor-chain.ts'
import { strictlyNarrower } from '../../authority/narrowing.ts'
import { agentPrincipal, type Jti, type NodeId, newJti } from '../../kernel/ids.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Agent } from '../../model/client.ts'
import type { Permit } from '../../model/decision.ts'
import type { HandleEvidence } from '../../model/evidence.ts'
import { type Intent, intentHash } from '../../model/intent.ts'
import { mayIssue } from '../../model/lifecycle.ts'
import type { NodeFacts } from '../../model/session.ts'
import type { Here } from '../../policy/asked.ts'
import { offerDelegation } from '../../sessions/session-commits.ts'
import type { LiveSession } from '../../sessions/session-repository.ts'
import { type Framed, type FrameInput, type Issue, sessionIndex } from '../flow.ts'
import type { ExchangeRequest } from '../token-request.ts'
import { askedFrom, narrowTo, requireIntent } from './asked-authority.ts'
import { asHeld, liveOf } from './handle.ts'
import { namedResources } from './targets.ts'

export function frameDelegate(input: FrameInput<ExchangeRequest, HandleEvidence>): Framed {
  const { request, party, registry, settings, question } = input
  const live = liveOf(input)
  const here = { registry, environment: settings.environment }
  const delegate = soleDelegate(request, party.agent, here)
  const intent = requireIntent(request.details)
  const held = live.node.authority
  const maxDepth = depthBelow(held.maxDepth, intent.maxDepth)
  const notAfter = Math.min(live.node.notAfter, question.now + (intent.expiresIn ?? settings.sessionSeconds))
  const { asked, explicit } = askedFrom(held, request.details, here, { notAfter, maxDepth })
  const chain = delegateChain(input, delegate, live)
  return {
    event: 'delegation.issue',
    question: {
      ...asHeld(live, delegate, input),
      asked: narrowTo(
        asked,
        { resources: namedResources(request, registry, false), scopes: [request.scope] },
        registry,
      ),
      askedExplicitly: explicit,
      parent: held,
      target: undefined,
    },
    issue: (permit) => issueDelegation({ input, live, delegate, intent, chain }, permit),
  }
}

interface Delegating {
  readonly input: FrameInput<ExchangeRequest, HandleEvidence>
  readonly live: LiveSession
  readonly delegate: Agent
  readonly intent: Omit<Intent, 'tools'>
  readonly chain: NodeFacts['act']
}

function issueDelegation(delegating: Delegating, permit: Permit): Issue {
  const { input, live, delegate } = delegating
  const { evidence, settings, question } = input
  if (settings.strictlyNarrower && !strictlyNarrower(permit.effective, live.node.authority)) {
    throw new Rejection(
      'delegation_not_narrower',
      'a delegation must hold less than its delegator: leave something out',
      {
        missing: ['fewer scopes, tools or resources, or a tighter constraint'],
      },
    )
  }
  const jti = newJti()
  const delegated = delegatedNode(delegating, jti, permit.effective)
  // The token speaks of the delegator as its actor, and of what it passes on as its intent.
  const { holder, agentVersion, act } = live.node
  return {
    mint: { kind: 'delegation', jti },
    order: {
      holder: {
        session: live.facts,
        node: { ...delegated, holder, agentVersion, act },
        above: live.above,
        path: evidence.path,
      },
      authority: permit.effective,
      audience: delegate.clientId,
      rv: input.rv,
      parentHash: evidence.signingInputHash,
      // Not the delegator's key: the one it is for could never prove it. What it must prove instead is in the node.
      confirmation: undefined,
      agentVersion: input.party.verified.version,
      instance: input.request.instance,
      now: question.now,
      expiresAt: Math.min(question.now + settings.delegationAcceptSeconds, delegated.notAfter),
    },
    change: offerDelegation(live, evidence.path, delegated, question.now),
    indexes: [sessionIndex.ofPrincipal(agentPrincipal(delegate.clientId))],
  }
}

/** @throws Rejection `target_ambiguous`, `delegate_unknown`, `delegate_not_allowed` */
function soleDelegate(request: ExchangeRequest, agent: Agent, { registry, environment }: Here): Agent {
  const [audience, ...others] = request.audiences
  if (audience === undefined) {
    throw new Rejection('target_missing', 'a delegation is for one sub-agent: name its client id with audience')
  }
  if (others.length > 0) throw new Rejection('target_ambiguous', 'a delegation is for exactly one sub-agent')
  const delegate = registry.client(audience)
  if (delegate === undefined || delegate.kind !== 'agent') {
    throw new Rejection('delegate_unknown', 'the audience of the delegation is not a registered agent')
  }
  if (!agent.delegates.includes(delegate.clientId)) {
    throw new Rejection('delegate_not_allowed', 'this agent may not delegate to that one', {
      missing: ['the sub-agent in the delegates of this agent'],
    })
  }
  if (!mayIssue(delegate.state, environment)) throw new Rejection('delegate_not_allowed', 'the sub-agent is not active')
  return delegate
}

/** One hop is used up by delegating; passing on further must have been granted, and is never more than what is left. */
function depthBelow(held: number, asked: number | undefined): number {
  if (held < 1) {
    throw new Rejection('delegation_depth_exceeded', 'this authority may not be passed on', {
      missing: ['max_depth in the agent_intent it was opened or delegated with'],
    })
  }
  if (asked !== undefined && asked > held - 1) {
    throw new Rejection('delegation_depth_exceeded', `at most ${held - 1} further hops are left to grant`)
  }
  return asked ?? 0
}

function delegateChain(input: FrameInput<ExchangeRequest, HandleEvidence>, delegate: Agent, live: LiveSession) {
  const sub = agentPrincipal(delegate.clientId)
  if (sub === live.facts.subject.principal) {
    throw new Rejection('actor_chain_cycle', 'an agent cannot act on behalf of itself')
  }
  const actor = { iss: input.settings.issuer, sub, sub_profile: 'ai_agent' }
  return extendChain(live.node.act, actor, input.settings.maxChainDepth)
}

function delegatedNode(delegating: Delegating, jti: Jti, authority: NodeFacts['authority']): NodeFacts {
  const { live, intent } = delegating
  const ref = intent.origin?.ref
  return {
    // The token's `jti` is the id of the node it becomes, so that accepting it twice is writing one field twice.
    id: jti as string as NodeId,
    parent: live.node.id,
    holder: delegating.delegate.clientId,
    agentVersion: '',
    act: delegating.chain,
    authority,
    purpose: intent.purpose,
    origin: {
      type: 'upstream_agent',
      ...(ref === undefined ? {} : { ref }),
      assertedBy: agentPrincipal(live.node.holder),
    },
    intentHash: intentHash(live.facts.intentSalt, intent.purpose),
    createdAt: delegating.input.question.now,
    notAfter: authority.notAfter,
    senderConstraint: delegating.input.confirmation === undefined ? undefined : { kind: 'own_key' },
  }
}
