/** Decisions of a running broker, weeks later (R005, R150, R151). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawReplay } from '../../src/cli/records/decision-drawing.ts'
import { plainStyles } from '../../src/cli/terminal.ts'
import { sha256 } from '../../src/kernel/digest.ts'
import { newDecisionId } from '../../src/kernel/ids.ts'
import { LAYERS } from '../../src/model/decision.ts'
import { managementToken } from '../support/hops.ts'
import { type Answer, INTENT, startWorld, WAREHOUSE, WIKI, type World } from '../support/world.ts'

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

describe('weeks later', () => {
  let late: World
  let granted: Answer
  let refused: Answer
  let bearer: string
  beforeAll(async () => {
    late = await startWorld()
    granted = await late.open({ requested_token_type: undefined, resource: WAREHOUSE })
    const details = [INTENT[0], { type: 'mcp_tools', locations: [WIKI], tools: { search: {} } }]
    refused = await late.open({ authorization_details: JSON.stringify(details) })
    for (let day = 0; day < 21; day += 1) await late.advance(24 * 3600)
    bearer = await managementToken(late)
  })
  afterAll(() => late.close())
  const read = (path: string) => late.bearer(`/admin/v1/decisions${path}`, bearer)

  test('a decision is explained from what was kept of it (R151)', async () => {
    const allowed = (await read(`/${granted.body.decision_id}/explanation`)).body
    expect(allowed).toMatchObject({
      decision: granted.body.decision_id,
      outcome: 'granted',
      policy: { kept: true },
      grants: { evaluated: 1, matched: ['finance-works'] },
      user: { sub: 'alice', groups: ['finance'], roles: ['analyst'] },
    })
    expect(allowed.sentence).toMatch(
      /^Allowed: agent orchestrator, acting for user:corp:alice, may `query`, `list_tables` at warehouse, .*until /,
    )
    expect(allowed).not.toHaveProperty('change')
    const denied = (await read(`/${refused.body.decision_id}/explanation`)).body
    expect(denied).toMatchObject({ outcome: 'refused', reason: 'resource_cannot_enforce' })
    expect(denied.sentence).toContain('may not `search` at wiki: the server checks scopes only')
    expect(denied.change.ways[0][0]).toMatchObject({ kind: 'raise_enforces', resource: 'wiki', to: 'tools' })
    expect(denied.layers.map(({ layer }: { layer: string }) => layer)).toEqual(LAYERS)
  })

  test('the stored question has the same answer again, in every respect', async () => {
    for (const { body } of [granted, refused]) {
      const replay = await read(`/${body.decision_id}/replay`)
      expect(replay.body).toMatchObject({ decision: body.decision_id, same: true, differences: [] })
    }
  })

  test('a record that says otherwise than its question would be answered is found out', async () => {
    const [text = ''] = await late.broker.store.audit.find(granted.body.decision_id)
    const record = JSON.parse(text)
    const kept = (await late.broker.store.audit.content(record.question, record.session)) ?? ''
    const parts = (await read(`/${granted.body.decision_id}`)).body.parts
    const contents = [kept, ...Object.values(parts).map((part) => JSON.stringify(part))].map((one) => ({
      digest: sha256(one),
      text: one,
    }))
    const id = newDecisionId()
    const forged = {
      ...record,
      id,
      session: undefined,
      grants: ['another-grant'],
      layers: { ...record.layers, user: 'implicit_deny' },
    }
    late.forged.add(id)
    await late.broker.store.audit.append(id, JSON.stringify(forged), contents)
    const { body } = await read(`/${id}/replay`)
    expect(body.same).toBe(false)
    expect(body.differences.map(({ of }: { of: string }) => of)).toEqual(['layers', 'grants'])
    expect(drawReplay(body, plainStyles)).toContain('another answer')
  })

  test('decisions are listed newest first, and found by whom they were about', async () => {
    const ids = async (query: string) => {
      const { status, body } = await read(query)
      expect([query, status]).toEqual([query, 200])
      return body.decisions.map(({ id }: { id: string }) => id).filter((id: string) => known.includes(id))
    }
    const [first, second] = [granted.body.decision_id, refused.body.decision_id]
    const known = [first, second]
    expect(await ids('')).toEqual([second, first])
    expect(await ids('?outcome=granted')).toEqual([first])
    expect(await ids('?reason=resource_cannot_enforce')).toEqual([second])
    expect(await ids('?agent=orchestrator&user=user:corp:alice')).toEqual([second, first])
    expect(await ids('?user=user:corp:bob')).toEqual([])
    expect(await ids(`?resource=${encodeURIComponent(WAREHOUSE)}`)).toContain(first)
    const later = new Date(late.clock.nowMs() - 3600_000).toISOString()
    expect(await ids(`?since=${later}`)).toEqual([])
    expect(await ids(`?until=${later}`)).toEqual([second, first])
    const page = (await read('?limit=1')).body
    const rest = await ids(`?after=${encodeURIComponent(page.after)}`)
    expect([...page.decisions.map(({ id }: { id: string }) => id), ...rest]).toEqual(
      expect.arrayContaining([second, first]),
    )
    for (const wrong of ['?since=tomorrow', '?since=2026', '?limit=x', '?agnet=analyst', `?agent=${'a'.repeat(300)}`]) {
      expect([wrong, (await read(wrong)).body.error_reason]).toEqual([wrong, 'parameter_malformed'])
    }
  })

  test('what was refused before any policy was asked says so, and what nobody knows is not found', async () => {
    const details = [
      INTENT[0],
      { type: 'mcp_tools', locations: ['https://nowhere.example/mcp'], tools: { search: {} } },
    ]
    const early = await late.open({ authorization_details: JSON.stringify(details) })
    const { body } = await read(`/${early.body.decision_id}/explanation`)
    expect(body.sentence).toMatch(/^Refused before any policy was asked: resource_unknown/)
    expect((await read(`/${early.body.decision_id}/replay`)).body.error_reason).toBe('not_found')
    for (const id of ['dec_unknown', '*', '__proto__', 'x'.repeat(3_000)]) {
      expect((await read(`/${encodeURIComponent(id)}`)).status).toBe(404)
    }
  })

  test('reading is recorded, and needs its permission', async () => {
    expect((await late.audit(1))[0]).toMatchObject({ by: 'operator:ops' })
    const { status } = await late.bearer(`/admin/v1/decisions/${granted.body.decision_id}`, await late.apiToken())
    expect(status).toBe(401)
  })
})
