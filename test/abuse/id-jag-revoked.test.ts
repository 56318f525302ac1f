/** Whoever is cut off or blocked does not come back in with an ID-JAG; and one of them is good once, however many ask. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { kill } from '../support/hops.ts'
import { enterpriseDocument, enterpriseRegistry, idJag, invalidGrant, redeem } from '../support/id-jag.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { expectRefused } from '../support/refusal.ts'
import { claimsOf, patient, startWorld, type World } from '../support/world.ts'

let idp: TestIssuer
let redis: RunningRedis
let fleet: Fleet
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  redis = await startRedis()
  fleet = await startFleet(() => ({
    store: { kind: 'redis', url: redis.url },
    registry: (doc) => enterpriseDocument(doc),
  }))
})
afterAll(async () => {
  await fleet?.close()
  await redis?.stop()
  await idp?.close()
})

async function inWorld(work: (world: World) => Promise<void>): Promise<void> {
  const world = await startWorld({ issuer: idp, registry: enterpriseRegistry(idp) })
  try {
    await work(world)
  } finally {
    await world.close()
  }
}

const WIKI_SERVER = 'wiki-server'

test.each([
  ['user', { dimension: 'user', user: 'user:corp:alice', block: true }, 'principal_blocked'],
  ['agent', { dimension: 'agent', agent: 'orchestrator', block: true }, 'principal_blocked'],
  [
    'pair',
    { dimension: 'user_agent', user: 'user:corp:alice', agent: 'orchestrator', block: true },
    'principal_blocked',
  ],
] as const)('a kill of the %s ends the token at once, and a fresh assertion after it is refused', async (_what, order, reason) => {
  await inWorld(async (world) => {
    const token: string = (await redeem(world, idJag(world))).body.access_token
    expect((await world.introspect(token, WIKI_SERVER)).body.active).toBe(true)
    await kill(world, order)
    expect((await world.introspect(token, WIKI_SERVER)).body).toEqual({ active: false })
    await expectRefused(world, () => redeem(world, idJag(world)), invalidGrant(reason))
  })
})

test('a sign-in from before a kill is no way back; one from after it is', async () => {
  await inWorld(async (world) => {
    const signedIn = world.now() - 10
    await kill(world, { dimension: 'user', user: 'user:corp:alice' })
    await world.advance(70)
    const stale = () => redeem(world, idJag(world, { auth_time: signedIn }))
    await expectRefused(world, stale, invalidGrant('principal_blocked'))
    // Says nothing of the sign-in, at an issuer whose tokens do.
    const silent = () => redeem(world, idJag(world, { auth_time: undefined }))
    await expectRefused(world, silent, invalidGrant('principal_blocked'))
    expect((await redeem(world, idJag(world, { auth_time: world.now() - 1 }))).status).toBe(200)
  })
})

test('the user ends the session of an assertion, and its agent revokes the token', async () => {
  await inWorld(async (world) => {
    const first: string = (await redeem(world, idJag(world))).body.access_token
    await world.revoke(first)
    expect((await world.introspect(first, WIKI_SERVER)).body).toEqual({ active: false })
    const second: string = (await redeem(world, idJag(world))).body.access_token
    const ended = await world.bearer(`/sessions/${claimsOf(second)['sid']}`, world.userToken(), 'DELETE')
    expect(ended.status).toBe(200)
    expect((await world.introspect(second, WIKI_SERVER)).body).toEqual({ active: false })
    await expectRefused(world, () => redeem(world, idJag(world)), invalidGrant('principal_blocked'))
  })
})

test('H59: one assertion at two brokers, twenty times each at once: one token', async () => {
  const brokers = (await Promise.all([fleet.start(), fleet.start()])).map(patient<BrokerProcess>)
  for (let round = 0; round < 4; round += 1) {
    const assertion = idJag({ idp: fleet.idp, issuer: fleet.issuer, now: () => brokers[0]?.now() ?? 0 })
    const answers = await Promise.all(
      Array.from({ length: 20 }).flatMap(() => brokers.map((broker) => redeem(broker, assertion))),
    )
    const reasons = answers.filter(({ status }) => status !== 200).map(({ body }) => body.error_reason)
    expect([reasons.length, new Set(reasons)]).toEqual([39, new Set(['assertion_replayed'])])
  }
})
