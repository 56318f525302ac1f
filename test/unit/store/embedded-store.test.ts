import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ControlEntry } from '../../../src/authority/cutoffs.ts'
import { newSessionId, type SessionId } from '../../../src/kernel/ids.ts'
import { EmbeddedAudit } from '../../../src/store/embedded-audit.ts'
import { EmbeddedDatabase } from '../../../src/store/embedded-database.ts'
import { openStore } from '../../../src/store/open-store.ts'
import { type ControlWrite, OutboxFull, type Store, StoreUnavailable } from '../../../src/store/ports.ts'

const START_MS = 1_800_000_000_000

let directory: string
let clock: { time: number; nowMs(): number }
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'errand-embedded-'))
  clock = { time: START_MS, nowMs: () => clock.time }
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const open = (org = 'acme'): Promise<Store> => openStore({ kind: 'embedded', directory, org, clock })
const cutoff = (id: string): ControlWrite => ({
  entry: 'cutoff',
  dimension: 'agent',
  id,
  expiresAtMs: START_MS + 60_000,
})

function commit(session: SessionId, id: string, expiresAtMs = START_MS + 1_000) {
  const operations = [{ operation: 'set', field: 'a', value: id }] as const
  return { session, id, checks: [], operations, expiresAtMs, audit: undefined }
}

describe('the clock of the caller', () => {
  it('decides expiry to the millisecond', async () => {
    const store = await open()
    const session = newSessionId()
    await store.sessions.commit(commit(session, '1'))
    expect(await store.claims.claim('k', 'a', START_MS + 1_000)).toBe(true)
    clock.time = START_MS + 999
    expect(await store.sessions.readAll(session)).toBeDefined()
    expect(await store.claims.claim('k', 'b', START_MS + 9_000)).toBe(false)
    clock.time = START_MS + 1_000
    expect(await store.sessions.readAll(session)).toBeUndefined()
    expect(await store.claims.claim('k', 'b', START_MS + 9_000)).toBe(true)
    await store.close()
  })

  it('lets a commit be repeated for ten minutes, and is the clock that ping answers', async () => {
    const store = await open()
    const session = newSessionId()
    const late = START_MS + 3_600_000
    await store.sessions.commit(commit(session, '1', late))
    clock.time = START_MS + 599_999
    expect(await store.sessions.commit(commit(session, '1', late))).toEqual({ committed: true, repeated: true })
    clock.time = START_MS + 600_000
    expect(await store.sessions.commit(commit(session, '1', late))).toEqual({ committed: true, repeated: false })
    expect(await store.ping()).toEqual({ nowMs: clock.time })
    await store.close()
  })

  it('set back does not lower the sequence, also after a restart', async () => {
    let store = await open()
    const first = await store.control.write([cutoff('a')], 0)
    expect(first).toEqual({ seq: START_MS, atMs: START_MS })
    const { epoch } = await store.control.snapshot()
    await store.close()
    clock.time = START_MS - 50_000
    store = await open()
    expect((await store.control.write([cutoff('b')], 0)).seq).toBe(first.seq + 1)
    const snapshot = await store.control.snapshot()
    expect(snapshot.epoch).toBe(epoch)
    expect(snapshot.entries.map((entry: ControlEntry) => entry.id).sort()).toEqual(['a', 'b'])
    await store.close()
  })
})

