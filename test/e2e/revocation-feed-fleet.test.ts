/** The feed of revocations across brokers: any of them tells the whole truth, and a stream goes on at another, or after a restart. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { follow, requestStream } from '../support/feed.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { patient } from '../support/world.ts'

let redis: RunningRedis
let fleet: Fleet
let a: BrokerProcess
let b: BrokerProcess
beforeAll(async () => {
  redis = await startRedis()
  fleet = await startFleet(() => ({ store: { kind: 'redis', url: redis.url } }))
  ;[a, b] = await Promise.all([fleet.start(), fleet.start()])
})
afterAll(async () => {
  await fleet?.close()
  await redis?.stop()
})

const cutOff = async (broker: BrokerProcess, sub: string): Promise<string> => {
  const order = { dimension: 'user', user: `user:corp:${sub}` }
  const answer = await patient(broker).bearer('/admin/v1/revocations', await fleet.managementToken(), 'POST', order)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return order.user
}

describe('several brokers on one store', () => {
  test('what is cut off at one is told at the other', async () => {
    const stream = await follow(b)
    await stream.heartbeat()
    const id = await cutOff(a, 'at-one')
    await stream.told('user', id)
    await stream.close()
  })

  test('a stream goes on at another broker without a snapshot and without a hole', async () => {
    const stream = await follow(a)
    const at = await stream.heartbeat()
    await stream.close()
    const id = await cutOff(a, 'between')
    // The other has heard of it.
    const there = await follow(b)
    await there.told('user', id)
    await there.close()
    const resumed = await follow(b, { lastEventId: at.id as string })
    expect(resumed.events[0]).toMatchObject({ event: 'cutoffs', data: { previous: at.data.seq } })
    expect(resumed.events[0]?.data.cutoffs).toHaveLength(1)
    expect((await resumed.heartbeat()).data.epoch).toBe(at.data.epoch)
    await resumed.close()
  })

  test('a stream goes on after its broker was killed and another has started', async () => {
    const doomed = await fleet.start()
    const stream = await follow(doomed)
    const at = await stream.heartbeat()
    await doomed.kill()
    await stream.ended()
    const missed = await cutOff(a, 'while-away')
    const next = await fleet.start()
    const resumed = await follow(next, { lastEventId: at.id as string })
    expect(resumed.events[0]).toMatchObject({ event: 'cutoffs', data: { previous: at.data.seq } })
    const snapshot = await follow(a)
    await snapshot.told('user', missed)
    const wanted = snapshot.events[0]?.data.cutoffs.at(-1).id
    expect(resumed.events[0]?.data.cutoffs.map((one: { id: string }) => one.id)).toContain(wanted)
    await Promise.all([resumed.close(), snapshot.close(), next.kill()])
  })

  test('a broker that is not sure of its store sends no heartbeat, and starts again by itself', async () => {
    const stream = await follow(b)
    await stream.heartbeat()
    redis.pause()
    try {
      await stream
        .heartbeat(2_500)
        .then(
          () => stream.heartbeat(2_500),
          () => undefined,
        )
        .then(
          (late) => expect(late, 'a heartbeat without a store').toBeUndefined(),
          () => undefined,
        )
    } finally {
      redis.resume()
    }
    await stream.heartbeat()
    await stream.close()
  })

  test('SIGTERM ends every stream at once, and the process with them', async () => {
    const leaving = await fleet.start()
    const streams = await Promise.all(Array.from({ length: 20 }, () => follow(leaving)))
    const token = await leaving.apiToken('warehouse-server', 'revocations')
    const waiting = leaving.bearer('/revocations?wait_seconds=30', token)
    await Promise.all(streams.map((stream) => stream.heartbeat()))
    const begun = performance.now()
    const code = leaving.stop()
    await Promise.all(streams.map((stream) => stream.ended(5_000)))
    expect([200, 503]).toContain((await waiting).status)
    expect(await code).toBe(0)
    // Not what requests in flight are given.
    expect(performance.now() - begun).toBeLessThan(5_000)
    await expect(requestStream(leaving, { token })).rejects.toThrow()
  })
})
