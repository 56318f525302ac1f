/** What a session takes of a real Redis, and how: a million of them must fit. */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type NodeId, newJti, newNodeId, newSessionId, type SessionId } from '../../src/kernel/ids.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { encodeFacts, encodeNode } from '../../src/sessions/record-text.ts'
import { openSession } from '../../src/sessions/session-commits.ts'
import { COMMIT_REPEAT_MS } from '../../src/store/bounds.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { child, nodeFacts, sessionFacts } from '../unit/sessions/fixtures.ts'

vi.mock('../../src/kernel/store-limits.ts', async (original) =>
  (await import('../support/patient-limits.ts')).patientLimits(original),
)

const HOUR_MS = 3_600_000
const BYTES_PER_SESSION_MAX = 1_024

let server: RunningRedis
let redis: Redis
let store: Store

beforeAll(async () => {
  server = await startRedis()
  redis = new Redis(server.url)
  store = await openStore({ kind: 'redis', url: new Secret(server.url), org: 'default' })
})
afterAll(async () => {
  await store.close()
  redis.disconnect()
  await server.stop()
})

const keyOf = async (session: string) => (await redis.keys(`*:session:${session}`))[0] ?? ''
const encodingOf = async (session: string) => redis.object('ENCODING', await keyOf(session))
const usedBytes = async () => Number(/used_memory:([0-9]+)/.exec(await redis.info('memory'))?.[1])

/** A session of somebody's, as a flow opens it: one authority for it and its first node. */
function opening(session = newSessionId(), id: NodeId = newNodeId()) {
  const root = nodeFacts({ id })
  const facts = sessionFacts({ id: session, rootNode: id, ceiling: root.authority, intentSalt: newJti() })
  return { facts, root, change: openSession(facts, root, false) }
}

async function open(session = newSessionId(), expiresAtMs = Date.now() + HOUR_MS): Promise<SessionId> {
  const { change } = opening(session)
  await store.sessions.commit({
    session,
    id: newJti(),
    checks: change.checks.map(({ check }) => check),
    operations: change.operations,
    expiresAtMs,
    audit: undefined,
  })
  return session
}

describe('a session of one node', () => {
  test('takes a kilobyte at most, with the three lists it is in', async () => {
    const count = 1_000
    await Promise.all(Array.from({ length: 20 }, () => open()))
    const before = await usedBytes()
    for (let opened = 0; opened < count; opened += 20) {
      const sessions = await Promise.all(Array.from({ length: 20 }, () => open()))
      const lists = ['sessions:all', `sessions:agent:${opened % 7}`, `sessions:user:corp:${opened % 9}`]
      const entries = sessions.flatMap((one) => lists.map((list) => store.indexes.add(list, one, Date.now() + HOUR_MS)))
      await Promise.all(entries)
    }
    expect(((await usedBytes()) - before) / count).toBeLessThan(BYTES_PER_SESSION_MAX)
  })

  test('is one block of memory, also when another node has come to it', async () => {
    const { facts, root, change } = opening()
    const commit = (operations: (typeof change)['operations']) =>
      store.sessions.commit({
        session: facts.id,
        id: newJti(),
        checks: [],
        operations,
        expiresAtMs: Date.now() + HOUR_MS,
        audit: undefined,
      })
    await commit(change.operations)
    expect(await encodingOf(facts.id)).toBe('listpack')
    const node = encodeNode(child({ parent: root.id, purpose: 'p'.repeat(512) }), facts.intentSalt)
    await commit([{ operation: 'set', field: 'd:jti_child', value: node }])
    expect(await encodingOf(facts.id)).toBe('listpack')
    const fields = await store.sessions.readAll(facts.id)
    expect(fields?.get('d:jti_child')).toBe(node)
    expect(fields?.get('facts')).toBe(encodeFacts(facts, root))
  })

  test('gives back what a longer value took when a shorter one takes its place', async () => {
    const session = newSessionId()
    const set = (value: string) =>
      store.sessions.commit({
        session,
        id: newJti(),
        checks: [],
        operations: [{ operation: 'set', field: 'f', value }],
        expiresAtMs: Date.now() + HOUR_MS,
        audit: undefined,
      })
    await set('short')
    const few = await redis.hlen(await keyOf(session))
    for (const value of ['x'.repeat(1_000), 'y'.repeat(200), 'z'.repeat(3_000), 'short']) {
      await set(value)
      expect(await store.sessions.read(session, ['f'])).toEqual(new Map([['f', value]]))
    }
    // One more than before: the number of the next piece.
    expect(await redis.hlen(await keyOf(session))).toBe(few + 1)
  })
})

