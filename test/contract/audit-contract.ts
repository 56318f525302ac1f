/** The contract of audit: records of known callers and of strangers, and what records name by digest. */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { sha256 } from '../../src/kernel/digest.ts'
import { newDecisionId, newSessionId, type SessionId } from '../../src/kernel/ids.ts'
import {
  CONTENT_BYTES_MAX,
  CONTENTS_PER_COMMIT_MAX,
  OUTBOX_RECORDS_MAX,
  STRANGER_RECORDS_MAX,
} from '../../src/kernel/store-limits.ts'
import type { Check, Content } from '../../src/model/commit.ts'
import { OutboxFull, type Store } from '../../src/store/ports.ts'
import { add, commitOf, ODD_TEXTS, type OpenedStore, type OpenFresh, set } from './store-contract.ts'

export function describeAudit(name: string, openFresh: OpenFresh): void {
  describe(`${name}: the contract of audit`, () => {
    let opened: OpenedStore
    beforeAll(async () => {
      opened = await openFresh()
    })
    afterAll(() => opened?.close())
    const current = (): Store => opened.store

    describe('records', () => auditContract(current))
    describe('records by id and by page', () => lookUpContract(openFresh))
    describe('records that were lost', () => lossContract(openFresh))
    describe('records of strangers', () => strangersContract(openFresh))
    describe('contents', () => {
      contentsContract(current)
      contentsBoundContract(openFresh)
    })
  })
}