describe('the directory', () => {
  it('is readable by its owner only', async () => {
    const inner = join(directory, 'made', 'here')
    const store = await openStore({ kind: 'embedded', directory: inner, org: 'acme', clock })
    expect(statSync(inner).mode & 0o077).toBe(0)
    for (const name of ['errand.mdb', 'errand.mdb-lock', 'errand.lock']) {
      expect([name, statSync(join(inner, name)).mode & 0o077]).toEqual([name, 0])
    }
    await store.close()
  })

  it('of an unknown schema is refused, and opens again for those who know it', async () => {
    await (await open()).close()
    const database = new EmbeddedDatabase(directory, 'acme', clock)
    await database.write(() => database.put('schema', '99'))
    await database.close()
    await expect(open()).rejects.toThrow(/schema version 99/)
    await (await open('other')).close()
  })

  it('that cannot be used says which it is', async () => {
    const file = join(directory, 'a-file')
    writeFileSync(file, '')
    const failure: unknown = await openStore({
      kind: 'embedded',
      directory: join(file, 'below'),
      org: 'acme',
      clock,
    }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(StoreUnavailable)
    expect(String(failure)).toContain('a-file/below')
  })

  it('keeps the organisations in it apart', async () => {
    let store = await open('one')
    const session = newSessionId()
    await store.sessions.commit(commit(session, '1'))
    await store.control.write([cutoff('a')], 0)
    await store.close()
    store = await open('two')
    expect(await store.sessions.readAll(session)).toBeUndefined()
    expect((await store.control.snapshot()).entries).toEqual([])
    await store.close()
  })
})

describe('a closed store', () => {
  it('is unavailable for every operation, and never "not found"', async () => {
    const store = await open()
    await store.close()
    await store.close()
    const session = newSessionId()
    const calls: Record<string, () => Promise<unknown>> = {
      read: () => store.sessions.read(session, ['a']),
      readAll: () => store.sessions.readAll(session),
      commit: () => store.sessions.commit(commit(session, '1')),
      claim: () => store.claims.claim('k', 'n', START_MS + 1),
      write: () => store.control.write([], 0),
      snapshot: () => store.control.snapshot(),
      follow: () => store.control.follow({ snapshot() {}, written() {}, confirmed() {} }),
      append: () => store.audit.append('k', 'r'),
      appendStrangers: () => store.audit.appendStrangers('record'),
      content: () => store.audit.content('digest', session),
      usage: () => store.audit.usage(),
      pending: () => store.audit.pending(new Map(), 10),
      contentsIn: () => store.audit.contentsIn(store.audit.outboxes[0] ?? '', ['digest']),
      logHead: () => store.log.head(),
      logAppend: () => store.log.append('no head', 'head', [{ name: 'piece', add: Buffer.from('x') }]),
      logRead: () => store.log.read(['piece']),
      logRemove: () => store.log.remove(['piece']),
      latest: () => store.audit.latest(1),
      add: () => store.indexes.add('i', 'm', START_MS + 1),
      list: () => store.indexes.list('i', START_MS, 1),
      ping: () => store.ping(),
    }
    for (const [name, call] of Object.entries(calls)) {
      const failure: unknown = await call().catch((error: unknown) => error)
      expect([name, failure]).toEqual([name, expect.any(StoreUnavailable)])
    }
  })

  it('has performed what was under way when it closed', async () => {
    let store = await open()
    const sessions = Array.from({ length: 50 }, () => newSessionId())
    const commits = sessions.map((session) => store.sessions.commit(commit(session, '1')))
    await store.close()
    await Promise.all(commits)
    store = await open()
    for (const session of sessions) expect(await store.sessions.readAll(session)).toBeDefined()
    await store.close()
  })
})

describe('the database', () => {
  it('rolls a whole transaction back when a job throws after its first put, where LMDB alone would keep the puts', async () => {
    const database = new EmbeddedDatabase(directory, 'acme', clock)
    await database.write(() => database.put('before', 'here'))
    const results = await Promise.allSettled([
      database.write(() => database.put('a', 'one')),
      database.write(() => {
        database.put('b', 'half')
        throw new Error('after a put')
      }),
      database.write(() => database.put('c', 'three')),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    for (const result of results) expect(result).toHaveProperty('reason', expect.any(StoreUnavailable))
    expect(['before', 'a', 'b', 'c'].map((key) => database.get(key))).toEqual(['here', undefined, undefined, undefined])
    await database.write(() => database.put('c', 'again'))
    expect(database.get('c')).toBe('again')
    await database.close()
  })

  it('refuses a job alone that throws before its first put', async () => {
    const database = new EmbeddedDatabase(directory, 'acme', clock)
    const [first, faulty, last] = await Promise.allSettled([
      database.write(() => database.put('a', 'one')),
      database.write(() => {
        throw new RangeError('before any put')
      }),
      database.write(() => database.put('c', 'three')),
    ])
    expect([first?.status, faulty?.status, last?.status]).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(faulty).toHaveProperty('reason', expect.any(RangeError))
    expect([database.get('a'), database.get('c')]).toEqual(['one', 'three'])
    await database.close()
  })

  it('settles jobs in their order, each seeing what those before it wrote', async () => {
    const database = new EmbeddedDatabase(directory, 'acme', clock)
    const settled: number[] = []
    const count = () => {
      const next = Number(database.get('n') ?? 0) + 1
      database.put('n', String(next))
      return next
    }
    await Promise.all(Array.from({ length: 1_000 }, () => database.write(count, (n) => settled.push(n))))
    expect(settled).toEqual(Array.from({ length: 1_000 }, (_, n) => n + 1))
    await database.close()
  })

  it('sweeps all that has expired, in batches, leaves the rest, and follows an expiry that moved', async () => {
    const database = new EmbeddedDatabase(directory, 'acme', clock)
    const put = (key: string, expiresAtMs: number) => database.write(() => database.putExpiring(key, expiresAtMs, 'x'))
    const gone = Array.from({ length: 350 }, (_, n) => `gone:${String(n).padStart(60, '-')}`)
    await Promise.all(gone.map((key, n) => put(key, START_MS + 10 + n)))
    await put('moved', START_MS + 5)
    await put('moved', START_MS + 900_000)
    await put('stays', START_MS + 900_000)
    for (const at of [START_MS + 7, START_MS + 7, START_MS + 900_001]) {
      await database.write(() => database.putDated(`dated:${at}`, at, 'x'))
    }
    clock.time = START_MS + 10_000
    await database.write(() => undefined)
    const left = [...database.range('gone:')].length
    expect(left).toBeLessThanOrEqual(250)
    expect(left).toBeGreaterThan(200)
    for (let batch = 0; batch < 3; batch++) await database.write(() => undefined)
    expect([...database.range('')].map(({ key }) => key).filter((key) => !key.startsWith('expiries:'))).toEqual([
      'clock',
      `dated:${START_MS + 900_001}`,
      'moved',
      'stays',
    ])
    expect([...database.range('expiries:')].map(({ value }) => value)).toEqual([
      'moved',
      'stays',
      `dated:${START_MS + 900_001}`,
    ])
    await database.close()
  })

  describe('the lists of audit records', () => {
    const bounds = { recordsMax: 10, strangersMax: 4 }
    let database: EmbeddedDatabase
    let audit: EmbeddedAudit
    const reopen = async (): Promise<void> => {
      await database?.close()
      database = new EmbeddedDatabase(directory, 'acme', clock)
      audit = new EmbeddedAudit(database, bounds)
    }
    const records = async (limit = 100) => (await audit.latest(limit)).map((entry) => entry.record)
    beforeEach(reopen)
    afterEach(() => database.close())

    it('are held to their bounds over restarts: a full outbox refuses, and is read on where it was trimmed', async () => {
      for (let n = 0; n < 10; n++) await audit.append('', `r${n}`)
      await reopen()
      expect(await audit.usage()).toEqual({ records: 10, limit: 10 })
      await expect(audit.append('', 'r10')).rejects.toThrow(OutboxFull)
      const entries = (await audit.pending(new Map(), 100)).get('records') ?? []
      expect(entries.map(({ record }) => record)).toEqual(Array.from({ length: 10 }, (_, n) => `r${n}`))
      for (const { position } of [entries[3], entries[9]].flatMap((entry) => entry ?? [])) {
        await audit.trim('records', position)
        await reopen()
      }
      await audit.append('', 'r10')
      const cursors = new Map([['records', entries[9]?.position ?? '']])
      const [next] = (await audit.pending(cursors, 100)).get('records') ?? []
      expect(next?.record).toBe('r10')
      expect(await audit.usage()).toEqual({ records: 1, limit: 10 })
    })

    it('push out nothing of each other, and keep their common order over restarts', async () => {
      await audit.append('', 'first')
      for (let n = 0; n < 20; n++) await audit.appendStrangers(`s${n}`)
      await reopen()
      await audit.append('', 'second')
      await audit.appendStrangers('s20')
      expect(await records()).toEqual(['s20', 'second', 's19', 's18', 's17', 'first'])
      expect(await records(2)).toEqual(['s20', 'second'])
      expect(await audit.usage()).toEqual({ records: 2, limit: 10 })
    })

    it('order strangers last whose neighbours were trimmed', async () => {
      await audit.append('', 'gone')
      const [gone] = (await audit.pending(new Map(), 1)).get('records') ?? []
      await audit.appendStrangers('stays')
      await audit.trim('records', gone?.position ?? '')
      for (let n = 0; n < 10; n++) await audit.append('', `r${n}`)
      expect(await records()).toEqual([...Array.from({ length: 10 }, (_, n) => `r${9 - n}`), 'stays'])
    })
  })
})
