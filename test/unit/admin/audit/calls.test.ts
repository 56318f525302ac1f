import { afterEach, beforeEach, expect, test } from 'vitest'
import { type CallsQuestion, readCalls } from '../../../../src/admin/audit/calls.ts'
import { readStory } from '../../../../src/admin/audit/story.ts'
import { CHUNK_RECORDS } from '../../../../src/audit/log/layout.ts'
import { CALLS_LISTED_MAX } from '../../../../src/kernel/store-limits.ts'
import type { AuditRecord } from '../../../../src/model/audit-record.ts'
import { decodeRegistry } from '../../../../src/registry/load-registry.ts'
import { prune, sequence, trailOf } from '../../../support/log-filling.ts'
import { as, type Bench, operator, startBench } from '../../revocation/fixtures.ts'

const SERVER = 'https://warehouse.example/mcp'
const tools = { look: { category: 'read' }, drop: { category: 'destructive' } }
const current = decodeRegistry({ resources: [{ id: 'warehouse', url: SERVER, owner: 'data', tools }] }, 'calls.yaml', {
  issuer: 'https://errand.example',
})
let bench: Bench
beforeEach(async () => {
  bench = await startBench()
})
afterEach(() => bench.close())

async function call(n: number, over: Partial<AuditRecord>): Promise<void> {
  const record = { id: `dec_${n}`, at: new Date(bench.clock.nowMs()).toISOString(), event: 'call.attempt' }
  const said = {
    outcome: 'granted',
    by: 'service:warehouse',
    by_class: 'service',
    agent: { id: 'a' },
    resource: SERVER,
  }
  await bench.parts.store.audit.append('key', JSON.stringify({ ...record, ...said, ...over }))
}

function ask(question: CallsQuestion) {
  const versions = { versionOf: async () => undefined }
  const parts = { ...bench.parts, trail: trailOf(bench.parts.store), versions, current }
  return readCalls(as(operator), () => question, parts)
}

test('a destructive call is found behind a thousand others that came after it', async () => {
  await call(0, { tool: 'drop' })
  for (let n = 1; n <= CALLS_LISTED_MAX + 10; n += 1) await call(n, { tool: 'look' })
  await sequence(bench.parts.store)
  const { calls, cut } = await ask({ filter: {}, categories: ['destructive', 'admin'] })
  expect([calls.map(({ decision }) => decision), cut]).toEqual([['dec_0'], undefined])
  const all = await ask({ filter: {} })
  expect([all.calls.length, all.calls.at(-1)?.decision, all.cut]).toEqual([CALLS_LISTED_MAX, 'dec_1010', true])
})

test('a call of a tool that nobody can classify any more is asked for with those of admin; one that was refused did nothing', async () => {
  await call(0, { tool: 'gone' })
  await call(1, { tool: 'gone', outcome: 'refused', reason: 'call_refused' })
  const { calls } = await ask({ filter: {}, categories: ['destructive', 'admin'] })
  expect(calls.map(({ decision, category }) => [decision, category])).toEqual([['dec_0', undefined]])
  expect((await ask({ filter: {}, categories: ['read'] })).calls).toEqual([])
})

test('a story whose records may have been pruned is not said to have never been', async () => {
  const { store } = bench.parts
  const parts = { ...bench.parts, trail: trailOf(store) }
  const refusal = async () =>
    (await readStory(as(operator), 'txn_1', parts).catch((refused: { error: Error }) => refused.error)) as Error
  expect((await refusal()).message).toBe('nothing of this piece of work is on record')
  const text = JSON.stringify({
    id: 'dec_x',
    at: new Date(bench.clock.nowMs()).toISOString(),
    event: 'token.api',
    txn: 'txn_1',
  })
  // Behind the record of that refusal.
  for (let n = 1; n < CHUNK_RECORDS; n += 1) await store.audit.append('key', text)
  await sequence(store)
  await prune(store, CHUNK_RECORDS)
  expect((await refusal()).message).toContain(`${CHUNK_RECORDS} pruned`)
})
