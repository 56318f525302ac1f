/** What an admin changes is on record with what was before and what is after, so that both can be read again. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kill, managementToken, order } from '../support/hops.ts'
import { startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

async function kept(record: { id: string }, digest: string | undefined): Promise<unknown> {
  const path = `/admin/v1/contents/${record.id}/${digest}`
  const { status, body } = await world.bearer(path, await managementToken(world))
  return status === 200 ? JSON.parse(body.text) : undefined
}

test('a block, its repetition and its lift each say from what to what', async () => {
  const wanted = { dimension: 'agent', agent: 'researcher', block: true }
  await kill(world, wanted)
  const [blocked] = await world.audit(1)
  expect(blocked.change).toEqual({ object: 'agent researcher', after: expect.any(String) })
  const after = await kept(blocked, blocked.change.after)
  expect(after).toEqual({ cut_off: expect.any(Number), block: { seq: expect.any(Number), since: expect.any(String) } })

  await kill(world, wanted)
  const [again] = await world.audit(1)
  expect(await kept(again, again.change.before)).toEqual((after as { block: unknown }).block)

  await order(world, '/lifts', { kind: 'agent', id: 'researcher' })
  const [lifted] = await world.audit(1)
  expect(lifted.change).toEqual({ object: 'agent researcher', before: expect.any(String) })
  expect(await kept(lifted, lifted.change.before)).toMatchObject({ since: expect.any(String) })
})

test('a cut-off without a block says which it is', async () => {
  await kill(world, { dimension: 'user_agent', user: 'user:corp:bob', agent: 'scribe' })
  const [record] = await world.audit(1)
  expect(record.change).toEqual({ object: 'pair user:corp:bob|scribe', after: expect.any(String) })
  expect(await kept(record, record.change.after)).toEqual({ cut_off: expect.any(Number) })
})

test('what was refused changed nothing', async () => {
  await order(world, '/lifts', { kind: 'agent', id: 'scribe' })
  const [record] = await world.audit(1)
  expect(record).toMatchObject({ outcome: 'refused', reason: 'not_found' })
  expect(record).not.toHaveProperty('change')
})