describe('the commit that began a session', () => {
  test('is remembered in it, and is one of a kind all the same', async () => {
    const session = newSessionId()
    const once = {
      session,
      id: 'one',
      checks: [],
      operations: [{ operation: 'increment', field: 'n', by: 1 }],
      expiresAtMs: Date.now() + HOUR_MS,
      audit: undefined,
    } as const
    expect(await store.sessions.commit(once)).toEqual({ committed: true, repeated: false })
    expect(await store.sessions.commit(once)).toEqual({ committed: true, repeated: true })
    expect(await redis.keys(`*:commit:${session}:*`)).toEqual([])
    expect(await store.sessions.commit({ ...once, id: 'two' })).toEqual({ committed: true, repeated: false })
    expect(await store.sessions.commit({ ...once, id: 'two' })).toEqual({ committed: true, repeated: true })
    expect(await redis.keys(`*:commit:${session}:*`)).toHaveLength(1)
    expect(await store.sessions.readAll(session)).toEqual(new Map([['n', '2']]))
  })

  test('is remembered beside it where it would be forgotten with the session before anybody stops asking', async () => {
    const session = await open(newSessionId(), Date.now() + COMMIT_REPEAT_MS - 1_000)
    expect(await redis.keys(`*:commit:${session}:*`)).toHaveLength(1)
  })

  test('that wrote nothing leaves no record behind, only that it was made', async () => {
    const session = newSessionId()
    const fence = {
      session,
      id: 'fence',
      checks: [],
      operations: [],
      expiresAtMs: Date.now() + HOUR_MS,
      audit: undefined,
    }
    await store.sessions.commit(fence)
    expect(await store.sessions.readAll(session)).toBeUndefined()
    expect(await store.sessions.commit(fence)).toEqual({ committed: true, repeated: true })
  })
})

describe('a list', () => {
  const lengthOf = async (index: string) => redis.llen((await redis.keys(`*:index:${index}`))[0] ?? '')

  test('forgets those that are over, also behind one that lives on and on', async () => {
    const soon = Date.now() + 150
    await store.indexes.add('mixed', 'lasting', Date.now() + HOUR_MS)
    await Promise.all(Array.from({ length: 300 }, (_, n) => store.indexes.add('mixed', `brief-${n}`, soon)))
    await new Promise((resolve) => setTimeout(resolve, 200))
    for (const late of ['one', 'two', 'three', 'four']) await store.indexes.add('mixed', late, Date.now() + HOUR_MS)
    expect(await lengthOf('mixed')).toBeLessThan(10)
    const left = await store.indexes.list('mixed', Date.now(), 100)
    expect(new Set(left)).toEqual(new Set(['lasting', 'one', 'two', 'three', 'four']))
  })

  test('goes when its last member does', async () => {
    const now = Date.now()
    await store.indexes.add('passing', 'a', now + 60_000)
    await store.indexes.add('passing', 'b', now + 120_000)
    await store.indexes.add('passing', 'c', now + 30_000)
    expect(await store.indexes.list('passing', now + 90_000, 9)).toEqual(['b'])
    const [key = ''] = await redis.keys('*:index:passing')
    expect(await redis.call('PEXPIRETIME', key)).toBe(now + 120_000)
  })

  test('of thousands shows those that came last, and knows no more than it holds', async () => {
    const at = Date.now() + HOUR_MS
    await Promise.all(Array.from({ length: 5_000 }, (_, n) => store.indexes.add('long', `m${n}`, at + n)))
    expect(await store.indexes.list('long', Date.now(), 3)).toEqual(['m4999', 'm4998', 'm4997'])
    expect(await lengthOf('long')).toBe(5_000)
  })
})
