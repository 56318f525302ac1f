import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fingerprint } from '../../../../src/audit/log/columns.ts'
import { CHUNK_RECORDS, columnPiece, recordsPiece } from '../../../../src/audit/log/layout.ts'
import { LogTrail } from '../../../../src/audit/trail/log-trail.ts'
import { systemTicks } from '../../../../src/kernel/clock.ts'
import { sha256 } from '../../../../src/kernel/digest.ts'
import type { AuditRecord } from '../../../../src/model/audit-record.ts'
import type { LogStore, Store } from '../../../../src/store/ports.ts'
import { prune, sequence } from '../../../support/log-filling.ts'
import { HandClock, reasonOf, type TestStore, testStore } from '../../sessions/fixtures.ts'

const clock = new HandClock()
let held: TestStore
let store: Store
let trail: LogTrail
let made = 0
beforeEach(async () => {
  held = await testStore(clock)
  store = held.store
  made = 0
  trail = trailOver({})
})
afterEach(() => held.close())

function trailOver(over: Partial<ConstructorParameters<typeof LogTrail>[0]>): LogTrail {
  const { audit, log } = store
  return new LogTrail({ audit, log, ticks: systemTicks, sequence: async () => void (await sequence(store)), ...over })
}

/** Each a second later than the one before it. */
function recordOf(over: Partial<AuditRecord> = {}): AuditRecord {
  const n = made++
  const at = new Date(clock.nowMs() + 1000 * n).toISOString()
  return { id: `dec_${n}`, at, event: 'token.continue', outcome: 'granted', by: 'agent:a', by_class: 'agent', ...over }
}

async function append(...records: readonly Partial<AuditRecord>[]): Promise<void> {
  for (const over of records) await store.audit.append('key', JSON.stringify(recordOf(over)))
}
const many = (count: number, over: Partial<AuditRecord> = {}) => append(...Array.from({ length: count }, () => over))

type Filter = Parameters<LogTrail['page']>[0]
async function found(filter: Filter, limit = 50, after?: string) {
  const { entries } = await trail.page(filter, limit, after)
  return entries.map(({ record, index }) => [record.id, index])
}

