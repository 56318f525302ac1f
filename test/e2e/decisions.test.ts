/** Decisions of a running broker, weeks later (R005, R150, R151). */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sha256 } from '../../src/kernel/digest.ts'
import { type Answer, startWorld, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

/** The question as it is kept, with the texts of its parts in place. */
async function questionOf(id: string) {
  const [text] = await world.broker.store.audit.find(id)
  const record = JSON.parse(text ?? '{}')
  const read = async (digest: string) =>
    (await world.broker.store.audit.content(digest, record.session ?? id)) ??
    (await world.broker.store.audit.content(digest, id))
  const kept = await read(record.question)
  expect(sha256(kept ?? '')).toBe(record.question)
  const { question, answer } = JSON.parse(kept ?? '{}')
  const user = typeof question.user === 'string' ? JSON.parse((await read(question.user)) ?? '{}') : question.user
  return { record, question: { ...question, user }, answer }
}

const opened = (sub: string): Promise<Answer> =>
  world.open({ subject_token: world.idToken({ sub }), requested_token_type: undefined, resource: WAREHOUSE })

test('a grant keeps what was asked, and whom about, as they were at that moment (R005)', async () => {
  const granted = await opened('alice')
  expect(granted.status, JSON.stringify(granted.body)).toBe(200)
  const kept = await questionOf(granted.body.decision_id)
  expect(kept.record).toMatchObject({ outcome: 'granted', grants_evaluated: 1, grants: ['finance-works'] })
  expect(kept.question).toMatchObject({
    agent: 'orchestrator',
    chain: [],
    subject: 'user:corp:alice',
    environment: 'development',
    target: WAREHOUSE,
    user: { issuerSlug: 'corp', sub: 'alice', active: true, groups: ['finance'], roles: ['analyst'] },
  })
  expect(kept.answer.outcome).toBe('allow')
})

test('a refusal of the policy keeps its question, too', async () => {
  const other = await startWorld({ registry: { grants: [] } })
  try {
    const { body } = await other.open()
    expect(body.error_reason).toBe('nothing_granted')
    const [text] = await other.broker.store.audit.find(body.decision_id)
    const record = JSON.parse(text ?? '{}')
    const kept = await other.broker.store.audit.content(record.question, body.decision_id)
    expect(JSON.parse(kept ?? '{}')).toMatchObject({
      question: { agent: 'orchestrator', subject: 'user:corp:alice', target: null },
      answer: { outcome: 'deny', reason: 'nothing_granted' },
    })
    expect(record).toMatchObject({ outcome: 'refused', grants_evaluated: 0 })
  } finally {
    await other.close()
  }
})

test('what sessions of one agent share is kept once', async () => {
  const first = await questionOf((await world.open()).body.decision_id)
  await world.advance(1)
  const second = await questionOf((await world.open()).body.decision_id)
  expect(first.record.question).not.toBe(second.record.question)
  expect(first.question.asked.resources).toMatch(/^[A-Za-z0-9_-]{43}$/)
  expect(first.question.asked.resources).toBe(second.question.asked.resources)
})
