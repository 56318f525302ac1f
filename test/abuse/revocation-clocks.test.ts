/**
 * Revocations are ordered by the store's numbers, never by clocks (DESIGN §7): a broker whose clock is off by minutes revokes as
 * well as any other, and what a broker mints that has not heard of a cut-off is dead at every one that has.
 */
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CUTOFF_LIFETIME_S } from '../../src/kernel/limits.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { ensureKeys } from '../../src/keys/key-files.ts'
import { until } from '../support/broker-process.ts'
import { granted, kill, openDeep } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { ManualClock, patient, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'
import { seedRsaKey } from '../support/world-keys.ts'

let idp: TestIssuer
let redis: RunningRedis
/** Keys that were there long before: whoever's clock is behind has them, too. */
const keysDirectory = scratchDirectory('errand-clock-keys-')
beforeAll(async () => {
  const now = Math.floor(Date.now() / 1000) - 7200
  await seedRsaKey(keysDirectory)
  await ensureKeys(keysDirectory, { now, development: true })
  ;[idp, redis] = await Promise.all([startIssuer({ slug: 'corp' }), startRedis()])
})
afterAll(async () => {
  await idp?.close()
  await redis?.stop()
  rmSync(keysDirectory, { recursive: true, force: true })
})

let orgs = 0
/** Two brokers of one deployment: the same store and keys, each with a clock of its own. */
async function pair(offsetMs = 0): Promise<{ right: World; other: World; close(): Promise<void> }> {
  orgs += 1
  const shared = {
    store: { kind: 'redis', url: new Secret(redis.url) } as const,
    config: { org: `clocks${orgs}` },
    issuer: idp,
  }
  const right = patient(await startWorld({ ...shared, keysDirectory, realClock: true }))
  const other = await startWorld({ ...shared, keysDirectory, realClock: true })
  Object.assign(other.clock, { nowMs: () => Date.now() + offsetMs })
  return { right, other, close: async () => void (await Promise.all([right.close(), other.close()])) }
}

const ORDERS: readonly (readonly [string, object])[] = [
  ['agent', { dimension: 'agent', agent: 'orchestrator' }],
  ['agent_version', { dimension: 'agent_version', agent: 'orchestrator', version: '1' }],
  ['owner', { dimension: 'owner', owner: 'alice@corp.example' }],
  ['user', { dimension: 'user', user: 'user:corp:alice' }],
  ['user_agent', { dimension: 'user_agent', user: 'user:corp:alice', agent: 'orchestrator' }],
  ['issuer', { dimension: 'issuer', issuer: 'corp' }],
  ['resource', { dimension: 'resource', resource: 'warehouse' }],
  ['everything', { dimension: 'everything' }],
] // Last: after it, assertions of half a minute count as used.

const isActive = async (world: World, token: string) => (await world.introspect(token)).body.active
const heardOf = (world: World, seq: number) => until(async () => world.broker.cutoffs.set.appliedSeq >= seq)

/** It has heard how far it is off. */
const knowsItsClock = (world: World) =>
  until(async () => Math.abs(world.broker.cutoffs.storeClockDifferenceMs) > 60_000)

describe.each([-10, 10])('a broker whose clock is off by %d minutes', (minutes) => {
  let both: Awaited<ReturnType<typeof pair>>
  beforeAll(async () => {
    both = await pair(minutes * 60_000)
    await heardOf(both.other, both.right.broker.cutoffs.set.appliedSeq)
    await knowsItsClock(both.other)
  })
  afterAll(() => both.close())

  test('issues nothing', async () => {
    const answer = await both.other.clientCredentials('orchestrator', { resource: `${both.other.issuer}/api` })
    expect([answer.status, answer.body.access_token]).toEqual([503, undefined])
  })

  test.each(
    ORDERS,
  )('%s: its kill is dead elsewhere, and stands for as long as any other', async (_dimension, order) => {
    const { right, other } = both
    const token = await someAccess(right)
    expect(await isActive(right, token)).toBe(true)
    const { seq } = await kill(other, order)
    await heardOf(right, seq)
    expect(await isActive(right, token)).not.toBe(true)
    const { entries } = await right.broker.store.control.snapshot()
    const own = entries.filter((entry) => entry.entry === 'cutoff' && entry.seq === seq)
    expect(own.length).toBeGreaterThan(0)
    for (const entry of own) {
      if (entry.entry !== 'cutoff') continue
      expect(Math.abs(entry.atMs - Date.now())).toBeLessThan(30_000)
      const leastMs = order === ORDERS[6]?.[1] ? 900_000 : CUTOFF_LIFETIME_S * 1000
      expect(entry.expiresAtMs).toBeGreaterThan(Date.now() + leastMs - 30_000)
    }
  })

  /** Whatever was cut off by the tests before. */
  async function someAccess(world: World): Promise<string> {
    const { set } = world.broker.cutoffs
    const evidenceRefusal = set.evidenceRefusal.bind(set)
    // The margin for foreign clocks is another test's matter: here it would make each wait a minute.
    set.evidenceRefusal = () => undefined
    try {
      const { token } = await granted(
        world.open({ requested_token_type: TYPE.access, resource: WAREHOUSE, subject_token: world.idToken() }),
      )
      return token
    } finally {
      set.evidenceRefusal = evidenceRefusal
    }
  }
})

test('a user’s revoke at a broker that is ten minutes behind lets no sign-in of before it back in', async () => {
  const { right, other, close } = await pair(-600_000)
  try {
    await knowsItsClock(other)
    const session = await openDeep(right)
    const order = { dimension: 'session', session: session.claims.sid }
    const { seq } = await kill(other, order)
    await heardOf(right, seq)
    // By the clock of the broker that was asked, this sign-in is nine minutes newer than the revoke.
    const answer = await right.open({ subject_token: right.idToken({ jti: 'later', auth_time: right.now() - 60 }) })
    expect(answer.body.error_reason).toBe('principal_blocked')
    const block = (await right.broker.store.control.snapshot()).entries.find(
      (entry) => entry.entry === 'block' && entry.kind === 'pair',
    )
    expect(block?.entry === 'block' && (block.newerThanS ?? 0)).toBeGreaterThan(right.now())
  } finally {
    await close()
  }
})

test.each(
  ORDERS,
)('%s: what a broker mints that has not heard of it is dead at one that has', async (_dimension, order) => {
  const { right, other: deaf, close } = await pair()
  try {
    // No list knows of the session, so that no mark in its own slot can do the number's work.
    for (const world of [right, deaf]) world.broker.store.indexes.add = async () => undefined
    const session = await openDeep(patient(deaf))
    const { cutoffs } = deaf.broker
    cutoffs.written = () => undefined
    cutoffs.confirmed = () => undefined
    cutoffs.snapshot = () => undefined
    const { seq } = await kill(right, order)
    const late = await granted(patient(deaf).continue(session.token))
    const again = await granted(
      patient(deaf).open({ requested_token_type: TYPE.access, resource: WAREHOUSE, subject_token: deaf.idToken() }),
    )
    for (const { token, claims } of [late, again]) {
      expect(claims.rv).toBeLessThan(seq)
      // After `everything` the broker's own answer may be a refusal of the assertion.
      expect(await isActive(right, token)).not.toBe(true)
    }
  } finally {
    await close()
  }
})

test('a clock that is set back or forward in between changes nothing: numbers only rise', async () => {
  const world = await startWorld({ issuer: idp })
  const { clock } = world
  if (!(clock instanceof ManualClock)) throw new Error('the clock must be manual')
  try {
    const once = async (before: number, after: number) => {
      const evidence = world.idToken({ auth_time: world.now() })
      const asked = { requested_token_type: TYPE.access, resource: WAREHOUSE, subject_token: evidence }
      const { token } = await granted(world.open(asked))
      expect(await isActive(world, token)).toBe(true)
      clock.advance(before)
      await kill(world, { dimension: 'resource', resource: 'warehouse' })
      await world.advance(after)
      expect(await isActive(world, token)).toBe(false)
    }
    await once(120, 0)
    // Its clock is right again when it has caught up.
    await once(-120, 121)
  } finally {
    await world.close()
  }
})
