/**
 * The clock of a running broker is set (H61): nothing that has ended lives again, nothing used once is used again, and nothing
 * is issued while the broker's clock is more than a second from its store's. It ends by itself when the clocks agree again.
 *
 * On Redis the store's clock is another machine's. The embedded store's is the machine's own, but never earlier than before.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { backupEmbedded, restoreEmbedded } from '../../src/store/embedded-backup.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type Answer, patient } from '../support/world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const signed = (ms: number) => `${ms < 0 ? '−' : '+'}${Math.abs(ms) / 1000} s`

let fleet: Fleet
let broker: BrokerProcess

/** The broker's clock, and that of all who speak to it: else it would refuse what they sign and not come to the point. */
async function setClock(clockOffsetMs: number): Promise<void> {
  await broker.suffer({ clockOffsetMs })
  speakAt(clockOffsetMs)
}

function speakAt(clockOffsetMs: number): void {
  Object.assign(broker, { clock: { nowMs: () => systemClock.nowMs() + clockOffsetMs } })
}

const checks = async () => (await broker.request('/readyz')).body.checks
const isReady = async () => (await broker.request('/readyz')).status === 200

interface Held {
  readonly session: string
  /** Live until the test revokes it. */
  readonly access: string
  readonly revoked: string
  /** Used. */
  readonly client_assertion: string
}

async function hold(): Promise<Held> {
  const { session } = await broker.opened()
  const other = (await broker.opened()).session
  const revoked = (await whenReady(() => broker.continue(other))).body.access_token
  expect((await whenReady(() => broker.revoke(other))).status).toBe(200)
  let client_assertion = ''
  const used = await whenReady(() => {
    client_assertion = broker.assertion('orchestrator')
    return broker.continue(session, { client_assertion })
  })
  expect(used.status, JSON.stringify(used.body)).toBe(200)
  return { session, access: used.body.access_token, revoked, client_assertion }
}

function expectStale(name: string, { status, body }: Answer): void {
  expect([name, status, body.error]).toEqual([name, 503, 'temporarily_unavailable'])
  // Whoever is not known yet is not told.
  expect(body.decision_id === undefined || body.error_reason === 'cutoffs_stale', JSON.stringify(body)).toBe(true)
}

/** From the first request after the step on: what is asked at once is not asked too early. */
async function expectNothingIssued({ session, access, revoked, client_assertion }: Held): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    expectStale('open', await broker.open())
    expectStale('continue', await broker.continue(session))
    expectStale('delegate', await broker.delegate(session))
    expectStale('autonomous', await broker.clientCredentials('orchestrator', { resource: `${fleet.issuer}/api` }))
    expectStale('introspect', await broker.introspect(access))
    expectStale('introspect what is revoked', await broker.introspect(revoked))
    expect([401, 503]).toContain((await broker.continue(session, { client_assertion })).status)
    expect((await whenReady(() => broker.revoke(revoked))).status).toBe(200)
    await until(async () => (await checks()).clock !== 'ok')
    expect(await isReady()).toBe(false)
  }
}

async function expectRecovered({ session, access, revoked, client_assertion }: Held): Promise<void> {
  await until(isReady)
  const again = patient(broker)
  expect((await again.continue(session)).status).toBe(200)
  expect((await again.introspect(access)).body.active).toBe(true)
  expect((await again.introspect(revoked)).body).toEqual({ active: false })
  expect((await again.continue(session, { client_assertion })).status).toBe(401)
}

describe('on Redis', () => {
  let redis: RunningRedis
  beforeAll(async () => {
    redis = await startRedis()
    fleet = await startFleet(() => ({ store: { kind: 'redis', url: redis.url } }))
    broker = await fleet.start()
  })
  afterAll(async () => {
    await fleet?.close()
    await redis?.stop()
  })

  test.each(
    [30_000, -30_000, 5 * MINUTE_MS, -5 * MINUTE_MS, -HOUR_MS].map((ms) => [signed(ms), ms] as const),
  )('a step of %s: nothing is issued until it is set right', async (_name, offsetMs) => {
    const held = await hold()
    await setClock(offsetMs)
    await expectNothingIssued(held)
    await setClock(0)
    await expectRecovered(held)
  })
})

describe('on the embedded store', () => {
  beforeAll(async () => {
    fleet = await startFleet((own) => ({ store: { kind: 'embedded', directory: join(own, 'store') } }))
    broker = await fleet.start()
  })
  afterAll(() => fleet?.close())

  test.each(
    [-30_000, -5 * MINUTE_MS, -HOUR_MS].map((ms) => [signed(ms), ms] as const),
  )('a step of %s: nothing is issued until it is set right', async (_name, offsetMs) => {
    const held = await hold()
    await setClock(offsetMs)
    await expectNothingIssued(held)
    await setClock(0)
    await expectRecovered(held)
  })

  test('set back while it was down: the store remembers, also after kill -9', async () => {
    const held = await hold()
    // What it remembers is as old as its last write at most.
    await broker.kill()
    broker = await fleet.start({ clockOffsetMs: -HOUR_MS })
    speakAt(-HOUR_MS)
    await expectNothingIssued(held)
    await setClock(0)
    await expectRecovered(held)
  })

  test('a step of +300 s is followed, and what it has ended stays so when it is taken back', async () => {
    const held = await hold()
    await setClock(6 * MINUTE_MS)
    await until(isReady)
    // Assertion and access token are over, and swept.
    for (let round = 0; round < 3; round += 1) expect((await whenReady(() => broker.open())).status).toBe(200)
    expect((await whenReady(() => broker.introspect(held.access))).body).toEqual({ active: false })
    await setClock(0)
    await expectNothingIssued(held)
    await broker.kill()
    broker = await fleet.start()
    speakAt(0)
    await expectNothingIssued(held)
    await setClock(6 * MINUTE_MS)
    await until(isReady)
    expect((await whenReady(() => broker.continue(held.session))).status).toBe(200)
    expect((await whenReady(() => broker.introspect(held.access))).body).toEqual({ active: false })
  })

  test('a year ahead since before it was started: a backup of it, restored, is of today', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'errand-ahead-'))
    try {
      const options = { kind: 'embedded', org: 'default', directory: join(directory, 'ahead') } as const
      const ahead = { nowMs: () => systemClock.nowMs() + 365 * DAY_MS }
      await (await openStore({ ...options, clock: ahead })).close()
      const away = await openStore({ ...options, clock: systemClock })
      expect((await away.ping()).nowMs).toBeGreaterThan(systemClock.nowMs() + 364 * DAY_MS)
      await away.close()
      const [file, restored] = [join(directory, 'backup'), join(directory, 'restored')]
      await backupEmbedded(options.directory, options.org, file)
      const into = { directory: restored, org: options.org, clock: systemClock, endedFields: new Map() }
      await restoreEmbedded(file, into)
      const store = await openStore({ ...options, directory: restored, clock: systemClock })
      expect(Math.abs((await store.ping()).nowMs - systemClock.nowMs())).toBeLessThan(1_000)
      const { entries } = await store.control.snapshot()
      expect(entries.map(({ atMs }) => atMs <= systemClock.nowMs())).toEqual([true])
      await store.close()
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  test('a year ahead by mistake: not followed, nothing swept, and over when it is set right', async () => {
    const held = await hold()
    await setClock(6 * MINUTE_MS + 365 * DAY_MS)
    expectStale('open', await broker.open())
    await until(async () => (await checks()).clock !== 'ok')
    expectStale('open', await broker.open())
    await setClock(6 * MINUTE_MS)
    await expectRecovered(held)
  })
})