describe('a page', () => {
  test('has what is not in the log yet above what is', async () => {
    await many(3)
    await sequence(store)
    await many(2)
    expect(await found({})).toEqual([
      ['dec_4', undefined],
      ['dec_3', undefined],
      ['dec_2', 2],
      ['dec_1', 1],
      ['dec_0', 0],
    ])
  })

  test('finds a name that a record was too long for by its digest: whoever asks knows the name alone', async () => {
    const [agent, alice] = ['a'.repeat(128), `user:corp:${'alice.'.repeat(20)}`]
    const digest = (name: string) => `sha256:${sha256(name)}`
    await append({ agent: { id: digest(agent) } }, { user: { id: digest(alice) } }, { by: digest(`agent:${agent}`) })
    await append({ agent: { id: 'short' } }, { tool: digest('short') })
    for (const turn of ['not sequenced', 'sequenced']) {
      if (turn === 'sequenced') await sequence(store)
      const ids = async (filter: Filter) => (await found(filter)).map(([id]) => id)
      expect(await ids({ agent })).toEqual(['dec_0'])
      expect(await ids({ user: [alice, 'user:corp:bob'] })).toEqual(['dec_1'])
      expect(await ids({ by: `agent:${agent}` })).toEqual(['dec_2'])
      // A short one is never named so.
      expect(await ids({ tool: 'short' })).toEqual([])
    }
  })

  test('of one moment has what came last first, wherever it is', async () => {
    const at = new Date(clock.nowMs()).toISOString()
    await append({ at }, { at }, { at })
    const expected = ['dec_2', 'dec_1', 'dec_0']
    expect((await found({})).map(([id]) => id)).toEqual(expected)
    await sequence(store)
    expect((await found({})).map(([id]) => id)).toEqual(expected)
  })

  test('has strangers’ records where they belong, and those of their class alone', async () => {
    await many(1)
    const stranger = recordOf({ by: 'stranger', by_class: 'stranger', event: 'strangers.refused' })
    await store.audit.appendStrangers(JSON.stringify(stranger))
    await many(1)
    for (const turn of ['not sequenced', 'sequenced']) {
      if (turn === 'sequenced') await sequence(store)
      expect((await found({})).map(([id]) => id)).toEqual(['dec_2', 'dec_1', 'dec_0'])
      expect((await found({ class: 'stranger' })).map(([id]) => id)).toEqual(['dec_1'])
    }
  })

  test('of more than fits of what is not in the log, is of the log as soon as that has it; and pages go on behind it', async () => {
    await many(10)
    const first = await trail.page({}, 4)
    expect(first.entries.map(({ index }) => index)).toEqual([9, 8, 7, 6])
    await many(5)
    await sequence(store)
    expect((await found({}, 50, first.after)).map(([, index]) => index)).toEqual([5, 4, 3, 2, 1, 0])
  })

  test('where the log does not get on, says so above the newest that wait, and goes on with the log; each record once', async () => {
    await many(3)
    await sequence(store)
    await many(10)
    const ticks = { ticksMs: () => (now += 1_000) }
    let now = 0
    trail = trailOver({ sequence: async () => undefined, ticks })
    const { entries, gaps, after } = await trail.page({}, 4)
    expect(entries.map(({ record }) => record.id)).toEqual(['dec_12', 'dec_11', 'dec_10', 'dec_9'])
    expect(gaps).toEqual([{ why: 'not_sequenced' }])
    expect(await found({}, 50, after)).toEqual([
      ['dec_2', 2],
      ['dec_1', 1],
      ['dec_0', 0],
    ])
  })

  test('all that is asked for must hold, of a list any; a time has a beginning and an end', async () => {
    const start = clock.nowMs()
    await append(
      { agent: { id: 'a' }, outcome: 'refused' },
      { agent: { id: 'b' }, outcome: 'refused', session: 's' },
      { agent: { id: 'b' }, outcome: 'granted', session: 's' },
      { agent: { id: 'c' }, outcome: 'refused', session: 's', by: 'agent:c' },
    )
    for (const turn of ['not sequenced', 'sequenced']) {
      if (turn === 'sequenced') await sequence(store)
      const ids = async (filter: Filter) => (await found(filter)).map(([id]) => id)
      expect(await ids({ session: 's', outcome: 'refused' })).toEqual(['dec_3', 'dec_1'])
      expect(await ids({ agent: ['b', 'c'], outcome: 'refused' })).toEqual(['dec_3', 'dec_1'])
      expect(await ids({ agent: [] })).toEqual([])
      expect(await ids({ agent: 'c', session: 't' })).toEqual([])
      expect(await ids({ sinceMs: start + 1000, untilMs: start + 3000 })).toEqual(['dec_2', 'dec_1'])
      expect(await ids({ session: 's', sinceMs: start + 2000 })).toEqual(['dec_3', 'dec_2'])
    }
  })

  test('a fingerprint that two values share finds the one that was asked for', async () => {
    await append({ session: 'right' }, { session: 'wrong' })
    await sequence(store)
    const rows = Buffer.alloc(12)
    for (const n of [0, 1]) {
      rows.writeUInt32BE(fingerprint('right'), 6 * n)
      rows.writeUInt16BE(n, 6 * n + 4)
    }
    const name = columnPiece('session', 0)
    await store.log.append(await store.log.head(), (await store.log.head()) ?? '', [{ name, put: rows }])
    expect((await found({ session: 'right' })).map(([id]) => id)).toEqual(['dec_0'])
  })

  test.each([
    '',
    '-1',
    'x',
    '1.5',
    '9'.repeat(16),
    '1 ',
  ])('a token that no page ended with is refused: %j', async (after) => {
    expect(await reasonOf(trail.page({}, 5, after))).toBe('parameter_malformed')
  })

  test('a token of a longer log than there is, is of what there is', async () => {
    await many(2)
    await sequence(store)
    expect((await found({}, 5, '700')).map(([id]) => id)).toEqual(['dec_1', 'dec_0'])
  })
})

describe('what cannot be read', () => {
  test('is said where its columns say that it was asked for; not where it was not', async () => {
    await many(300, { agent: { id: 'old' } })
    await many(10, { agent: { id: 'new' } })
    await sequence(store)
    await prune(store, 256)
    const page = await trail.page({ agent: 'old' }, 100)
    expect(page.entries).toHaveLength(44)
    expect(page.gaps).toEqual([{ why: 'pruned', first: 0, records: 256 }])
    expect((await trail.page({ agent: 'new' }, 100)).gaps).toEqual([])
  })

  test('is said where not even columns are left, as far as it could be of that time', async () => {
    const start = clock.nowMs()
    await many(CHUNK_RECORDS + 100)
    await sequence(store)
    await prune(store, CHUNK_RECORDS)
    const gap = { why: 'pruned', first: 0, records: CHUNK_RECORDS }
    expect((await trail.page({ agent: 'a' }, 200)).gaps).toEqual([gap])
    expect((await trail.page({ agent: 'a', untilMs: start + 1000 }, 200)).gaps).toEqual([gap])
    expect((await trail.page({ agent: 'a', sinceMs: start + 1000 * CHUNK_RECORDS }, 200)).gaps).toEqual([])
    // Nothing is said of what was not come to.
    expect((await trail.page({ agent: 'a' }, 50)).gaps).toEqual([])
  })

  test('is said where the log is damaged, and the rest is read', async () => {
    await many(300)
    await sequence(store)
    const head = (await store.log.head()) ?? ''
    await store.log.append(head, head, [{ name: recordsPiece(0), put: Buffer.from('\x01garbage') }])
    const page = await trail.page({}, 200)
    expect(page.entries).toHaveLength(44)
    expect(page.gaps).toEqual([{ why: 'damaged', first: 0, records: 256 }])
  })
})

