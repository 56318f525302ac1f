/**
 * The log and the outboxes behind it, where a Redis is full, dies or comes back without its last writes (H73): nothing is
 * half-written, no record is passed over whatever a server's clock says, and what was trimmed is not taken for lost. One that does
 * not answer: `redis-outboxes-late`.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openStore } from '../../src/store/open-store.ts'
import { type OutboxEntry, type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { readOn } from '../contract/log-contract.ts'
import { freePort } from '../support/free-port.ts'
import { isBack } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { eventually } from '../support/redis-replicas.ts'
import { after, expectWhole, pieces } from './log-appends.ts'

vi.mock('../../src/kernel/store-limits.ts', async (original) =>
  (await import('../support/patient-limits.ts')).patientLimits(original),
)

const PERSISTENT = ['--appendonly', 'yes', '--appendfsync', 'always']
/** Of the outbox that all is written to here. */
const KEY = 'one'

let dir: string
let port: number
let redis: RunningRedis
let client: Redis
let stores: Store[]
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'errand-outboxes-'))
  port = await freePort()
  redis = await startRedis({ dir, port, args: PERSISTENT })
  client = new Redis(redis.url)
  client.on('error', () => undefined)
  stores = []
})
afterEach(async () => {
  for (const store of stores) await store.close()
  client.disconnect()
  await redis.stop()
  for (const one of [dir, `${dir}-copy`]) rmSync(one, { recursive: true, force: true })
})

async function open(url = redis.url): Promise<Store> {
  const store = await openStore({ kind: 'redis', url, org: 'acme' })
  stores.push(store)
  return store
}

const append = (store: Store, ...records: readonly string[]) =>
  records.reduce((before, record) => before.then(() => store.audit.append(KEY, record)), Promise.resolve())
const texts = (entries: readonly OutboxEntry[]) => entries.map(({ record }) => record)
const stream = async () => (await client.keys('{s*}:acme:outbox'))[0] ?? ''
const isCutOff = async (store: Store) =>
  (await store.control.snapshot()).entries.some((entry) => entry.entry === 'cutoff' && entry.dimension === 'shard')

/** Kept of the server as it is now, for `comeBackWithout`. */
function keep(): void {
  cpSync(join(dir, 'appendonlydir'), `${dir}-copy`, { recursive: true })
}

async function comeBackWithout(): Promise<void> {
  await redis.kill()
  rmSync(join(dir, 'appendonlydir'), { recursive: true })
  cpSync(`${dir}-copy`, join(dir, 'appendonlydir'), { recursive: true })
}

/** Writes as a broker does, at an id of its own: what a server gives out whose clock says so. */
const writeAt = async (id: string, record: string) =>
  client.xadd(await stream(), id, 'record', record, 'name', `other.${id}`)

test('what a broker has written itself is not sent to it again; what others have written is', async () => {
  const [store, other] = [await open(), await open()]
  await append(store, 'mine 1')
  await append(other, 'theirs')
  await append(store, 'mine 2')
  const asked: string[] = []
  const known = (outbox: string, position: string) => {
    asked.push(outbox)
    return `remembered at ${position}`
  }
  const [entries = []] = [...(await store.audit.pending(new Map(), 10, known)).values()]
  const remembered = ({ position }: OutboxEntry) => `remembered at ${position}`
  expect(texts(entries)).toEqual(entries.map((entry, n) => (n === 1 ? 'theirs' : remembered(entry))))
  expect(asked).toHaveLength(2)
  const [theirs = []] = [...(await other.audit.pending(new Map(), 10, known)).values()]
  expect(texts(theirs)[0]).toBe('mine 1')
})

