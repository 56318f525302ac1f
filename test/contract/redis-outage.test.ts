/** What only the Redis store can go through: outages, a full or wrongly configured server, gaps in the event stream. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { sha256 } from '../../src/kernel/digest.ts'
import { newSessionId } from '../../src/kernel/ids.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { STORE_DEADLINE_MS, STORE_WAITING_MAX } from '../../src/kernel/store-limits.ts'
import type { CommitOutcome } from '../../src/model/commit.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { freePort } from '../support/free-port.ts'
import { isBack, whenAvailable } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { startStoreProxy } from '../support/store-proxy.ts'
import { eventually, Recorder } from './control-contract.ts'
import { add, commitOf, HOUR_MS, set } from './store-contract.ts'

const cleanups: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(args: readonly string[] = []): Promise<RunningRedis> {
  const redis = await startRedis({ args })
  cleanups.push(() => redis.stop())
  return redis
}

async function open(redis: { readonly url: string }, org = 'acme'): Promise<Store> {
  const store = await openStore({ kind: 'redis', url: redis.url, org })
  cleanups.push(() => store.close())
  return store
}

function rawClient(redis: RunningRedis): Redis {
  const client = new Redis(redis.url)
  cleanups.push(() => client.disconnect())
  return client
}

const cutoff = (id: string) => ({ entry: 'cutoff', dimension: 'agent', id, expiresAtMs: Date.now() + HOUR_MS }) as const

const CONTENT = { digest: sha256('granted'), text: 'granted' }

/** By a deadline of its own; what is asked after that is not even sent. */
const LATE = new RegExp(`did not answer within ${STORE_DEADLINE_MS} ms|has stopped answering`)

/** Every operation of every port. */
function everyCall(store: Store): Record<string, () => Promise<unknown>> {
  const session = newSessionId()
  return {
    read: () => store.sessions.read(session, ['state']),
    readNothing: () => store.sessions.read(session, []),
    readAll: () => store.sessions.readAll(session),
    commit: () => store.sessions.commit(commitOf(session, [set('a', '1')], { contents: [CONTENT] })),
    claim: () => store.claims.claim('key', 'nonce', Date.now() + HOUR_MS),
    write: () => store.control.write([cutoff('a')], 0),
    snapshot: () => store.control.snapshot(),
    follow: () => store.control.follow(new Recorder()),
    append: () => store.audit.append('key', 'record'),
    appendStrangers: () => store.audit.appendStrangers('record'),
    content: () => store.audit.content('digest', session),
    usage: () => store.audit.usage(),
    pending: () => store.audit.pending(new Map(), 10),
    contentsIn: () => store.audit.contentsIn(store.audit.outboxes[0] ?? '', ['digest']),
    logHead: () => store.log.head(),
    logAppend: () => store.log.append('no head', 'head', [{ name: 'piece', add: Buffer.from('x') }]),
    logRead: () => store.log.read(['piece']),
    logRemove: () => store.log.remove(['piece']),
    latest: () => store.audit.latest(10),
    add: () => store.indexes.add('index', 'member', Date.now() + HOUR_MS),
    list: () => store.indexes.list('index', Date.now(), 10),
    ping: () => store.ping(),
  }
}

/** @returns what each of them has said */
async function allFail(store: Store, calls = everyCall(store)): Promise<Readonly<Record<string, string>>> {
  const results = await Promise.allSettled(Object.values(calls).map((call) => call()))
  const said: Record<string, string> = {}
  for (const [index, name] of Object.keys(calls).entries()) {
    const result = results[index]
    const reason: unknown = result?.status === 'rejected' && result.reason
    expect([name, reason]).toEqual([name, expect.any(StoreUnavailable)])
    said[name] = String(reason)
  }
  return said
}

