/**
 * A Redis that comes back with less than it was told, or with nothing: a restart without persistence, an older copy, a flush under
 * running brokers. What was revoked stays revoked, though only the brokers remember it; what was used cannot be used again; what
 * nobody can vouch for any more is dead; and service returns by itself.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { newSessionId, type SessionId } from '../../src/kernel/ids.ts'
import { shardOf } from '../../src/kernel/shard.ts'
import { LiveCutoffs } from '../../src/sessions/live-cutoffs.ts'
import { claimOnce } from '../../src/sessions/replay-guard.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { commitOf, HOUR_MS, set } from '../contract/store-contract.ts'
import { freePort } from '../support/free-port.ts'
import { whenAvailable } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { eventually } from '../support/redis-replicas.ts'

vi.mock('../../src/kernel/store-limits.ts', async (original) =>
  (await import('../support/patient-limits.ts')).patientLimits(original),
)

const clock = { nowMs: () => Date.now() }

/** A broker as far as its state goes: a store, and the revocations it has heard of. */
interface Broker {
  readonly store: Store
  readonly cutoffs: LiveCutoffs
  close(): Promise<void>
}

async function broker(url: string): Promise<Broker> {
  const store = await openStore({ kind: 'redis', url, org: 'acme' })
  const cutoffs = new LiveCutoffs(clock)
  const following = await whenAvailable(() => store.control.follow(cutoffs))
  return {
    store,
    cutoffs,
    async close() {
      await following.stop()
      await store.close()
    },
  }
}

let dir: string
let port: number
let redis: RunningRedis
let brokers: Broker[]

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'errand-losses-'))
  port = await freePort()
  redis = await startRedis({ dir, port, args: PERSISTENT })
  brokers = [await broker(redis.url), await broker(redis.url)]
})
afterEach(async () => {
  for (const one of brokers) await one.close()
  await redis.stop()
  rmSync(dir, { recursive: true, force: true })
})

const PERSISTENT = ['--appendonly', 'yes', '--appendfsync', 'always']

const one = (): Broker => brokers[0] as Broker
const kills = (broker: Broker, facts: { rv: number; session?: SessionId; agent?: string }) =>
  broker.cutoffs.set.killing({
    rv: facts.rv,
    nodes: [],
    agents: facts.agent === undefined ? [] : [facts.agent],
    versions: [],
    accessToken: true,
    ...(facts.session === undefined ? {} : { session: facts.session }),
  }) !== undefined

const cutoff = (id: string) => ({ entry: 'cutoff', dimension: 'agent', id, expiresAtMs: Date.now() + HOUR_MS }) as const
const use = (key: string, issuedAtMs: number) =>
  ({ slot: 'client_assertion', key, issuedAtMs, expiresAtMs: issuedAtMs + 120_000 }) as const
const newNonce = () => `n-${Math.round(performance.now() * 1000)}`
const claim = ({ store, cutoffs }: Broker, key: string, issuedAtMs: number, nonce = newNonce()) =>
  claimOnce(store.claims, use(key, issuedAtMs), { nonce, cutoffs })
/** What comes of it once the store is asked: a broker whose follower is back after it looks at it once more. */
const claimed = (of: Broker, key: string, issuedAtMs: number) => {
  const nonce = newNonce()
  return whenAvailable(() => claim(of, key, issuedAtMs, nonce))
}
const readAll = ({ store }: Broker, session: SessionId) => whenAvailable(() => store.sessions.readAll(session))

/** What must hold before anything goes wrong, so that it can be lost. */
async function before() {
  const session = newSessionId()
  await one().store.sessions.commit(commitOf(session, [set('state', 'active')], { audit: '{"id":"dec_1"}' }))
  const issuedAtMs = Date.now()
  await claim(one(), 'used', issuedAtMs)
  const { rv } = one().cutoffs
  const { seq } = await one().cutoffs.write(one().store.control, [cutoff('revoked')])
  await eventually('both have heard', async () => brokers.every((b) => b.cutoffs.rv >= seq))
  return { session, issuedAtMs, rv, seq }
}

