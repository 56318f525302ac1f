/**
 * A Redis with replicas: what is acknowledged is on as many of them as are configured; what is not on them is refused, though a
 * revocation is in force all the same, and is written until it is there.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newSessionId } from '../../src/kernel/ids.ts'
import { Rejection } from '../../src/kernel/rejection.ts'
import { killToken } from '../../src/revocation/kill.ts'
import { type KeyKillParts, killKey } from '../../src/revocation/kill-key.ts'
import { LiveCutoffs } from '../../src/sessions/live-cutoffs.ts'
import { SessionRepository } from '../../src/sessions/session-repository.ts'
import { openStore } from '../../src/store/open-store.ts'
import { NotReplicated, type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { eventually, Recorder } from '../contract/control-contract.ts'
import { commitOf, HOUR_MS, set } from '../contract/store-contract.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { startRedis } from '../support/redis.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { ask, type ReplicatedRedis, startReplicatedRedis } from '../support/redis-replicas.ts'
import { type StoreProxy, startStoreProxy } from '../support/store-proxy.ts'
import { sessionFacts } from '../unit/sessions/fixtures.ts'

const cutoff = (id: string) => ({ entry: 'cutoff', dimension: 'agent', id, expiresAtMs: Date.now() + HOUR_MS }) as const
/** A call's deadline, and that of asking the replicas, on a busy machine. */
const ANSWER_MS_MAX = 1_500

let servers: ReplicatedRedis
let proxy: StoreProxy
let store: Store
const closing: (() => Promise<unknown> | unknown)[] = []

beforeAll(async () => {
  servers = await startReplicatedRedis({ replicas: 1, sentinels: 1, downAfterMs: 60_000, args: MIN_REPLICAS })
  proxy = await startStoreProxy((await servers.primary()).redis)
})
afterAll(async () => {
  await proxy?.close()
  await servers?.stop()
})
beforeEach(async () => {
  // One that stood still for long follows anew.
  await servers.replicated()
  store = await openStore({ kind: 'redis', url: proxy.url, replicas: 1, org: 'acme' })
  closing.push(() => store.close())
})
afterEach(async () => {
  servers.members[1]?.redis.resume()
  await proxy.heal()
  for (const close of closing.splice(0).reverse()) await close()
})

const MIN_REPLICAS = ['--min-replicas-to-write', '1']
const pauseReplica = () => servers.members[1]?.redis.pause()
const resumeReplica = () => servers.members[1]?.redis.resume()