describe('an outage', () => {
  it('makes every operation say "unavailable", never "not found", and ends by itself when the server is back', async () => {
    const redis = await start()
    const store = await open(redis)
    await redis.kill()
    await allFail(store)

    const again = await startRedis({ port: redis.port })
    cleanups.push(() => again.stop())
    for (const [name, call] of Object.entries(everyCall(store))) {
      const answer = () =>
        call().then(
          () => 'answers',
          () => 'fails',
        )
      await expect.poll(async () => [name, await answer()]).toEqual([name, 'answers'])
    }
  })

  it('in the middle of commits leaves each of them acknowledged or unknown, all of them soon', async () => {
    const redis = await start()
    const store = await open(redis)
    const session = newSessionId()
    const pending = Array.from({ length: 300 }, () => store.sessions.commit(commitOf(session, [add('n', 1)])))
    const settled = Promise.allSettled(pending)
    const from = Date.now()
    await redis.kill()
    for (const result of await settled) {
      if (result.status === 'fulfilled') expect(result.value).toEqual({ committed: true, repeated: false })
      else expect(result.reason).toBeInstanceOf(StoreUnavailable)
    }
    expect(Date.now() - from).toBeLessThan(STORE_DEADLINE_MS * 5)
  })

  it('performs nothing later: what failed while the server was away is not sent when it is back', async () => {
    const redis = await start()
    const store = await open(redis)
    await redis.kill()
    const sessions = Array.from({ length: 40 }, () => newSessionId())
    for (const session of sessions) {
      await expect(store.sessions.commit(commitOf(session, [set('a', '1')]))).rejects.toThrow(StoreUnavailable)
      await sleep(5)
    }
    const again = await startRedis({ port: redis.port })
    cleanups.push(() => again.stop())
    await eventuallyAnswers(store)
    await sleep(100)
    for (const session of sessions) expect(await whenAvailable(() => store.sessions.readAll(session))).toBeUndefined()
  })

  it('without a closed connection (a server that hangs) ends every call at its deadline', async () => {
    const redis = await start()
    const store = await open(redis)
    redis.pause()
    const from = Date.now()
    const { follow, ...others } = everyCall(store)
    const said = await allFail(store, others)
    // Not by the silence of the socket: on a connection that still carries anything, that is noticed by nobody.
    for (const [name, why] of Object.entries(said)) expect([name, why]).toEqual([name, expect.stringMatching(LATE)])
    expect(Date.now() - from).toBeLessThan(STORE_DEADLINE_MS * 4)
    expect(Date.now() - from).toBeGreaterThanOrEqual(STORE_DEADLINE_MS - 5)
    await expect(follow?.()).rejects.toThrow(StoreUnavailable)
    redis.resume()
    await eventuallyAnswers(store)
  })

  it('piles nothing up: so many calls wait, further ones are refused at once, and then nothing is sent but a probe', async () => {
    const redis = await start()
    const proxy = await startStoreProxy(redis)
    cleanups.push(() => proxy.close())
    const store = await open(proxy)
    redis.pause()
    const first = Array.from({ length: STORE_WAITING_MAX }, () => store.audit.append('key', 'record'))
    let isLate = false
    for (const call of first) call.catch(() => (isLate = true))
    const settled = Promise.allSettled(first)
    // At once, however slow the machine: before the deadline of any of those that wait.
    const refusal = await store.audit.append('key', 'one more').catch((error: unknown) => error)
    expect([isLate, String(refusal)]).toEqual([false, expect.stringContaining('are waiting for Redis already')])
    expect(new Set((await settled).map(({ status }) => status))).toEqual(new Set(['rejected']))
    const sent = proxy.received
    // All in one turn: the connection, too, is given up after a while, and then says something else.
    const refusals = await Promise.all(
      Array.from({ length: 1_000 }, () => store.audit.append('key', 'refused'.repeat(9)).catch(String)),
    )
    expect([...new Set(refusals)]).toEqual([expect.stringContaining('has stopped answering')])
    await sleep(50)
    expect(proxy.received - sent).toBeLessThan(1_000)
    redis.resume()
    await eventuallyAnswers(store)
    const latest = await whenAvailable(() => store.audit.latest(10))
    expect(latest.map(({ record }) => record)).not.toContain('refused'.repeat(9))
  })

  it('leaves a commit that was told "unknown" repeatable: its effect is there once', async () => {
    const redis = await start()
    const store = await open(redis)
    const session = newSessionId()
    const commit = commitOf(session, [add('n', 1)], { audit: 'one' })
    redis.pause()
    await expect(store.sessions.commit(commit)).rejects.toThrow(StoreUnavailable)
    redis.resume()
    await eventuallyAnswers(store)
    const outcome: CommitOutcome = await whenAvailable(() => store.sessions.commit(commit))
    expect(outcome.committed).toBe(true)
    expect((await whenAvailable(() => store.sessions.readAll(session)))?.get('n')).toBe('1')
    expect(await whenAvailable(() => store.audit.latest(10))).toHaveLength(1)
  })

  it('shows in nothing but staleness to a follower, who then takes a snapshot of the new epoch and goes on', async () => {
    const redis = await start()
    const store = await open(redis)
    const recorder = new Recorder()
    await store.control.follow(recorder)
    await redis.kill()
    await sleep(300)
    const told = recorder.confirmations.length
    await sleep(700)
    expect(recorder.confirmations).toHaveLength(told)

    const again = await startRedis({ port: redis.port })
    cleanups.push(() => again.stop())
    await eventually('a snapshot of the new server', () => recorder.snapshots.length > 1)
    expect(recorder.snapshots.at(-1)?.epoch).not.toBe(recorder.snapshots[0]?.epoch)
    await eventuallyAnswers(store)
    const { seq } = await whenAvailable(() => store.control.write([cutoff('after')], 0))
    await eventually('the write after it', () => idsTold(recorder).includes('after'))
    await eventually('confirmed again', () => recorder.confirmedSeq >= seq)
  })

  it('by hanging confirms nothing either, and what was written meanwhile arrives', async () => {
    const redis = await start()
    const [store, other] = [await open(redis), await open(redis)]
    const recorder = new Recorder()
    await store.control.follow(recorder)
    redis.pause()
    await sleep(100)
    const told = recorder.confirmations.length
    await sleep(1_500)
    expect(recorder.confirmations).toHaveLength(told)
    redis.resume()
    await eventuallyAnswers(other)
    const { seq } = await whenAvailable(() => other.control.write([cutoff('meanwhile')], 0))
    await eventually('confirmed again', () => recorder.confirmedSeq >= seq)
    expect(idsTold(recorder)).toContain('meanwhile')
  })

  it('shows nobody what the command carried: errors hold the message of the server only', async () => {
    const redis = await start()
    const store = await open(redis)
    const client = rawClient(redis)
    const session = newSessionId()
    // A key of another type: the server refuses, and ioredis would hang the arguments on its error.
    await store.sessions.commit(commitOf(session, [set('a', '1')]))
    const [key = ''] = await client.keys('*:session:*')
    await client.set(key, 'not a hash')
    const refused = store.sessions.commit(commitOf(session, [set('a', 'PRIVATE')], { audit: 'PRIVATE' }))
    const error: unknown = await refused.catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(StoreUnavailable)
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('PRIVATE')
  })
})

