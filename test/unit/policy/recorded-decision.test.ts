/** What is kept of a decision: the question as it was asked, its large parts once, and its answer; nothing else is made of a text. */
import { describe, expect, test } from 'vitest'
import { sha256 } from '../../../src/kernel/digest.ts'
import { CONTENT_BYTES_MAX } from '../../../src/kernel/store-limits.ts'
import type { Question } from '../../../src/model/decision.ts'
import type { Registry } from '../../../src/model/registry.ts'
import { anyAgent } from '../../../src/policy/any-agent.ts'
import { decide } from '../../../src/policy/decide.ts'
import { decodeQuestion, encodeQuestion, Parts, QuestionUnreadable } from '../../../src/policy/encode-question.ts'
import {
  answerOfKept,
  keepDecision,
  partsOfKept,
  questionOfKept,
  targetOfKept,
  topicOfKept,
} from '../../../src/policy/recorded-decision.ts'
import { sourcesOf } from '../../property/asked-questions.ts'
import { agent, authorityOf, autonomous, question, SLACK, user, WAREHOUSE, world } from './world.ts'

const registry = world()
const QUERY = { [WAREHOUSE]: { query: {} } }

/** Tools enough for a text of their own. */
const MANY = { [WAREHOUSE]: Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`tool_${index}`, {}])) }

const FULL: Partial<Question> = {
  chain: [agent(registry, 'planner')],
  risk: 'medium',
  askedExplicitly: true,
  parent: authorityOf(registry, { [WAREHOUSE]: { query: { table: { const: 'revenue' } } } }),
  ceiling: authorityOf(registry, { [WAREHOUSE]: { query: {}, insert: {} } }, { maxDepth: 3 }),
  target: WAREHOUSE,
  container: 'reports',
  external: { kind: 'answered', allowed: new Map([[WAREHOUSE, new Set(['query'])]]) },
  atCall: true,
  contracted: true,
}

function kept(asked: Question, of: Registry = registry) {
  const { contents, digest, target } = keepDecision(asked, decide(of, asked))
  return { text: contents[0]?.text ?? '', parts: contents.slice(1), sources: sourcesOf(of, contents), digest, target }
}

describe('a question that is kept', () => {
  test.each<[string, Partial<Question>]>([
    ['with every member', FULL],
    ['with what may be absent absent', {}],
    ['of an agent that works for itself', autonomous(registry)],
    ['that no external policy could be asked about', { external: { kind: 'failed', cause: 'no answer' } }],
    ['with large parts', { asked: authorityOf(registry, MANY), ceiling: authorityOf(registry, MANY) }],
  ])('%s comes back from its text as it was asked', (_what, rest) => {
    const asked = question(registry, QUERY, rest)
    const { text, sources, digest, target } = kept(asked)
    expect(questionOfKept(text, asked.id, sources)).toEqual(asked)
    expect({ digest, target }).toEqual({ digest: sha256(text), target: asked.target })
  })

  test('names its agents: whoever answers it has them as they are there, and the user as is said there', () => {
    const asked = question(registry, QUERY, FULL)
    const { text, sources } = kept(asked)
    const later = world((made) => {
      for (const one of made.agents) one.state = 'suspended'
    })
    const bob = user(registry, 'bob')
    const read = questionOfKept(text, asked.id, { ...sourcesOf(later, []), part: sources.part, user: () => bob })
    expect([read.agent, ...read.chain].map(({ state }) => state)).toEqual(['suspended', 'suspended'])
    expect(read.user).toBe(bob)
  })

  test('about no agent in particular needs nobody who is registered, and is about its environment', () => {
    const asked = question(registry, QUERY, { agent: anyAgent('staging'), environment: 'staging' })
    const { text, sources } = kept(asked)
    expect(questionOfKept(text, asked.id, { ...sources, agent: () => undefined })).toEqual(asked)
  })

  test('that names an agent nobody has is told from one of which a part is gone', () => {
    const asked = question(registry, QUERY, { asked: authorityOf(registry, MANY), chain: [agent(registry, 'planner')] })
    const { text, sources } = kept(asked)
    const reading = (other: Partial<typeof sources>) => () => questionOfKept(text, asked.id, { ...sources, ...other })
    expect(reading({ agent: () => undefined })).toThrow(
      new QuestionUnreadable('agent', 'agent orchestrator is not registered'),
    )
    expect(reading({ agent: (name) => (name === 'planner' ? undefined : asked.agent) })).toThrow(
      new QuestionUnreadable('agent', 'agent planner is not registered'),
    )
    const gone = new QuestionUnreadable('part', 'a part of the question is no longer kept')
    expect(reading({ part: () => undefined })).toThrow(gone)
    expect([gone.name, gone.lacks]).toEqual(['QuestionUnreadable', 'part'])
  })

  test.each<[string, unknown, string]>([
    ['no object', null, 'it is no object'],
    ['an authority that is none', { asked: [] }, 'it is no object'],
    ['nothing that is asked for', { asked: null }, 'it asks for nothing'],
    ['an agent that is no name', { agent: 1 }, 'a name is no text'],
    ['an environment that is none', { environment: {} }, 'a name is no text'],
    ['a chain that is no list', { chain: 'planner' }, 'a list is none'],
    ['agents of the chain without names', { chain: [null] }, 'a name is no text'],
  ])('with %s is malformed, and no question', (_what, members, says) => {
    const asked = question(registry, QUERY)
    const written = encodeQuestion(asked, new Parts())
    const damaged = members === null ? null : { ...written, ...(members as object) }
    expect(() => decodeQuestion(damaged, asked.id, sourcesOf(registry, []))).toThrow(
      `stored question is malformed: ${says}`,
    )
  })
})