describe('a replica that does not answer', () => {
  test('nothing is acknowledged that it does not have, and what waits for it is answered in time', async () => {
    const session = newSessionId()
    await again(() => store.sessions.commit(commitOf(session, [set('a', '1')])))
    pauseReplica()
    const calls: Record<string, () => Promise<unknown>> = {
      commit: () => store.sessions.commit(commitOf(newSessionId(), [set('a', '1')])),
      claim: () => store.claims.claim('key', 'nonce', Date.now() + HOUR_MS),
      record: () => store.audit.append('key', 'record'),
      strangers: () => store.audit.appendStrangers('record'),
      document: () => store.documents.replace('name', undefined, 'text'),
      revocation: () => store.control.write([cutoff('a')], 0),
    }
    for (const [name, call] of Object.entries(calls)) {
      const begun = performance.now()
      expect([name, await call().catch((error) => error)]).toEqual([name, expect.any(StoreUnavailable)])
      expect(performance.now() - begun).toBeLessThan(ANSWER_MS_MAX)
    }
    // Reading needs no replica: whether it may be relied on is what the feed's confirmation is for.
    expect(await again(() => store.sessions.readAll(session))).toEqual(new Map([['a', '1']]))
    resumeReplica()
    const begun = performance.now()
    await again(() => store.sessions.commit(commitOf(session, [set('a', '2')])))
    console.log(`acknowledged again ${(performance.now() - begun).toFixed(0)} ms after the replica was back`)
  })

  test('a commit that was not acknowledged, asked again under its id, is acknowledged once the replica has it', async () => {
    const commit = commitOf(newSessionId(), [set('a', '1')])
    pauseReplica()
    await expect(store.sessions.commit(commit)).rejects.toThrow(StoreUnavailable)
    resumeReplica()
    expect(await again(() => store.sessions.commit(commit))).toEqual({ committed: true, repeated: true })
  })

  test('a revocation is in force at once, and the order is answered: not yet everywhere', async () => {
    const cutoffs = new LiveCutoffs({ nowMs: () => Date.now() })
    const following = await store.control.follow(cutoffs)
    pauseReplica()
    const order = await cutoffs.write(store.control, [cutoff('held')]).catch((error: unknown) => error)
    expect(order).toBeInstanceOf(Rejection)
    expect(order).toMatchObject({ reason: 'write_unreplicated', retryAfterSeconds: 1 })
    expect(cutoffs.set.killing({ rv: 0, nodes: [], agents: ['held'], versions: [], accessToken: true })).toBeDefined()
    await following.stop()
  })

  test('a token or key that is revoked again is not said to be revoked either, at this broker or at one that has heard of it', async () => {
    const other = await openStore({ kind: 'redis', url: servers.members[0]?.redis.url ?? '', replicas: 1, org: 'acme' })
    closing.push(() => other.close())
    const brokers = await Promise.all([store, other].map(killer))
    const heard = (id: string) => brokers.every(({ cutoffs }) => cutoffs.set.entries().some((entry) => entry.id === id))
    pauseReplica()
    const refused = { reason: 'write_unreplicated' }
    for (const { token, key } of brokers) {
      await expect(token()).rejects.toMatchObject(refused)
      await eventually('both have heard of it', () => heard('jti_access'))
      await expect(token()).rejects.toMatchObject(refused)
      await expect(key()).rejects.toMatchObject(refused)
      await eventually('both have heard of it', () => heard('kid'))
      await expect(key()).rejects.toMatchObject(refused)
    }
    resumeReplica()
    for (const { token, key } of brokers) {
      const seqs = [await again(token), await again(key)].map(({ seq }) => seq)
      // Once it stands it is not written again.
      expect([await again(token), await again(key)].map(({ seq }) => seq)).toEqual(seqs)
    }
  })

  test('the feed delivers what the primary says, and confirms none of it: another may be the primary by now', async () => {
    const recorder = new Recorder()
    const following = await store.control.follow(recorder)
    await eventually('a confirmation', () => recorder.confirmations.length > 1)
    pauseReplica()
    await expect(store.control.write([cutoff('unconfirmed')], 0)).rejects.toThrow(NotReplicated)
    await eventually('the event', () => recorder.events.length === 1)
    const { length } = recorder.confirmations
    await sleep(700)
    expect(recorder.confirmations.length).toBeLessThanOrEqual(length + 1)
    expect(recorder.confirmedSeq).toBeLessThan(recorder.events[0]?.seq ?? 0)
    resumeReplica()
    await eventually('a confirmation of it', () => recorder.confirmedSeq >= (recorder.events[0]?.seq ?? 0))
    expect(recorder.snapshots).toHaveLength(1)
    await following.stop()
  })
})

test('a revocation that never reached the server is written as soon as it can be, though nobody asks again', async () => {
  const recorder = new Recorder()
  const following = await store.control.follow(recorder)
  proxy.at('owed-to-nobody', 'unsent')
  await expect(store.control.write([cutoff('owed-to-nobody')], 0)).rejects.toThrow(StoreUnavailable)
  expect(await ask((await servers.primary()).redis.port, ['HGET', ENTRIES, 'cutoff|agent|owed-to-nobody'])).toBeNull()
  await proxy.heal()
  await eventually('the revocation', () =>
    [...recorder.events, ...recorder.snapshots].some(({ entries }) =>
      entries.some(({ id }) => id === 'owed-to-nobody'),
    ),
  )
  await following.stop()
})

