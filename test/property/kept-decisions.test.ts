/** Decisions that are kept can be made again: weeks later, from texts alone, with the same answer (R150, R151). */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AuditDraft } from '../../src/audit/audit-draft.ts'
import { sha256 } from '../../src/kernel/digest.ts'
import type { PrincipalId } from '../../src/kernel/ids.ts'
import type { AuditRecord } from '../../src/model/audit-record.ts'
import type { Decision, Question } from '../../src/model/decision.ts'
import type { Registry } from '../../src/model/registry.ts'
import { decide } from '../../src/policy/decide.ts'
import { QuestionUnreadable } from '../../src/policy/encode-question.ts'
import {
  answerOfKept,
  type KeptDecision,
  keepDecision,
  partsOfKept,
  questionOfKept,
} from '../../src/policy/recorded-decision.ts'
import { differences } from '../../src/policy/replay.ts'
import type { Raw } from '../unit/policy/world.ts'
import { questionOf, registryOf, sourcesOf } from './asked-questions.ts'
import { asking, document } from './policy-arbitraries.ts'

const RUNS = { numRuns: 150 }

/** As the audit writes it. */
function recordOf(decision: Decision, kept: KeptDecision): AuditRecord {
  const draft = new AuditDraft(0)
  draft.authenticatedAs('agent:orchestrator' as PrincipalId)
  draft.add({ ip: '127.0.0.1', resource: 'https://warehouse.example/mcp', tool: 'query' })
  draft.addDecision(decision, kept)
  return JSON.parse(decision.outcome === 'allow' ? draft.granted('access.evaluate') : draft.refused(decision.reason))
}

/** Everything that was kept went through text: nothing of the objects of then is used. */
function again(registry: Registry, { digest, contents }: KeptDecision, id: Question['id']) {
  const sources = sourcesOf(registry, contents)
  const text = sources.part(digest) ?? ''
  return { question: questionOfKept(text, id, sources), answer: answerOfKept(text, sources) }
}

test('a question comes back from its text as it was asked, whatever was asked', () => {
  fc.assert(
    fc.property(document, asking, (made, asked) => {
      const registry = registryOf(made)
      const question = questionOf(registry, asked)
      const decision = decide(registry, question)
      const kept = keepDecision(question, decision)
      for (const { digest, text } of kept.contents) expect(sha256(text)).toBe(digest)
      const read = again(registry, kept, question.id)
      expect(read.question).toEqual(question)
      if (decision.outcome === 'allow') expect(read.answer).toEqual({ outcome: 'allow', effective: decision.effective })
      else expect(read.answer).toEqual({ outcome: 'deny', reason: decision.reason })
      const named = new Set(partsOfKept(kept.contents[0]?.text ?? ''))
      expect(named).toEqual(new Set(kept.contents.slice(1).map(({ digest }) => digest)))
    }),
    RUNS,
  )
})

test('asked again of the same policy, whatever the order of its grants, it has the same answer', () => {
  fc.assert(
    fc.property(document, asking, fc.func(fc.nat()), (made, asked, rank) => {
      const registry = registryOf(made)
      const question = questionOf(registry, asked)
      const decision = decide(registry, question)
      const kept = keepDecision(question, decision)
      const permuted: Raw = structuredClone(made)
      permuted.grants.sort((a: Raw, b: Raw) => rank(a.id) - rank(b.id))
      const stored = { ...registryOf(permuted), version: registry.version }
      const { question: asIs, answer } = again(stored, kept, question.id)
      expect(differences({ record: recordOf(decision, kept), answer }, decide(stored, asIs))).toEqual([])
    }),
    RUNS,
  )
})

test('asked of another policy that answers otherwise, it says in what', () => {
  let changed = 0
  fc.assert(
    fc.property(document, asking, (made, asked) => {
      const registry = registryOf(made)
      const question = questionOf(registry, asked)
      const decision = decide(registry, question)
      fc.pre(decision.outcome === 'allow' && question.user !== undefined)
      const kept = keepDecision(question, decision)
      const record = recordOf(decision, kept)
      const without = { ...registry, grants: [] }
      const { question: asIs, answer } = again(without, kept, question.id)
      const found = differences({ record, answer }, decide(without, asIs)).map(({ of }) => of)
      expect(found).toEqual(expect.arrayContaining(['outcome', 'reason', 'effective', 'grants']))
      changed += 1
    }),
    { numRuns: 30 },
  )
  expect(changed).toBeGreaterThan(5)
})

test('what is no longer kept, or no longer registered, is said to be so', () => {
  const registry = registryOf(fc.sample(document, { numRuns: 1, seed: 3 })[0])
  const [asked] = fc.sample(asking, { numRuns: 1, seed: 3 })
  if (asked === undefined) throw new Error('nothing was drawn')
  const question = questionOf(registry, asked)
  const kept = keepDecision(question, decide(registry, question))
  const empty = {
    ...sourcesOf(registry, []),
    part: (digest: string) => (digest === kept.digest ? undefined : undefined),
  }
  const text = kept.contents[0]?.text ?? ''
  if (kept.contents.length > 1) expect(() => questionOfKept(text, question.id, empty)).toThrow(QuestionUnreadable)
  const nobody = { ...sourcesOf(registry, kept.contents), agent: () => undefined }
  expect(() => questionOfKept(text, question.id, nobody)).toThrow('agent orchestrator is not registered')
})