describe('the parts of a text', () => {
  test('are in it where they are small; from 256 characters on they are texts of their own, by digest', () => {
    const parts = new Parts()
    const small = 'a'.repeat(253)
    expect(parts.add(small)).toBe(small)
    expect(parts.contents).toEqual([])
    const text = JSON.stringify(`${small}a`)
    expect(parts.add(`${small}a`)).toBe(sha256(text))
    expect(parts.contents).toEqual([{ digest: sha256(text), text }])
  })

  test('are kept once, and every one is named: of the question and of the answer', () => {
    const groups = Array.from({ length: 40 }, (_, index) => `group-${index}`)
    const allowed = new Map([[WAREHOUSE, new Set(['query', ...groups])]])
    const many = world((made) => {
      made.users[0].groups = ['finance', ...groups]
      for (const group of groups) made.resources[0].tools[group] = { category: 'read' }
    })
    const wanted = { [WAREHOUSE]: Object.fromEntries(groups.map((name) => [name, {}])) }
    const asked = question(
      many,
      { [WAREHOUSE]: { ...wanted[WAREHOUSE], query: {} } },
      {
        parent: authorityOf(many, { ...wanted, [SLACK]: { post: {} } }),
        ceiling: authorityOf(many, { ...wanted, [SLACK]: { list: {} } }),
        external: { kind: 'answered', allowed },
      },
    )
    const { text, parts } = kept(asked, many)
    // The user, the external answer, what was asked for, is above, the session is for, and was granted.
    expect(parts).toHaveLength(6)
    for (const part of parts) expect(part.digest).toBe(sha256(part.text))
    expect(new Set(partsOfKept(text))).toEqual(new Set(parts.map(({ digest }) => digest)))
    expect(partsOfKept(kept(question(many, QUERY, { user: user(registry, 'alice') })).text)).toEqual([])
  })

  test('that no store keeps are named all the same: what is read says that they are gone', () => {
    const sized = (bytes: number) => 'é'.repeat((bytes - 2) / 2)
    const parts = new Parts()
    parts.add(sized(CONTENT_BYTES_MAX))
    expect(parts.contents.map(({ text }) => Buffer.byteLength(text))).toEqual([CONTENT_BYTES_MAX])
    const large = sized(CONTENT_BYTES_MAX + 2)
    expect(parts.add(large)).toBe(sha256(JSON.stringify(large)))
    expect(parts.contents).toHaveLength(1)
  })
})

describe('the answer that was given', () => {
  test('is what was granted, whatever part of it is large', () => {
    for (const wanted of [QUERY, { [WAREHOUSE]: { query: { table: { const: 'x'.repeat(400) } } } }]) {
      const asked = question(registry, wanted)
      const { text, sources } = kept(asked)
      expect(answerOfKept(text, sources)).toEqual({ outcome: 'allow', effective: authorityOf(registry, wanted) })
    }
  })

  test('is why it was refused', () => {
    const { text, sources } = kept(question(registry, { 'https://other.example/mcp': { query: {} } }))
    expect(answerOfKept(text, sources)).toEqual({ outcome: 'deny', reason: 'resource_unknown' })
  })
})

describe('what a decision was about', () => {
  test('is told by its text alone, whoever is registered now', () => {
    const asked = question(registry, MANY, { target: WAREHOUSE })
    const { text, sources } = kept(asked)
    expect(topicOfKept(text, { part: sources.part })).toEqual({
      agent: 'orchestrator',
      subject: 'user:corp:alice',
      target: WAREHOUSE,
      asked: asked.asked,
    })
  })

  test('has a target where a token was wanted, and none where a session or a delegation was', () => {
    expect(targetOfKept(kept(question(registry, QUERY, { target: WAREHOUSE })).text)).toBe(WAREHOUSE)
    expect(targetOfKept(kept(question(registry, QUERY)).text)).toBeUndefined()
  })
})
