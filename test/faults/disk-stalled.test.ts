/**
 * The disk under the embedded store stands still, and is not full (H62): whoever asks for a token is told within half a second,
 * readiness says so, nothing is lost or left by halves, and it ends by itself. Another process holds LMDB's lock for writing:
 * every transaction waits for it, as it would for the disk.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { type RunningChild, runChild } from '../support/child.ts'
import { whenReady } from '../support/patience.ts'
import { type Answer, claimsOf, TYPE, WAREHOUSE, WIKI } from '../support/world.ts'

const ANSWER_MS_MAX = 500
/** A revoke is given longer: it meets the store several times, and is worth waiting for. */
const REVOKE_MS_MAX = 10_000

let fleet: Fleet
let broker: BrokerProcess
let directory = ''

beforeAll(async () => {
  fleet = await startFleet((own) => {
    directory = join(own, 'store')
    return { store: { kind: 'embedded', directory } }
  })
  broker = await fleet.start()
})
afterAll(() => fleet?.close())

const isReady = async () => (await broker.request('/readyz')).status === 200

async function stall(): Promise<RunningChild> {
  const child = runChild(new URL('./hold-writes.ts', import.meta.url), [join(directory, 'errand.mdb')])
  await until(async () => child.lines.includes('held'))
  return child
}

async function end(child: RunningChild): Promise<void> {
  child.send('')
  expect(await child.exited).toBe(0)
}

async function expectLater(name: string, ask: () => Promise<Answer>): Promise<void> {
  const begun = performance.now()
  const { status, headers, body } = await ask()
  const ms = performance.now() - begun
  expect([name, status, body.error]).toEqual([name, 503, 'temporarily_unavailable'])
  expect(Number(headers.get('retry-after')), name).toBeGreaterThan(0)
  expect(ms, name).toBeLessThan(ANSWER_MS_MAX)
}

test('stalled: 503 within half a second for all that issues, and everything as it was when it ends', async () => {
  const { session, delegation, access } = await broker.held()
  const ended = (await broker.opened()).session
  const requests: Readonly<Record<string, () => Promise<Answer>>> = {
    open: () => broker.open(),
    'open for an access token': () => broker.open({ requested_token_type: TYPE.access, resource: WAREHOUSE }),
    continue: () => broker.continue(session),
    delegate: () => broker.delegate(session),
    accept: () => broker.accept(delegation),
    autonomous: () => broker.clientCredentials('orchestrator', { resource: WIKI }),
    'API token': () => broker.clientCredentials('orchestrator', { resource: `${fleet.issuer}/api` }),
    introspect: () => broker.introspect(access),
  }
  const disk = await stall()
  for (const [name, ask] of Object.entries(requests)) await expectLater(name, ask)
  expect((await broker.request('/readyz')).body.checks.store).toMatch(/takes no writes/)
  await Promise.all(Object.entries(requests).map(([name, ask]) => expectLater(name, ask)))
  for (const path of ['/healthz', '/jwks']) expect([path, (await broker.request(path)).status]).toEqual([path, 200])
  const begun = performance.now()
  const revoke = await broker.revoke(ended)
  expect([200, 503]).toContain(revoke.status)
  expect(performance.now() - begun).toBeLessThan(REVOKE_MS_MAX)
  await end(disk)
  await until(isReady)
  for (const [name, ask] of Object.entries(requests)) {
    const { status, body } = await whenReady(ask)
    expect([name, status], JSON.stringify(body)).toEqual([name, 200])
  }
  if (revoke.status === 200) expect((await whenReady(() => broker.continue(ended))).status).toBe(400)
})

test('stalled again and again under load: each answer is a token with its record, or 503', async () => {
  const { session } = await broker.opened()
  let isOver = false
  const tokens: string[] = []
  let refused = 0
  const ask = async () => {
    while (!isOver) {
      const begun = performance.now()
      const { status, body } = await broker.continue(session)
      if (status === 200) tokens.push(body.access_token)
      else {
        expect([status, body.error]).toEqual([503, 'temporarily_unavailable'])
        expect(performance.now() - begun).toBeLessThan(2 * ANSWER_MS_MAX)
        refused += 1
        await sleep(20)
      }
    }
  }
  const asking = Array.from({ length: 8 }, ask)
  for (let round = 0; round < 3; round += 1) {
    await sleep(200)
    const disk = await stall()
    await sleep(600)
    await end(disk)
    await until(isReady)
  }
  isOver = true
  await Promise.all(asking)
  expect(refused).toBeGreaterThan(0)
  expect(await broker.stop()).toBe(0)
  const store = await openStore({ kind: 'embedded', directory, org: 'default', clock: systemClock })
  const records = (await store.audit.latest(100_000)).map(({ record }) => JSON.parse(record))
  await store.close()
  const of = (outcome: string) => new Set(records.filter((one) => one.outcome === outcome).map(({ jti }) => jti))
  const [granted, undone] = [of('granted'), of('undone')]
  const answered = new Set(tokens.map((token) => claimsOf(token)['jti']))
  for (const jti of answered) expect([granted.has(jti), undone.has(jti)]).toEqual([true, false])
  const continued = records.filter(({ event, outcome }) => event === 'token.continue' && outcome === 'granted')
  const ofThis = continued.filter((one) => one.session === claimsOf(session)['sid'])
  // What was granted and reached nobody was undone.
  for (const { jti } of ofThis) expect(answered.has(jti) || undone.has(jti), jti).toBe(true)
})
