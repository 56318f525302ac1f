/**
 * A server of many processes goes on with one inbound token at several brokers of one Redis at the same moment (DESIGN §3, flow 7):
 * one hop is written, every exchange of it succeeds, and whoever ends the token at one broker has ended all of it at the other.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { ARCHIVE, called, onward, onwardRegistry } from '../support/downstream.ts'
import { type Claims, granted } from '../support/hops.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { patient, SLACK } from '../support/world.ts'

let redis: RunningRedis
let fleet: Fleet
let a: BrokerProcess
let b: BrokerProcess
beforeAll(async () => {
  redis = await startRedis()
  fleet = await startFleet(() => ({
    store: { kind: 'redis', url: redis.url },
    registry: () => onwardRegistry(fleet.idp),
  }))
  const both = await Promise.all([fleet.start(), fleet.start()])
  ;[a, b] = both.map(patient) as [BrokerProcess, BrokerProcess]
})
afterAll(async () => {
  await fleet?.close()
  await redis?.stop()
})

test('one hop, however many processes begin it at once, and one end for all of it', async () => {
  const { session, inbound } = await called(a)
  const brokers = [a, b, a, b, a, b, a, b, a, b]
  const all = await Promise.all(
    brokers.map((broker, at) => granted(onward(broker, inbound.token, { resource: at < 6 ? SLACK : ARCHIVE }))),
  )
  expect(new Set(all.map(({ claims }) => claims.jti)).size).toBe(brokers.length)
  const seen = await b.bearer(`/sessions/${session.claims.sid}`, await b.apiToken())
  expect(seen.body.tree.map(({ agent, tokens }: Claims) => [agent, tokens])).toEqual([
    ['orchestrator', 1],
    ['warehouse-server', brokers.length],
  ])
  const third = await granted(onward(b, all[0]?.token ?? '', { resource: ARCHIVE }, 'slack-server'))
  expect((await b.introspect(third.token, 'archive-server')).body.active).toBe(true)
  expect((await a.revoke(inbound.token)).status).toBe(200)
  const dead = async () => (await b.introspect(third.token, 'archive-server')).body.active === false
  await until(dead)
  for (const { token, claims } of all) {
    const server = claims.aud === SLACK ? 'slack-server' : 'archive-server'
    expect((await b.introspect(token, server)).body).toEqual({ active: false })
  }
  expect((await onward(b, inbound.token)).status).toBe(400)
})
