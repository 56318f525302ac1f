/** Random policies and questions as the policy takes them, and as a store would keep them. */
import type { ResourceUrl } from '../../src/kernel/ids.ts'
import type { Content } from '../../src/model/commit.ts'
import type { ExternalAnswer, Question } from '../../src/model/decision.ts'
import type { Registry } from '../../src/model/registry.ts'
import type { QuestionSources } from '../../src/policy/encode-question.ts'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import { agent, authorityOf, autonomous, forUser, question, type Raw } from '../unit/policy/world.ts'
import type { Asking } from './policy-arbitraries.ts'

export function registryOf(made: Raw): Registry {
  return decodeRegistry(made, 'world.yaml', { issuer: 'https://errand.example' })
}

export function externalAnswer({ external }: Asking): ExternalAnswer {
  if (external === 'none') return { kind: 'none' }
  if (external === 'failed') return { kind: 'failed', cause: 'no answer' }
  const allowed = new Map<ResourceUrl, Set<string>>()
  for (const one of external) {
    const [url, name] = one.split(' ') as [ResourceUrl, string]
    allowed.set(url, (allowed.get(url) ?? new Set()).add(name))
  }
  return { kind: 'answered', allowed }
}

export function questionOf(registry: Registry, asked: Asking, rest: Partial<Question> = {}): Question {
  return question(registry, asked.wanted, {
    ...(asked.user === undefined ? autonomous(registry) : forUser(registry, asked.user)),
    asked: authorityOf(registry, asked.wanted, { notAfter: asked.notAfter }),
    askedExplicitly: asked.askedExplicitly,
    parent: asked.parent === undefined ? undefined : authorityOf(registry, asked.parent),
    ceiling: asked.ceiling === undefined ? undefined : authorityOf(registry, asked.ceiling),
    target: asked.target as ResourceUrl | undefined,
    environment: asked.environment,
    chain: asked.planner ? [agent(registry, 'planner')] : [],
    container: asked.container,
    risk: asked.risk,
    external: externalAnswer(asked),
    ...rest,
  })
}

/** The agents of a registry, users as they were, and the texts that were kept. */
export function sourcesOf(registry: Registry, contents: readonly Content[]): QuestionSources {
  const texts = new Map(contents.map(({ digest, text }) => [digest, text]))
  return {
    agent: (clientId) => registry.agents.find((agent) => agent.clientId === clientId),
    service: () => undefined,
    user: (then) => then,
    part: (digest) => texts.get(digest),
  }
}