function auditContract(store: () => Store): void {
  it('answers the newest records first, from commits and from appends, over all shards', async () => {
    const run = randomUUID()
    for (let n = 0; n < 30; n++) {
      const audit = `${run} ${n}`
      if (n % 2) await store().audit.append(randomUUID(), audit)
      else await store().sessions.commit(commitOf(newSessionId(), [set('a', '1')], { audit }))
      // Positions of two shards compare by the millisecond.
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const expected = Array.from({ length: 30 }, (_, n) => `${run} ${29 - n}`)
    expect((await store().audit.latest(30)).map((entry) => entry.record)).toEqual(expected)
    expect((await store().audit.latest(7)).map((entry) => entry.record)).toEqual(expected.slice(0, 7))
    expect(await store().audit.latest(0)).toEqual([])
  })

  it('finds the newest also where one shard holds them all', async () => {
    const key = randomUUID()
    const records = Array.from({ length: 40 }, (_, n) => `${key} ${n}`)
    for (const record of records) await store().audit.append(key, record)
    expect((await store().audit.latest(40)).map((entry) => entry.record)).toEqual(records.toReversed())
  })

  it('keeps records as they are', async () => {
    for (const text of ODD_TEXTS) {
      await store().audit.append('odd', text)
      await new Promise((resolve) => setTimeout(resolve, 2))
      expect((await store().audit.latest(1))[0]?.record).toBe(text)
    }
  })
}

/** What a server has lost, and a broker writes again. */
function lossContract(openFresh: OpenFresh): void {
  let opened: OpenedStore
  beforeEach(async () => {
    opened = await openFresh()
  })
  afterEach(() => opened?.close())

  it.each([
    'key',
    undefined,
  ])('%s: is behind what is there, with what it names, also in an outbox that is full', async (key) => {
    const { audit } = opened.store
    const pending = async () => {
      const all = await audit.pending(new Map(), 10)
      return [...all].flatMap(([outbox, entries]) => entries.map((entry) => ({ outbox, ...entry })))
    }
    const contents = key === undefined ? [] : [{ digest: sha256('text'), text: 'text' }]
    await (key === undefined ? audit.appendStrangers('first') : audit.append(key, 'first'))
    const [first] = await pending()
    if (first === undefined) throw new Error('a record')
    await audit.appendAgain({ ...first, key, contents })
    const [, again] = await pending()
    if (again === undefined) throw new Error('two records')
    await audit.appendAgain({ ...again, key, contents })
    const all = await pending()
    expect(all.map(({ record, outbox }) => [record, outbox])).toEqual(Array(3).fill(['first', first.outbox]))
    expect(new Set(all.map(({ position }) => position)).size).toBe(3)
    const held = await audit.holds(
      first.outbox,
      all.map(({ position }) => position),
    )
    expect(held.size).toBe(3)
    if (key !== undefined) expect(await audit.content(sha256('text'), key)).toBe('text')
  })
}

/** Records as brokers write them: found by their id, and page by page. */
function lookUpContract(openFresh: OpenFresh): void {
  let opened: OpenedStore
  const audit = (): Store['audit'] => opened.store.audit
  const record = (id: string, more = '') => JSON.stringify({ id, more })
  beforeEach(async () => {
    opened = await openFresh()
  })
  afterEach(() => opened?.close())

  it('are found by their id, whoever wrote them, and all that have it, oldest first', async () => {
    const [refused, granted, settled] = [newDecisionId(), newDecisionId(), newDecisionId()]
    await audit().append(refused, record(refused))
    await opened.store.sessions.commit(commitOf(newSessionId(), [set('a', '1')], { audit: record(granted) }))
    await audit().append(settled, record(settled, 'unfinished'))
    await audit().append(settled, record(settled, 'undone'))
    expect(await audit().find(refused)).toEqual([record(refused)])
    expect(await audit().find(granted)).toEqual([record(granted)])
    expect(await audit().find(settled)).toEqual([record(settled, 'unfinished'), record(settled, 'undone')])
    for (const unknown of [newDecisionId(), '', '*', '__proto__']) expect(await audit().find(unknown)).toEqual([])
  })

  it('are counted, and the oldest that is kept is named; strangers are not among them', async () => {
    const extent = async () => {
      const all = await audit().extents()
      return {
        records: all.reduce((sum, { records }) => sum + records, 0),
        oldest: all.flatMap(({ oldest }) => oldest ?? []).toSorted(),
      }
    }
    expect(await extent()).toEqual({ records: 0, oldest: [] })
    await audit().appendStrangers('strangers')
    for (const text of ['first', 'second', 'third']) await audit().append('one key, one outbox', text)
    expect(await extent()).toEqual({ records: 3, oldest: ['first'] })
  })

  it('are read page by page: each once, newest first, without those of strangers', async () => {
    const ids = Array.from({ length: 25 }, () => newDecisionId())
    for (const [n, id] of ids.entries()) {
      await audit().append(id, record(id))
      if (n % 5 === 0) await audit().appendStrangers(`strangers ${n}`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    for (const limit of [1, 4, 25, 40]) {
      const seen: string[] = []
      let after: string | undefined
      for (;;) {
        const page = await audit().page(limit, after)
        if (page.length === 0) break
        expect(page.length).toBeLessThanOrEqual(limit)
        seen.push(...page.map((entry) => JSON.parse(entry.record).id))
        after = page.at(-1)?.position
      }
      expect(seen).toEqual(ids.toReversed())
    }
    expect(await audit().page(0)).toEqual([])
  })

  it('that come at the same moment are each on one page', async () => {
    const ids = Array.from({ length: 60 }, () => newDecisionId())
    await Promise.all(ids.map((id) => audit().append(id, record(id))))
    const seen: string[] = []
    for (
      let after: string | undefined, page = await audit().page(7);
      page.length > 0;
      page = await audit().page(7, after)
    ) {
      seen.push(...page.map((entry) => JSON.parse(entry.record).id))
      after = page.at(-1)?.position
    }
    expect(seen.toSorted()).toEqual(ids.toSorted())
  })

  it('bring what they name with them, or nothing is written', async () => {
    const id = newDecisionId()
    const contents = ['what was asked', randomUUID()].map((text) => ({ digest: sha256(text), text }))
    await audit().append(id, record(id), contents)
    for (const { digest, text } of contents) expect(await audit().content(digest, id)).toBe(text)
    const other = newDecisionId()
    const lie = [{ digest: sha256('true'), text: 'false' }]
    await expect(audit().append(other, record(other), lie)).rejects.toThrow(TypeError)
    expect(await audit().find(other)).toEqual([])
  })
}

function strangersContract(openFresh: OpenFresh): void {
  let opened: OpenedStore
  const audit = (): Store['audit'] => opened.store.audit
  const records = async (limit: number) => (await audit().latest(limit)).map((entry) => entry.record)
  beforeEach(async () => {
    opened = await openFresh()
  })
  afterEach(() => opened?.close())

  it('are answered among the others, newest first, and counted in the same limit', async () => {
    for (let n = 0; n < 12; n++) {
      if (n % 3) await audit().append(`key ${n}`, `known ${n}`)
      else await audit().appendStrangers(`strangers ${n}`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const expected = Array.from({ length: 12 }, (_, n) => `${(11 - n) % 3 ? 'known' : 'strangers'} ${11 - n}`)
    expect(await records(100)).toEqual(expected)
    expect(await records(5)).toEqual(expected.slice(0, 5))
  })

  it('are kept as they are', async () => {
    for (const text of ODD_TEXTS) {
      await audit().appendStrangers(text)
      expect(await records(1)).toEqual([text])
    }
  })

  it('push out each other and no record of a known caller, however many there are', async () => {
    await audit().append('key', 'known before')
    await opened.store.sessions.commit(commitOf(newSessionId(), [set('a', '1')], { audit: 'committed before' }))
    const flood = STRANGER_RECORDS_MAX + 500
    for (let n = 0; n < flood; n += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, at) => audit().appendStrangers(`strangers ${n + at}`)))
    }
    // Those sent at once are in no promised order; this one came after all of them.
    await audit().appendStrangers('strangers at last')
    const kept = await records(2 * flood)
    expect(kept.slice(-2).sort()).toEqual(['committed before', 'known before'])
    expect(kept[0]).toBe('strangers at last')
    // Redis trims whole nodes of a stream, a hundred records each.
    expect(kept.length - 2).toBeGreaterThanOrEqual(STRANGER_RECORDS_MAX)
    expect(kept.length - 2).toBeLessThan(STRANGER_RECORDS_MAX + 100)
  })

  it('are not counted in how full the fullest outbox is', async () => {
    expect(await audit().usage()).toEqual({ records: 0, limit: OUTBOX_RECORDS_MAX })
    for (let n = 0; n < 5; n++) await audit().append('one key', `known ${n}`)
    for (let n = 0; n < 9; n++) await audit().appendStrangers(`strangers ${n}`)
    expect(await audit().usage()).toEqual({ records: 5, limit: OUTBOX_RECORDS_MAX })
  })
}

function contentsContract(store: () => Store): void {
  const content = (text: string): Content => ({ digest: sha256(text), text })
  const read = (session: string, text: string) => store().audit.content(sha256(text), session as SessionId)

  it('are there with the commit that brought them, letter by letter, and under no other digest', async () => {
    const session = newSessionId()
    for (const text of ODD_TEXTS.filter((odd) => odd.length <= CONTENT_BYTES_MAX)) {
      const contents = [content(text)]
      await store().sessions.commit(commitOf(session, [set('a', '1')], { audit: 'names it', contents }))
      expect([text, await read(session, text)]).toEqual([text, text])
    }
    expect(await read(session, 'never stored')).toBeUndefined()
    expect(await store().audit.content('not a digest: *', session)).toBeUndefined()
  })

  it('are not there where a check failed', async () => {
    const session = newSessionId()
    const text = randomUUID()
    const checks: Check[] = [{ check: 'present', field: 'a' }]
    await store().sessions.commit(commitOf(session, [], { checks, contents: [content(text)] }))
    expect(await read(session, text)).toBeUndefined()
  })

  it('of several in one commit are all there, beside checks and operations that hold', async () => {
    const session = newSessionId()
    const texts = Array.from({ length: CONTENTS_PER_COMMIT_MAX }, (_, n) => `${n} ${randomUUID()}`)
    const checks: Check[] = [{ check: 'oneOf', field: 'a', values: ['x', 'y'] }]
    await store().sessions.commit(commitOf(session, [set('a', 'y')]))
    const commit = commitOf(session, [set('b', '1'), add('n', 3)], { checks, contents: texts.map(content) })
    expect(await store().sessions.commit(commit)).toEqual({ committed: true, repeated: false })
    for (const text of texts) expect(await read(session, text)).toBe(text)
    expect((await store().sessions.readAll(session))?.get('n')).toBe('3')
  })

  it('may come again with any later commit, and stay', async () => {
    const session = newSessionId()
    const contents = [content(randomUUID())]
    for (let n = 0; n < 3; n++) {
      expect(await store().sessions.commit(commitOf(session, [add('n', 1)], { contents }))).toMatchObject({
        committed: true,
      })
      expect(await read(session, contents[0]?.text ?? '')).toBe(contents[0]?.text)
    }
  })

  it('outlive the session: who asks weeks later must find them', async () => {
    const session = newSessionId()
    const text = randomUUID()
    const expiresAtMs = Date.now() + 30
    await store().sessions.commit(commitOf(session, [set('a', '1')], { contents: [content(text)], expiresAtMs }))
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(await store().sessions.readAll(session)).toBeUndefined()
    expect(await read(session, text)).toBe(text)
  })

  it('are refused before anything is written where they are too many, too large, or named by another digest', async () => {
    const largest = '€'.repeat(Math.floor(CONTENT_BYTES_MAX / 3))
    const refused: (readonly Content[])[] = [
      Array.from({ length: CONTENTS_PER_COMMIT_MAX + 1 }, (_, n) => content(String(n))),
      [content(`${largest}€`)],
      [{ digest: sha256('what was granted'), text: 'what was not' }],
      [content('fine'), { digest: '', text: 'nameless' }],
    ]
    const session = newSessionId()
    for (const contents of refused) {
      const commit = commitOf(session, [set('a', '1')], { contents })
      await expect(store().sessions.commit(commit)).rejects.toThrow(TypeError)
    }
    expect(await store().sessions.readAll(session)).toBeUndefined()
    for (const { digest } of refused.flat()) expect(await store().audit.content(digest, session)).toBeUndefined()
    await store().sessions.commit(commitOf(session, [set('a', '1')], { contents: [content(largest)] }))
    expect(await read(session, largest)).toBe(largest)
  })
}

function contentsBoundContract(openFresh: OpenFresh): void {
  let opened: OpenedStore
  beforeEach(async () => {
    opened = await openFresh({ contentsMax: 4 })
  })
  afterEach(() => opened?.close())
  const keep = (session: string, ...texts: readonly string[]) => {
    const contents = texts.map((text) => ({ digest: sha256(text), text }))
    return opened.store.sessions.commit(commitOf(session, [add('n', 1)], { contents }))
  }
  const kept = async (session: SessionId, texts: readonly string[]): Promise<readonly string[]> => {
    const found = await Promise.all(texts.map((text) => opened.store.audit.content(sha256(text), session)))
    return found.filter((text) => text !== undefined)
  }

  it('beyond the bound are refused with what would name them, and none is forgotten', async () => {
    const session = newSessionId()
    const texts = ['first', 'second', 'third', 'fourth']
    for (const text of texts) await keep(session, text)
    await expect(keep(session, 'fifth')).rejects.toThrow(OutboxFull)
    expect(await kept(session, [...texts, 'fifth'])).toEqual(texts)
    expect((await opened.store.sessions.readAll(session))?.get('n')).toBe('4')
    // An end finds room for them.
    const end = [{ digest: sha256('of an end'), text: 'of an end' }]
    await opened.store.audit.append(session, 'revoked', end, true)
    expect(await kept(session, [...texts, 'of an end'])).toEqual([...texts, 'of an end'])
  })

  it('that come again count once', async () => {
    const session = newSessionId()
    await keep(session, 'first', 'second')
    for (let n = 0; n < 20; n++) await keep(session, 'first', 'first', 'second')
    await keep(session, 'third', 'fourth')
    expect(await kept(session, ['first', 'second', 'third', 'fourth'])).toHaveLength(4)
  })
}
