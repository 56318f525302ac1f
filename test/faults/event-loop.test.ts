/**
 * A broker whose event loop is held up for longer than it may go without confirming its revocations (H77): what was in flight
 * ends as a token with its record or as 503, nothing is issued before the revocations of the meantime have been heard of, and
 * readiness answers late but truthfully. It ends by itself.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { whenAvailable, whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type Answer, claimsOf } from '../support/world.ts'

const BLOCK_MS = 2_500
const IN_FLIGHT = 20

let fleet: Fleet
let broker: BrokerProcess
let redis: RunningRedis | undefined

const isReady = async (at = broker) => (await at.request('/readyz')).status === 200

/** Asked from here, before and while the loop is held up. */
async function askThroughBlock(ask: () => Promise<Answer>, meanwhile: () => Promise<void>): Promise<readonly Answer[]> {
  const before = Array.from({ length: IN_FLIGHT }, ask)
  // Some of them are at the store by then.
  await sleep(5)
  const blocked = broker.suffer({ blockMs: BLOCK_MS })
  await sleep(200)
  const begun = performance.now()
  const during = Array.from({ length: IN_FLIGHT }, ask)
  const readiness = broker.request('/readyz')
  await meanwhile()
  expect(performance.now() - begun).toBeLessThan(BLOCK_MS - 500)
  const { status, body } = await readiness
  expect(performance.now() - begun).toBeGreaterThan(1_000)
  // It has not heard of anything yet, or has just done so.
  expect(status === 200, JSON.stringify(body)).toBe(Object.values(body.checks).every((check) => check === 'ok'))
  await blocked
  return Promise.all([...before, ...during])
}

async function expectRecorded(answers: readonly Answer[], sid: string, store: Store): Promise<void> {
  const records = (await whenAvailable(() => store.audit.latest(10_000))).map(({ record }) => JSON.parse(record))
  const granted = records
    .filter(({ session, event, outcome }) => session === sid && event === 'token.continue' && outcome === 'granted')
    .map(({ jti }) => jti)
  const undone = records.filter(({ outcome }) => outcome === 'undone').map(({ jti }) => jti)
  const answered: unknown[] = []
  for (const { status, body } of answers) {
    // 429: more of them than it takes at once have come together.
    expect([200, 429, 503], JSON.stringify(body)).toContain(status)
    if (status === 200) answered.push(claimsOf(body.access_token)['jti'])
    else expect(body.error).toBe('temporarily_unavailable')
  }
  expect(granted).toEqual(expect.arrayContaining(answered))
  for (const jti of granted) expect(answered.includes(jti) || undone.includes(jti), jti).toBe(true)
}

describe('on Redis', () => {
  let store: Store
  let other: BrokerProcess
  beforeAll(async () => {
    redis = await startRedis()
    const { url } = redis
    fleet = await startFleet(() => ({ store: { kind: 'redis', url } }))
    broker = await fleet.start()
    other = await fleet.start()
    store = await openStore({ kind: 'redis', url: new Secret(url), org: 'default' })
  })
  afterAll(async () => {
    await store?.close()
    await fleet?.close()
    await redis?.stop()
  })

  test('held up: in flight is granted with its record, or refused', async () => {
    const { session, sid } = await other.opened()
    const answers = await askThroughBlock(
      () => broker.continue(session),
      async () => undefined,
    )
    await until(isReady)
    await expectRecorded(answers, sid, store)
    expect((await whenReady(() => broker.continue(session))).status).toBe(200)
  })

  test('what another broker revoked meanwhile is dead: no token of it is active, whoever asks', async () => {
    const { session } = await other.opened()
    const answers = await askThroughBlock(
      () => broker.continue(session),
      async () => {
        expect((await whenReady(() => other.revoke(session))).status).toBe(200)
      },
    )
    await until(isReady)
    // Those that were asked for before the revoke may have been granted before it; none lives.
    const after = answers.slice(IN_FLIGHT)
    for (const { status, body } of after) expect([400, 429, 503], JSON.stringify(body)).toContain(status)
    for (const { status, body } of answers) {
      if (status !== 200) continue
      for (const asked of [broker, other]) {
        expect((await whenReady(() => asked.introspect(body.access_token))).body).toEqual({ active: false })
      }
    }
    expect((await whenReady(() => broker.continue(session))).status).toBe(400)
  })
})

describe('on the embedded store', () => {
  let directory = ''
  beforeAll(async () => {
    fleet = await startFleet((own) => {
      directory = join(own, 'store')
      return { store: { kind: 'embedded', directory } }
    })
    broker = await fleet.start()
  })
  afterAll(() => fleet?.close())

  test('held up: in flight is granted with its record, or refused', async () => {
    const { session, sid } = await broker.opened()
    const answers = await askThroughBlock(
      () => broker.continue(session),
      async () => undefined,
    )
    await until(isReady)
    const later = await whenReady(() => broker.continue(session))
    expect(later.status).toBe(200)
    expect(await broker.stop()).toBe(0)
    const store = await openStore({ kind: 'embedded', directory, org: 'default', clock: systemClock })
    await expectRecorded([...answers, later], sid, store)
    await store.close()
  })
})