/** As an event, or in a snapshot that a follower took which a busy machine kept waiting. */
function idsTold({ snapshots, events }: Recorder): readonly string[] {
  return [...snapshots, ...events].flatMap(({ entries }) => entries.map(({ id }) => id))
}

async function eventuallyAnswers(store: Store): Promise<void> {
  await expect.poll(() => isBack(store)).toBe(true)
}

describe('opening', () => {
  it('says so when nobody is there', async () => {
    const url = `redis://127.0.0.1:${await freePort()}`
    const from = Date.now()
    await expect(openStore({ kind: 'redis', url, org: 'acme' })).rejects.toThrow(/not ready.*ECONNREFUSED/)
    expect(Date.now() - from).toBeLessThan(8_000)
  })

  it('refuses a wrong password without saying it, and takes the right one from a Secret', async () => {
    const redis = await start(['--requirepass', 'right-one'])
    const at = (password: string) => new Secret(`redis://:${password}@127.0.0.1:${redis.port}`)
    const error: unknown = await openStore({ kind: 'redis', url: at('wrong-one'), org: 'acme' }).catch(
      (caught) => caught,
    )
    expect(error).toBeInstanceOf(StoreUnavailable)
    expect(String(error)).toMatch(/WRONGPASS|invalid/i)
    expect(inspect(error, { depth: 9 })).not.toContain('wrong-one')
    const store = await openStore({ kind: 'redis', url: at('right-one'), org: 'acme' })
    expect((await store.ping()).nowMs).toBeGreaterThan(0)
    await store.close()
  })

  it.each(['allkeys-lru', 'volatile-ttl'])('refuses a server that may evict a cut-off: %s', async (policy) => {
    const redis = await start(['--maxmemory', '64mb', '--maxmemory-policy', policy])
    await expect(openStore({ kind: 'redis', url: redis.url, org: 'acme' })).rejects.toThrow(/noeviction/)
  })

  it('refuses a schema it does not know, and leaves it as it is', async () => {
    const redis = await start()
    const client = rawClient(redis)
    await client.set('{control}:acme:schema', '99')
    await expect(openStore({ kind: 'redis', url: redis.url, org: 'acme' })).rejects.toThrow(/schema version 99/)
    expect(await client.get('{control}:acme:schema')).toBe('99')
  })

  it.each([
    '',
    'a:b',
    'a}b',
    '{a',
    'A',
    'a b',
    'a'.repeat(65),
  ])('refuses an organisation that could bend a key: "%s"', async (org) => {
    await expect(openStore({ kind: 'redis', url: 'redis://127.0.0.1:1', org })).rejects.toThrow(TypeError)
  })

  it('refuses a URL that is not of Redis', async () => {
    await expect(openStore({ kind: 'redis', url: 'http://127.0.0.1', org: 'acme' })).rejects.toThrow(TypeError)
  })
})