describe('a record', () => {
  test('is found by its id wherever it is, oldest first, each once', async () => {
    await append({ id: 'dec_x' }, {}, { id: 'dec_x', outcome: 'undone' })
    const outcomes = async () => (await trail.find('dec_x')).map(({ record }) => record.outcome)
    expect(await outcomes()).toEqual(['granted', 'undone'])
    await sequence(store, 2)
    expect(await outcomes()).toEqual(['granted', 'undone'])
    await sequence(store)
    expect(await outcomes()).toEqual(['granted', 'undone'])
    expect(await trail.find('dec_y')).toEqual([])
  })

  test('has its texts while they are beside it, and when they are in the log, and no other’s', async () => {
    const text = JSON.stringify({ asked: 'x' })
    const [digest, content] = [sha256(text), { digest: sha256(text), text }]
    await many(300)
    const record = recordOf({ question: digest, session: 'ses_1' })
    await store.audit.append('ses_1', JSON.stringify(record), [content])
    const read = async () => {
      const [entry] = await trail.find(record.id)
      const owners = [entry?.record ?? {}, { id: record.id }, { session: 'ses_1' }]
      return Promise.all(owners.map((owner) => trail.content(digest, owner)))
    }
    expect(await read()).toEqual([text, text, text])
    await sequence(store)
    trail = trailOver({ audit: { ...withoutContents(store), pending: store.audit.pending.bind(store.audit) } })
    expect(await read()).toEqual([text, text, text])
    expect(await trail.content(digest, { session: 'ses_2' })).toBeUndefined()
    expect(await trail.content(sha256('other'), { id: record.id })).toBeUndefined()
    await prune(store, 256)
    expect(await read()).toEqual([text, text, text])
    await store.log.remove(['contents/1'])
    expect(await trailOver({ audit: withoutContents(store) }).content(digest, { id: record.id })).toBeUndefined()
  })
})

/** As they are a minute after they were sequenced. */
function withoutContents({ audit }: Store) {
  return {
    pending: audit.pending.bind(audit),
    latest: audit.latest.bind(audit),
    find: audit.find.bind(audit),
    content: async () => undefined,
  }
}

test('how far it goes back is said: what is kept, what is pruned, and what is not in the log yet', async () => {
  expect(await trail.extent()).toEqual({ size: 0, pruned: 0, waiting: 0, oldest: undefined })
  await many(2)
  expect(await trail.extent()).toMatchObject({ size: 0, waiting: 2, oldest: { id: 'dec_0' } })
  await many(600)
  await sequence(store)
  await many(1)
  expect(await trail.extent()).toMatchObject({ size: 602, pruned: 0, waiting: 1, oldest: { id: 'dec_0' } })
  await prune(store, 512)
  expect(await trail.extent()).toMatchObject({ size: 602, pruned: 512, waiting: 1, oldest: { id: 'dec_512' } })
})

describe('a stretch of the log', () => {
  test('is given oldest first, with what its leaves commit to, and without what is gone', async () => {
    await many(600)
    await sequence(store)
    const slice = await trail.from(250, 20)
    expect(slice.entries.map(({ index }) => index)).toEqual(Array.from({ length: 20 }, (_, n) => 250 + n))
    expect(slice).toMatchObject({ next: 270, gaps: [] })
    expect(slice.entries[0]?.salt).toHaveLength(16)
    expect(JSON.parse(slice.entries[0]?.text ?? '')).toEqual(slice.entries[0]?.record)
    await prune(store, 256)
    expect((await trail.from(250, 20)).gaps).toEqual([{ why: 'pruned', first: 250, records: 6 }])
    expect(await trail.from(595, 20)).toMatchObject({ next: 600 })
    expect(await trail.from(600, 20)).toEqual({ entries: [], next: 600, gaps: [] })
    // Of a log that has gone on without its end: whoever was there begins behind what is left.
    expect(await trail.from(900, 20)).toEqual({ entries: [], next: 600, gaps: [] })
  })

  test('has each gap by itself: what lies between two of them is told, and nobody who goes on behind one skips it', async () => {
    await many(800)
    await sequence(store)
    const damaged = Buffer.from('\x01garbage')
    const head = await store.log.head()
    const pieces = [recordsPiece(0), recordsPiece(2)].map((name) => ({ name, put: damaged }))
    expect(await store.log.append(head, head ?? '', pieces)).toBe(true)
    const { entries, gaps } = await trail.from(100, 500)
    expect(gaps).toEqual([
      { why: 'damaged', first: 100, records: 156 },
      { why: 'damaged', first: 512, records: 88 },
    ])
    expect([entries[0]?.index, entries.at(-1)?.index, entries.length]).toEqual([256, 511, 256])
  })
})

test('what is asked for by few records is looked up without the columns of what most are', async () => {
  await many(300, { session: 's', outcome: 'refused' })
  await sequence(store)
  const asked: string[] = []
  const log: Pick<LogStore, 'head' | 'read'> = {
    head: () => store.log.head(),
    read: (names) => {
      asked.push(...names)
      return store.log.read(names)
    },
  }
  trail = trailOver({ log })
  expect(await found({ session: 'other', outcome: 'refused' })).toEqual([])
  expect(asked.filter((name) => name.startsWith('column/'))).toEqual(['column/at/0', 'column/session/0'])
})
