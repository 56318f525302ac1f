/** Random policies and questions as the policy takes them, and as a store would keep them. */
import type { ResourceUrl } from '../../src/kernel/ids.ts'
import type { Content } from '../../src/model/commit.ts'
import type { Question } from '../../src/model/decision.ts'
import type { Registry } from '../../src/model/registry.ts'
import type { QuestionSources } from '../../src/policy/encode-question.ts'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import { authorityOf, autonomous, forUser, question, type Raw } from '../unit/policy/world.ts'
import type { Asking } from './policy-arbitraries.ts'

export function registryOf(made: Raw): Registry {
  return decodeRegistry(made, 'world.yaml', { issuer: 'https://errand.example' })
}

export function questionOf(registry: Registry, asked: Asking): Question {
  return question(registry, asked.wanted, {
    ...(asked.user === undefined ? autonomous(registry) : forUser(registry, asked.user)),
    asked: authorityOf(registry, asked.wanted, { notAfter: asked.notAfter }),
    askedExplicitly: asked.askedExplicitly,
    parent: asked.parent === undefined ? undefined : authorityOf(registry, asked.parent),
    ceiling: asked.ceiling === undefined ? undefined : authorityOf(registry, asked.ceiling),
    target: asked.target as ResourceUrl | undefined,
  })
}

/** The agents of a registry, users as they were, and the texts that were kept. */
export function sourcesOf(registry: Registry, contents: readonly Content[]): QuestionSources {
  const texts = new Map(contents.map(({ digest, text }) => [digest, text]))
  return {
    agent: (clientId) => registry.agents.find((agent) => agent.clientId === clientId),
    user: (then) => then,
    part: (digest) => texts.get(digest),
  }
}