test('a lift that never reached the server is not: it would undo what was ordered since', async () => {
  proxy.at('lifted-by-nobody', 'unsent')
  const lift = { entry: 'lift', kind: 'agent', id: 'lifted-by-nobody' } as const
  await expect(store.control.write([lift], 0)).rejects.toThrow(StoreUnavailable)
  await proxy.heal()
  await again(() => store.control.write([cutoff('later')], 0))
  await sleep(500)
  expect(await ask((await servers.primary()).redis.port, ['HGET', ENTRIES, 'block|agent|lifted-by-nobody'])).toBeNull()
})

const ENTRIES = '{control}:acme:entries'

describe('at its start a broker waits for', () => {
  test('a replica that is late', async () => {
    pauseReplica()
    const opening = openStore({ kind: 'redis', url: proxy.url, replicas: 1, org: 'late' })
    await sleep(1_000)
    resumeReplica()
    const opened = await opening
    closing.push(() => opened.close())
    expect(await opened.sessions.commit(commitOf(newSessionId(), [set('a', '1')]))).toMatchObject({ committed: true })
  })

  test('the connection that replicas are asked about on, of every node of a cluster', async () => {
    const cluster = await startRedisCluster({ primaries: 1, replicas: 1, proxied: true, args: MIN_REPLICAS })
    closing.push(() => cluster.stop())
    // Of the link that all but the start itself goes by.
    for (const member of cluster.members) member.proxy?.hold('errand-replicas', 600)
    const opened = await openStore({ kind: 'redis', cluster: cluster.urls, replicas: 1, org: 'acme' })
    closing.push(() => opened.close())
    expect(await opened.sessions.commit(commitOf(newSessionId(), [set('a', '1')]))).toMatchObject({ committed: true })
  })
})

describe('at its start a broker refuses', () => {
  test.each([
    [2, MIN_REPLICAS, /has 1 replicas, and store.replicas asks for 2: attach the others, or lower store.replicas/],
    [
      1,
      ['--min-replicas-to-write', '0'],
      /min-replicas-to-write unset.*Set min-replicas-to-write to 1 on every server/,
    ],
    [1, ['--maxmemory-policy', 'allkeys-lru', ...MIN_REPLICAS], /Set maxmemory-policy to noeviction/],
  ])('%i replicas, %s', async (replicas, args, problem) => {
    const primary = await startRedis({ args: ['--repl-diskless-sync-delay', '0', ...args] })
    const replica = await startRedis({ args: ['--replicaof', `127.0.0.1 ${primary.port}`] })
    try {
      await online(primary.port)
      await expect(openStore({ kind: 'redis', url: primary.url, replicas, org: 'acme' })).rejects.toThrow(problem)
    } finally {
      await replica.stop()
      await primary.stop()
    }
  })

  test('a replica, which would take no writes', async () => {
    const url = servers.members[1]?.redis.url ?? ''
    await expect(openStore({ kind: 'redis', url, org: 'acme' })).rejects.toThrow(/this server is a replica/)
  })
})

/** What revokes one token, and one key, at a broker with this store. */
async function killer(of: Store) {
  const clock = { nowMs: () => Date.now() }
  const cutoffs = new LiveCutoffs(clock)
  const following = await of.control.follow(cutoffs)
  closing.push(() => following.stop())
  const parts = { clock, store: of, cutoffs, sessions: new SessionRepository(of) }
  const view = { facts: sessionFacts(), state: 'active', nodes: [], drift: 0 } as const
  const token = { jti: 'jti_access', node: 'nod_none', expiresAt: Math.floor(Date.now() / 1000) + 300 }
  const ring = { known: () => (cutoffs.set.entries().some(({ id }) => id === 'kid') ? undefined : KEY) }
  return {
    cutoffs,
    token: () => killToken(view, token, parts),
    key: () => killKey('kid', { ...parts, ring, keeper: undefined } as unknown as KeyKillParts),
  }
}

const KEY = { class: 'access', alg: 'ES256' }

async function online(port: number): Promise<void> {
  const until = Date.now() + PATIENCE_MS
  while (!String(await ask(port, ['INFO', 'replication'])).includes('state=online') && Date.now() < until)
    await sleep(50)
}

async function again<T>(call: () => Promise<T>): Promise<T> {
  const until = Date.now() + PATIENCE_MS
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (Date.now() > until) throw error
      await sleep(20)
    }
  }
}