/** Both answer again, by themselves. */
async function recovered(what: string): Promise<void> {
  const begun = performance.now()
  for (const { store, cutoffs } of brokers) {
    await eventually(`${what}: service`, async () => {
      await store.sessions.commit(commitOf(newSessionId(), [set('a', '1')], { audit: 'r' }))
      return cutoffs.fresh && store.takesWrites
    })
  }
  console.log(`${what}: back after ${(performance.now() - begun).toFixed(0)} ms`)
}

type Loss = () => Promise<void>
const LOSSES: Readonly<Record<string, Loss>> = {
  'FLUSHALL under running brokers': async () => {
    const client = new Redis(redis.url)
    await client.flushall()
    client.disconnect()
  },
  'FLUSHALL, and another broker that has written since': async () => {
    const client = new Redis(redis.url)
    await client.multi().flushall().exec()
    const late = await openStore({ kind: 'redis', url: redis.url, org: 'acme' })
    await late.control.write([cutoff('late')], 0)
    await late.close()
    client.disconnect()
  },
  'a restart without any data': async () => {
    await redis.kill()
    rmSync(join(dir, 'appendonlydir'), { recursive: true, force: true })
    redis = await redis.again()
  },
}

describe.each(Object.entries(LOSSES))('%s', (name, lose) => {
  test('what was revoked stays so, what was used cannot be used again, what was open is dead; service returns', async () => {
    const { session, issuedAtMs, rv, seq } = await before()
    await lose()
    // Not for a moment: each attempt is refused, whatever it is refused for.
    await expect(claim(one(), 'used', issuedAtMs)).rejects.toThrow()
    await recovered(name)
    for (const each of brokers) {
      expect(kills(each, { rv, agent: 'revoked' })).toBe(true)
      expect(kills(each, { rv: seq, session })).toBe(true)
      await expect(claimed(each, 'used', issuedAtMs)).rejects.toThrow(/used before/)
      await expect(claimed(each, 'also from before', issuedAtMs)).rejects.toThrow(/used before/)
      expect(await readAll(each, session)).toBeUndefined()
    }
    // A broker that knew nothing is told by the store what the others have written there again.
    const fresh = await broker(redis.url)
    brokers.push(fresh)
    expect(kills(fresh, { rv, agent: 'revoked' })).toBe(true)
    expect(kills(fresh, { rv: seq, session })).toBe(true)
    // What is opened from now on lives.
    const opened = newSessionId()
    const opening = commitOf(opened, [set('state', 'active')], { audit: 'r' })
    await whenAvailable(() => one().store.sessions.commit(opening))
    for (const each of brokers) expect(kills(each, { rv: one().cutoffs.rv, session: opened })).toBe(false)
    await claimed(one(), 'fresh', Date.now() + 3_600_000)
  })
})

test('an older copy: a revocation that only brokers remember is written again, sessions of then are dead', async () => {
  await before()
  const copy = mkdtempSync(join(tmpdir(), 'errand-copy-'))
  cpSync(join(dir, 'appendonlydir'), copy, { recursive: true })
  const session = newSessionId()
  await one().store.sessions.commit(commitOf(session, [set('state', 'active')], { audit: '{"id":"dec_2"}' }))
  const halted = newSessionId()
  await one().store.sessions.commit(commitOf(halted, [set('state', 'halted')], { audit: '{"id":"dec_3"}' }))
  const issuedAtMs = Date.now()
  await claim(one(), 'used later', issuedAtMs)
  const { rv } = one().cutoffs
  const { seq } = await one().cutoffs.write(one().store.control, [cutoff('revoked later')])
  await eventually('both have heard', async () => brokers.every((b) => b.cutoffs.rv >= seq))
  await redis.kill()
  rmSync(join(dir, 'appendonlydir'), { recursive: true })
  cpSync(copy, join(dir, 'appendonlydir'), { recursive: true })
  rmSync(copy, { recursive: true })
  // From the first moment on: its marks are the right ones, and only what it has lost tells.
  let isTrying = true
  const granted: unknown[] = []
  const attempts = brokers.map(async (each) => {
    while (isTrying)
      await claim(each, 'used later', issuedAtMs).then(
        (grant) => granted.push(grant),
        () => sleep(1),
      )
  })
  redis = await redis.again()
  await recovered('an older copy')
  isTrying = false
  await Promise.all(attempts)
  expect(granted).toEqual([])
  const fresh = await broker(redis.url)
  for (const each of [...brokers, fresh]) {
    expect(kills(each, { rv, agent: 'revoked later' })).toBe(true)
    for (const id of [session, halted]) expect(kills(each, { rv: seq, session: id })).toBe(true)
  }
  expect((await whenAvailable(() => fresh.store.control.snapshot())).seq).toBeGreaterThan(seq)
  await fresh.close()
})

