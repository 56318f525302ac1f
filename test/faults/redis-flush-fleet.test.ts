/** Whole brokers over a Redis that is flushed under them: what agents see, and what a broker that starts afterwards is told. */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'

let redis: RunningRedis
let fleet: Fleet
let broker: BrokerProcess
beforeAll(async () => {
  redis = await startRedis()
  fleet = await startFleet(() => ({ store: { kind: 'redis', url: redis.url } }))
  broker = await fleet.start()
})
afterAll(async () => {
  await fleet?.close()
  await redis?.stop()
})

test('a store that is flushed: every session is dead, service returns, and a broker that starts decides by the same policy', async () => {
  const held = await broker.held()
  expect((await whenReady(() => broker.introspect(held.access))).body.active).toBe(true)
  const client = new Redis(redis.url)
  // The policy’s text, and the list of what was published: their names are digests.
  const texts = async () => (await client.keys('{control}:*:document:#*')).sort()
  const kept = await texts()
  expect(kept.length).toBeGreaterThan(0)
  await client.flushall()
  const begun = performance.now()
  // Assertions of before and of about then are refused: those that are made later are not.
  await until(async () => (await broker.continue(held.session)).status !== 200)
  await until(async () => (await texts()).join() === kept.join())
  client.disconnect()
  const next = await fleet.start()
  await until(async () => (await next.request('/readyz')).status === 200)
  await until(async () => (await broker.request('/readyz')).status === 200)
  console.log(`both ready ${(performance.now() - begun).toFixed(0)} ms after the flush`)
  for (const each of [broker, next]) {
    const { status, body } = await each.continue(held.session)
    expect(status).not.toBe(200)
    expect(body).not.toHaveProperty('access_token')
  }
})
