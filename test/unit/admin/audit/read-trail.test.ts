import { afterEach, beforeEach, expect, test } from 'vitest'
import { readTrail } from '../../../../src/admin/audit/read-trail.ts'
import { Rejection } from '../../../../src/kernel/rejection.ts'
import { trailOf } from '../../../support/log-filling.ts'
import { as, type Bench, operator, refusalOf, startBench } from '../../revocation/fixtures.ts'

let bench: Bench
beforeEach(async () => {
  bench = await startBench()
  for (let at = 0; at < 5; at += 1) await bench.parts.store.audit.append('key', JSON.stringify({ id: `dec_${at}` }))
})
afterEach(() => bench.close())

const parts = () => ({ ...bench.parts, trail: trailOf(bench.parts.store) })
const read = (limit: number, after?: string) => readTrail(as(operator), () => ({ filter: {}, limit, after }), parts())

test('records are given newest first, as many as asked for, and the next page goes on behind them', async () => {
  const { records, looked_at, after } = await read(2)
  expect(records).toEqual([{ id: 'dec_4' }, { id: 'dec_3' }])
  expect(looked_at).toBe(2)
  // Reading them was recorded, which is newer than what is read on.
  expect((await read(2, after)).records).toEqual([{ id: 'dec_2' }, { id: 'dec_1' }])
})

test('reading them is recorded too', async () => {
  await read(1)
  expect((await read(1)).records).toMatchObject([{ event: 'admin.read', by: 'operator:ops', outcome: 'granted' }])
})

test('what is asked in a form nobody knows is refused under who has asked', async () => {
  const ask = () => {
    throw new Rejection('parameter_malformed', 'no such form')
  }
  expect((await refusalOf(readTrail(as(operator), ask, parts()))).reason).toBe('parameter_malformed')
  expect((await bench.records())[0]).toMatchObject({ by: 'operator:ops', reason: 'parameter_malformed' })
})