describe('the server', () => {
  it('holds every key under a slot and the organisation, and every key that may end has an end', async () => {
    const redis = await start()
    const store = await open(redis)
    for (const call of Object.values(everyCall(store))) await call()
    const client = rawClient(redis)
    const keys = await client.keys('*')
    expect(keys.length).toBeGreaterThan(6)
    for (const key of keys) {
      expect(key).toMatch(/^\{(s[0-9]{1,2}|control|strangers)\}:acme:/)
      const lasting = /:(outbox|contents|contents-age|schema|seq|entries|expiries|events|mark)$/.test(key)
      expect([key, (await client.pttl(key)) > 0]).toEqual([key, !lasting])
    }
    const other = await open(redis, 'other')
    expect(await other.audit.latest(10)).toEqual([])
    expect((await other.control.snapshot()).entries).toEqual([])
    expect(await other.claims.claim('key', 'another nonce', Date.now() + HOUR_MS)).toBe(true)
  })

  it('may forget its scripts at any time', async () => {
    const redis = await start()
    const store = await open(redis)
    const client = rawClient(redis)
    const session = newSessionId()
    for (let n = 0; n < 20; n++) {
      const commits = Array.from({ length: 10 }, () => store.sessions.commit(commitOf(session, [add('n', 1)])))
      await Promise.all([client.script('FLUSH'), ...commits])
    }
    expect((await store.sessions.readAll(session))?.get('n')).toBe('200')
  })

  it('that is out of memory takes no commit, writes nothing of one, and still revokes', async () => {
    const redis = await start()
    const store = await open(redis)
    const client = rawClient(redis)
    const session = newSessionId()
    await store.sessions.commit(commitOf(session, [set('a', '1')]))
    await client.config('SET', 'maxmemory', '1')
    await expect(store.sessions.commit(commitOf(session, [set('a', '2')]))).rejects.toThrow(StoreUnavailable)
    await expect(store.claims.claim(randomUUID(), 'n', Date.now() + HOUR_MS)).rejects.toThrow(StoreUnavailable)
    const { seq } = await store.control.write([cutoff('at OOM')], 0)
    expect(await store.control.snapshot()).toMatchObject({ seq, entries: [{ id: 'at OOM' }] })
    expect((await store.sessions.readAll(session))?.get('a')).toBe('1')
  })
})

describe('a gap in the event stream', () => {
  it.each([
    ['events trimmed away', (client: Redis) => client.set('{control}:acme:seq', String(Date.now() * 2))],
    [
      'an event whose predecessor was never seen',
      (client: Redis) => {
        const seq = String(Date.now() * 2)
        const events = '{control}:acme:events'
        return client.multi().set('{control}:acme:seq', seq).xadd(events, `${seq}-0`, 'prev', '77').exec()
      },
    ],
    ['a sequence that went backwards', (client: Redis) => client.set('{control}:acme:seq', '5')],
  ])('is noticed and leads to a new snapshot: %s', async (_, tamper) => {
    const redis = await start()
    const store = await open(redis)
    const recorder = new Recorder()
    await store.control.write([cutoff('before')], 0)
    await store.control.follow(recorder)
    await tamper(rawClient(redis))
    await eventually('a second snapshot', () => recorder.snapshots.length > 1)
    expect(recorder.snapshots[1]?.entries.map((entry) => entry.id)).toEqual(['before'])
    expect(recorder.events).toEqual([])
  })
})
