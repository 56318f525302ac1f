/**
 * A question that was decided, put to a draft of the policy. Pure: whoever is named in the question is looked up in the draft, and
 * a name that the draft does not have is denied.
 */
import { widening } from '../authority/narrowing.ts'
import type { Agent } from '../model/client.ts'
import type { Decision, Question } from '../model/decision.ts'
import { findUserOrNobody } from '../model/find-user.ts'
import type { Registry } from '../model/registry.ts'
import type { ShadowAnswer, ShadowTurn } from '../model/shadow.ts'
import { ANY_AGENT_ID } from './any-agent.ts'
import { decide } from './decide.ts'
import { effectiveDigest } from './replay.ts'

/** `undefined`: the draft gives the same. */
export function shadowAnswer(draft: Registry, question: Question, given: Decision): ShadowAnswer | undefined {
  const asked = inTermsOf(draft, question)
  const answer = asked === undefined ? NOT_THERE : decide(draft, asked)
  const turn = turnOf(given, answer)
  if (turn === undefined) return undefined
  const why = answer.outcome === 'deny' ? { reason: answer.reason } : {}
  return { policy: draft.version, outcome: answer.outcome, turn, ...why }
}

type Answer = Decision | { readonly outcome: 'deny'; readonly reason: 'client_unknown' }

const NOT_THERE: Answer = { outcome: 'deny', reason: 'client_unknown' }

/** Resources are named by URL in what is asked; agents, servers and users are as the draft has them. `undefined`: one of the former is not there. */
function inTermsOf(draft: Registry, question: Question): Question | undefined {
  const agent = agentIn(draft, question.agent)
  const chain = question.chain.flatMap((one) => agentIn(draft, one) ?? [])
  const services = question.services.flatMap(({ clientId }) => {
    const found = draft.client(clientId)
    return found?.kind === 'service' ? [found] : []
  })
  if (agent === undefined || chain.length < question.chain.length) return undefined
  if (services.length < question.services.length) return undefined
  return { ...question, agent, chain, services, user: question.user && findUserOrNobody(draft, question.user) }
}

function agentIn(draft: Registry, agent: Agent): Agent | undefined {
  if (agent.clientId === ANY_AGENT_ID) return agent
  const found = draft.client(agent.clientId)
  return found?.kind === 'agent' ? found : undefined
}

function turnOf(given: Decision, draft: Answer): ShadowTurn | undefined {
  if (given.outcome === 'deny') return draft.outcome === 'allow' ? 'granted' : undefined
  if (draft.outcome === 'deny') return 'refused'
  if (effectiveDigest(given) === effectiveDigest(draft)) return undefined
  return widening(draft.effective, given.effective) === undefined ? 'narrowed' : 'widened'
}