test('one server in cluster mode, which refuses keys of several slots, is read on all the same', async () => {
  const clustered = await startRedis({ args: ['--cluster-enabled', 'yes'] })
  try {
    const admin = new Redis(clustered.url)
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
    await eventually('it serves', async () => String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
    admin.disconnect()
    const store = await open(clustered.url)
    await append(store, 'one', 'two')
    const cursors = new Map<string, string>()
    expect(texts(await readOn(store, cursors))).toEqual(['one', 'two'])
    await append(store, 'three')
    expect(texts(await readOn(store, cursors))).toEqual(['three'])
    await store.close()
  } finally {
    await clustered.stop()
  }
})

describe('a server that has come back without its last writes, and whose clock is behind', () => {
  /** The clock of the server that was lost was an hour ahead. */
  const ahead = Date.now() + 3_600_000

  async function lost(): Promise<{ readonly store: Store; readonly cursors: Map<string, string> }> {
    const store = await open()
    await append(store, 'kept 1', 'kept 2')
    keep()
    await writeAt(`${ahead}-0`, 'lost 1')
    await append(store, 'lost 2')
    const cursors = new Map<string, string>()
    expect(texts(await readOn(store, cursors))).toEqual(['kept 1', 'kept 2', 'lost 1', 'lost 2'])
    await comeBackWithout()
    redis = await redis.again()
    await eventually('it answers', () => isBack(store))
    return { store, cursors }
  }

  test('gives out lower positions, and none of them is passed over', async () => {
    const { store, cursors } = await lost()
    await append(store, 'new 1')
    const [[outbox = '', entries = []] = []] = [...(await store.audit.pending(cursors, 100))]
    expect(texts(entries)).toEqual(['kept 1', 'kept 2', 'new 1'])
    // It really is below: who only asked for what is behind the cursor would never see it.
    expect((entries.at(-1)?.position ?? '') < (cursors.get(outbox) ?? '')).toBe(true)
    expect(entries.every(({ again }) => again === true)).toBe(true)
    cursors.set(outbox, entries.at(-1)?.position ?? '')
    expect(await readOn(store, cursors)).toEqual([])
    await append(store, 'new 2')
    const next = await readOn(store, cursors)
    expect(next.map(({ record, again }) => [record, again])).toEqual([['new 2', undefined]])
  })

  test('gives out the very position that was read last, and the record there is not passed over either', async () => {
    const { store, cursors } = await lost()
    const [[outbox = '', cursor = ''] = []] = [...cursors]
    const id = cursor.split('-').slice(0, 2).map(Number).join('-')
    await writeAt(id, 'another at this place')
    await append(store, 'behind it')
    const entries = (await store.audit.pending(cursors, 100)).get(outbox) ?? []
    expect(texts(entries)).toEqual(['kept 1', 'kept 2', 'another at this place', 'behind it'])
    expect(entries.every(({ again }) => again === true)).toBe(true)
    expect(entries.map(({ position }) => position)).not.toContain(cursor)
  })

  test('is not trimmed by a position that it does not know', async () => {
    const { store, cursors } = await lost()
    const [[outbox = '', cursor = ''] = []] = [...cursors]
    await append(store, 'new 1')
    expect(await store.audit.trim(outbox, cursor)).toBe(false)
    expect(texts(await readOn(store, new Map()))).toEqual(['kept 1', 'kept 2', 'new 1'])
  })

  test('that has lost a trimming, too, has what was trimmed once more, and goes on behind the cursor', async () => {
    const store = await open()
    await append(store, 'a', 'b', 'c')
    keep()
    const cursors = new Map<string, string>()
    const entries = await readOn(store, cursors)
    const [[outbox = '', cursor = ''] = []] = [...cursors]
    await store.audit.trim(outbox, entries[1]?.position ?? '')
    await comeBackWithout()
    redis = await redis.again()
    await eventually('it answers', () => isBack(store))
    await append(store, 'd')
    expect(texts(await readOn(store, new Map([[outbox, cursor]])))).toEqual(['d'])
    expect(texts(await readOn(store, new Map()))).toEqual(['a', 'b', 'c', 'd'])
  })
})

describe('a broker whose last record has been trimmed', () => {
  test('takes nothing for lost when its server comes back with all it had', async () => {
    const store = await open()
    await append(store, 'a', 'b')
    const cursors = new Map<string, string>()
    await readOn(store, cursors)
    for (const [outbox, upTo] of cursors) await store.audit.trim(outbox, upTo)
    await redis.kill()
    redis = await redis.again()
    await eventually('it answers', () => isBack(store))
    expect(await isCutOff(store)).toBe(false)
    expect(await readOn(store, cursors)).toEqual([])
    await append(store, 'c')
    expect(texts(await readOn(store, cursors))).toEqual(['c'])
  })

  test('finds that it was lost, though others have trimmed beyond its place', async () => {
    const store = await open()
    await append(store, 'kept')
    keep()
    await append(store, 'lost')
    await comeBackWithout()
    // Where the first broker does not look meanwhile.
    const elsewhere = await startRedis({ dir, args: PERSISTENT })
    const other = await open(elsewhere.url)
    await append(other, 'later')
    const cursors = new Map<string, string>()
    expect(texts(await readOn(other, cursors))).toEqual(['kept', 'later'])
    for (const [outbox, upTo] of cursors) await other.audit.trim(outbox, upTo)
    expect(await isCutOff(other)).toBe(false)
    await elsewhere.kill()
    redis = await redis.again()
    await eventually('it answers', () => isBack(store))
    expect(await isCutOff(store)).toBe(true)
  })
})

describe('an append to the log', () => {
  test('at a server that is killed again and again is there whole or not at all, and stays once it was answered', async () => {
    const store = await open()
    let answered = 0
    for (let kill = 0; kill < 4; kill++) {
      const dying = sleep(60 + 30 * kill).then(() => redis.kill())
      try {
        for (let n = answered; ; n++) {
          expect(await store.log.append(after(n), String(n + 1), pieces(n + 1))).toBe(true)
          answered = n + 1
        }
      } catch (error) {
        expect(error).toBeInstanceOf(StoreUnavailable)
      }
      await dying
      redis = await redis.again()
      await eventually('it answers', () => isBack(store))
      const head = await expectWhole(store)
      expect([answered, answered + 1]).toContain(head)
      answered = head
    }
    expect(answered).toBeGreaterThan(4)
  })

  test('at a server that is out of memory writes nothing; trimming makes room all the same', async () => {
    const store = await open()
    await append(store, 'a', 'b')
    await store.log.append(undefined, '1', pieces(1))
    const cursors = new Map<string, string>()
    await readOn(store, cursors)
    await client.config('SET', 'maxmemory', '1')
    await expect(store.log.append('1', '2', pieces(2))).rejects.toThrow(StoreUnavailable)
    await expect(append(store, 'c')).rejects.toThrow(StoreUnavailable)
    for (const [outbox, upTo] of cursors) await store.audit.trim(outbox, upTo)
    expect(await readOn(store, new Map())).toEqual([])
    expect(await expectWhole(store)).toBe(1)
    await client.config('SET', 'maxmemory', '0')
    expect(await store.log.append('1', '2', pieces(2))).toBe(true)
    expect(await expectWhole(store)).toBe(2)
  })
})