test('a restart that has lost nothing ends nothing: sessions live, and what was used is still known by its claim', async () => {
  const { session, issuedAtMs, seq } = await before()
  await redis.kill()
  redis = await redis.again()
  await recovered('a restart with all its data')
  for (const each of brokers) {
    expect(kills(each, { rv: seq, session })).toBe(false)
    await expect(claimed(each, 'used', issuedAtMs)).rejects.toThrow(/used before/)
    await claimed(each, `unused by ${brokers.indexOf(each)}`, issuedAtMs)
  }
  expect(await readAll(one(), session)).toEqual(new Map([['state', 'active']]))
})

test('one claim that is missing is enough: nothing of that server is believed', async () => {
  const { session, seq, issuedAtMs } = await before()
  const client = new Redis(redis.url)
  const keys = await client.keys('*:claim:*')
  await client.del(...keys)
  client.disconnect()
  await redis.kill()
  redis = await redis.again()
  await recovered('a restart without a claim')
  for (const each of brokers) {
    expect(kills(each, { rv: seq, session })).toBe(true)
    await expect(claimed(each, 'used', issuedAtMs)).rejects.toThrow(/used before/)
  }
})

test('a cut-off under a number that was passed meanwhile elsewhere is given a new one', async () => {
  const { seq } = await before()
  // Another server, whose clock is behind, has taken a revocation that nobody here has heard of.
  const client = new Redis(redis.url)
  await client
    .multi()
    .flushall()
    .set('{control}:acme:seq', '7')
    .hset('{control}:acme:entries', 'cutoff|agent|elsewhere', `cutoff 7 7 ${Date.now() + HOUR_MS} -`)
    .xadd('{control}:acme:events', '7-0', 'prev', '0', 'cutoff|agent|elsewhere', `cutoff 7 7 ${Date.now() + HOUR_MS} -`)
    .exec()
  client.disconnect()
  await eventually('a new number', async () => brokers.every((b) => kills(b, { rv: seq, agent: 'elsewhere' })))
  await recovered('a cut-off of another history')
})

test('while the store is looked at nothing is granted, and a revocation that is refused is written all the same', async () => {
  await before()
  const client = new Redis(redis.url)
  await client.flushall()
  client.disconnect()
  const outcomes = await Promise.allSettled([
    claim(one(), 'at the worst moment', Date.now()),
    one().store.control.write([cutoff('at the worst moment')], 0),
  ])
  expect(outcomes[0]).toMatchObject({ status: 'rejected' })
  const [, order] = outcomes
  if (order?.status === 'rejected') expect(order.reason).toBeInstanceOf(StoreUnavailable)
  await recovered('a flush')
  await eventually('the revocation', async () =>
    brokers.every((b) => kills(b, { rv: 0, agent: 'at the worst moment' })),
  )
})

test('shards are told apart by what their tokens say: a verifier computes it from the session', async () => {
  const session = newSessionId()
  const other = Array.from({ length: 200 }, () => newSessionId()).find((id) => shardOf(id) !== shardOf(session))
  const write = {
    entry: 'cutoff',
    dimension: 'shard',
    id: `s${shardOf(session)}`,
    expiresAtMs: Date.now() + HOUR_MS,
  } as const
  const { rv } = one().cutoffs
  await one().cutoffs.write(one().store.control, [write])
  expect(kills(one(), { rv, session })).toBe(true)
  expect(kills(one(), { rv, session: other as SessionId })).toBe(false)
  expect(kills(one(), { rv })).toBe(false)
})
