/** The contract of the log, and of the outboxes as its sequencer sees them. */
import { randomBytes, randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sha256 } from '../../src/kernel/digest.ts'
import { newDecisionId, newSessionId } from '../../src/kernel/ids.ts'
import { LOG_APPEND_BYTES_MAX, LOG_PIECES_PER_APPEND_MAX } from '../../src/kernel/store-limits.ts'
import type { LogPiece, LogStore, OutboxEntry, Store } from '../../src/store/ports.ts'
import { commitOf, ODD_TEXTS, type OpenedStore, type OpenFresh, set } from './store-contract.ts'

export function describeLog(name: string, openFresh: OpenFresh): void {
  describe(`${name}: the contract of the log`, () => {
    let opened: OpenedStore
    beforeEach(async () => {
      opened = await openFresh()
    })
    afterEach(() => opened?.close())
    logContract(() => opened.store.log)
  })
  describe(`${name}: the outboxes behind the log`, () => {
    let opened: OpenedStore
    beforeEach(async () => {
      opened = await openFresh()
    })
    afterEach(() => opened?.close())
    outboxContract(() => opened.store)
  })
}

const text = (bytes: Buffer | undefined) => bytes?.toString('latin1')
const put = (name: string, content: string | undefined): LogPiece => {
  return { name, put: content === undefined ? undefined : Buffer.from(content) }
}
const add = (name: string, content: string): LogPiece => ({ name, add: Buffer.from(content) })

function logContract(log: () => LogStore): void {
  const read = async (...names: string[]) => (await log().read(names)).map(text)

  it('begins with no head and no piece', async () => {
    expect(await log().head()).toBeUndefined()
    expect(await read('tile/0/0', 'records/open')).toEqual([undefined, undefined])
    expect(await log().read([])).toEqual([])
  })

  it('a piece that grows large is what was added to it, until it is put anew or removed', async () => {
    const grown: Buffer[] = []
    for (let n = 0; n < 30; n++) {
      const more = randomBytes(4_000 + n)
      grown.push(more)
      const head = n === 0 ? undefined : `grown ${n - 1}`
      expect(await log().append(head, `grown ${n}`, [{ name: 'grown', add: more }, add('beside', '.')])).toBe(true)
    }
    const [piece] = await log().read(['grown'])
    expect(piece?.equals(Buffer.concat(grown))).toBe(true)
    expect(await read('beside')).toEqual(['.'.repeat(30)])
    expect(await log().append('grown 29', 'put', [put('grown', 'anew'), add('grown', '!')])).toBe(true)
    expect(await read('grown')).toEqual(['anew!'])
    expect(await log().append('put', 'more', [{ name: 'grown', add: Buffer.concat(grown) }, add('grown', '?')])).toBe(
      true,
    )
    await log().remove(['grown'])
    expect(await read('grown')).toEqual([undefined])
    expect(await log().append('more', 'end', [add('grown', 'again')])).toBe(true)
    expect(await read('grown')).toEqual(['again'])
  })

  it('a piece of any size is what was put and added, byte for byte', async () => {
    const sizes = [0, 1, 4_063, 4_064, 4_065, 8_128, 8_129, 40_000]
    const whole = new Map<string, Buffer>()
    let head: string | undefined
    for (const [turn, by] of [0, ...sizes].entries()) {
      const pieces = sizes.map((size): LogPiece => {
        const [name, bytes] = [`of/${size}`, randomBytes(turn === 0 ? size : by)]
        whole.set(name, Buffer.concat([whole.get(name) ?? Buffer.alloc(0), bytes]))
        return turn === 0 ? { name, put: bytes } : { name, add: bytes }
      })
      expect(await log().append(head, `turn ${turn}`, pieces)).toBe(true)
      head = `turn ${turn}`
      const kept = await log().read([...whole.keys()])
      expect(kept.map((bytes, n) => bytes?.equals([...whole.values()][n] ?? Buffer.alloc(1)))).toEqual(
        sizes.map(() => true),
      )
    }
    await log().remove([...whole.keys()])
    expect(await read(...whole.keys())).toEqual(sizes.map(() => undefined))
  })

  it('puts, adds to and removes pieces with the head, in the order given', async () => {
    const first = [
      put('a', 'one'),
      add('b', 'x'),
      put('c', 'gone soon'),
      add('tile/0/000', '1'),
      add('tile/0/000', '2'),
    ]
    expect(await log().append(undefined, 'head 1', first)).toBe(true)
    expect(await read('a', 'b', 'c', 'tile/0/000', 'd')).toEqual(['one', 'x', 'gone soon', '12', undefined])
    const second = [
      put('a', 'two'),
      add('b', 'y'),
      put('c', undefined),
      put('never', undefined),
      put('e', 'x'),
      add('e', 'y'),
    ]
    expect(await log().append('head 1', 'head 2', second)).toBe(true)
    expect(await read('e', 'c', 'b', 'a', 'b')).toEqual(['xy', undefined, 'xy', 'two', 'xy'])
    expect(await log().head()).toBe('head 2')
    expect(await log().append('head 2', 'head 3', [])).toBe(true)
    expect(await log().head()).toBe('head 3')
  })

  it('writes nothing where the head is another', async () => {
    const pieces = [put('a', 'no'), add('b', 'no'), put('kept', undefined)]
    expect(await log().append('', 'h', pieces)).toBe(false)
    expect(await log().append('-', 'h', pieces)).toBe(false)
    expect(await log().append(undefined, '', [put('kept', 'yes')])).toBe(true)
    for (const wrong of [undefined, 'h', '-', '+']) expect(await log().append(wrong, 'h', pieces)).toBe(false)
    expect(await log().head()).toBe('')
    expect(await read('a', 'b', 'kept')).toEqual([undefined, undefined, 'yes'])
    expect(await log().append('', 'h', [])).toBe(true)
  })

  it('lets one of any number of writers go on from a head, and no half of another is seen', async () => {
    let head: string | undefined
    for (let round = 0; round < 20; round++) {
      const writers = Array.from({ length: 6 }, (_, n) => {
        const pieces = [add('all', `${round}.${n} `), put(`of/${round}`, String(n)), add('rounds', '.')]
        return log().append(head, `${round} by ${n}`, pieces)
      })
      const won = (await Promise.all(writers)).flatMap((isMine, n) => (isMine ? [n] : []))
      expect(won).toHaveLength(1)
      head = await log().head()
      expect(head).toBe(`${round} by ${won[0]}`)
      expect(await read(`of/${round}`, 'rounds')).toEqual([String(won[0]), '.'.repeat(round + 1)])
    }
    expect((await read('all'))[0]?.trim().split(' ')).toHaveLength(20)
  })

  it('keeps any bytes, and any text as a head', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const odd = [Buffer.alloc(0), Buffer.from([0]), every, Buffer.from([0xff, 0xfe, 0xc3, 0x28]), randomBytes(70_000)]
    let head: string | undefined
    for (const [n, next] of ODD_TEXTS.entries()) {
      const bytes = odd[n % odd.length] ?? every
      expect(
        await log().append(head, next, [
          { name: `${n}`, put: bytes },
          { name: 'added', add: bytes },
        ]),
      ).toBe(true)
      head = await log().head()
      expect(head).toBe(next)
      expect((await log().read([`${n}`]))[0]?.equals(bytes)).toBe(true)
    }
    const added = Buffer.concat(ODD_TEXTS.map((_, n) => odd[n % odd.length] ?? every))
    expect((await log().read(['added']))[0]?.equals(added)).toBe(true)
  })

  it('takes a big append whole, and refuses one that is too big, or odd, before anything is written', async () => {
    const pieces = Array.from({ length: 1_000 }, (_, n) => ({ name: `piece/${n}`, put: randomBytes(4_000) }))
    expect(await log().append(undefined, 'big', pieces)).toBe(true)
    const kept = await log().read(pieces.map(({ name }) => name))
    expect(kept.every((bytes, n) => bytes?.equals(pieces[n]?.put ?? Buffer.alloc(0)))).toBe(true)
    const refused: (readonly LogPiece[])[] = [
      [put('a', 'x'), { name: 'b', put: Buffer.alloc(LOG_APPEND_BYTES_MAX) }],
      Array.from({ length: LOG_PIECES_PER_APPEND_MAX + 1 }, () => put('a', '')),
      ...['', 'a b', 'a:b', '{x}', 'ä', 'x'.repeat(121), '../é'].map((name) => [put('a', 'x'), put(name, 'x')]),
    ]
    for (const odd of refused) await expect(log().append('big', 'h', odd)).rejects.toThrow(TypeError)
    await expect(log().read(['{control}:acme:seq'])).rejects.toThrow(TypeError)
    await expect(log().remove(['*'])).rejects.toThrow(TypeError)
    expect([await log().head(), ...(await read('a'))]).toEqual(['big', undefined])
  })

  it('forgets pieces that are removed, and none besides', async () => {
    await log().append(undefined, 'h', [put('records/1', 'a'), put('records/11', 'b'), put('tile/1', 'c')])
    await log().remove(['records/1', 'records/never'])
    await log().remove([])
    expect(await read('records/1', 'records/11', 'tile/1')).toEqual([undefined, 'b', 'c'])
    expect(await log().head()).toBe('h')
  })

  it('answers what it read as it was, whatever is written later', async () => {
    await log().append(undefined, 'h', [put('a', 'first')])
    const [early] = await log().read(['a'])
    await log().append('h', 'i', [
      put('a', 'other'),
      ...Array.from({ length: 50 }, (_, n) => put(`${n}`, 'z'.repeat(999))),
    ])
    await read('a')
    expect(text(early)).toBe('first')
  })
}

type Cursors = Map<string, string>

/** Everything behind the cursors, which move on. */
export async function readOn(store: Store, cursors: Cursors, limit = 100): Promise<readonly OutboxEntry[]> {
  const found: OutboxEntry[] = []
  for (;;) {
    const pending = await store.audit.pending(cursors, limit)
    if (pending.size === 0) return found
    for (const [outbox, entries] of pending) {
      expect(entries.length).toBeGreaterThan(0)
      expect(entries.length).toBeLessThanOrEqual(limit)
      found.push(...entries)
      cursors.set(outbox, entries.at(-1)?.position ?? '')
    }
  }
}

const recordOf = (id: string, more = '') => JSON.stringify({ id, more })

function outboxContract(store: () => Store): void {
  it('are named, that of strangers last', () => {
    const { outboxes } = store().audit
    expect(new Set(outboxes).size).toBe(outboxes.length)
    expect(outboxes.at(-1)).toBe('strangers')
    expect(outboxes.every((name) => /^[a-z0-9]{1,16}$/.test(name))).toBe(true)
  })

  it('are read on from cursors: each record once, from whatever wrote it, in the order of its outbox', async () => {
    const cursors: Cursors = new Map()
    expect(await readOn(store(), cursors)).toEqual([])
    const run = randomUUID()
    const seen: string[] = []
    for (let round = 0; round < 6; round++) {
      const keys = Array.from({ length: 40 }, () => randomUUID())
      for (let n = 0; n < 3; n++) {
        const all = keys.map((key) => store().audit.append(key, `${run} ${key} ${round} ${n}`))
        await Promise.all(all)
      }
      const session = newSessionId()
      await store().sessions.commit(commitOf(session, [set('a', '1')], { audit: `${run} ${session} ${round} 0` }))
      await store().calls.begin(session, 'call', Date.now() + 1_000)
      const end = {
        over: undefined,
        ended: 'x',
        expiresAtMs: Date.now() + 60_000,
        audit: `${run} ${session} ${round} 1`,
      }
      await store().calls.end(session, end)
      await store().audit.appendStrangers(`${run} strangers ${round} 0`)
      const entries = await readOn(store(), cursors, 1 + 3 * round)
      expect(entries).toHaveLength(40 * 3 + 3)
      expect(entries.some(({ again }) => again)).toBe(false)
      seen.push(...entries.map(({ record }) => record))
      for (const key of [...keys, session, 'strangers']) {
        const own = entries.filter(({ record }) => record.startsWith(`${run} ${key} `)).map(({ record }) => record)
        expect(own).toEqual(own.toSorted())
      }
    }
    expect(new Set(seen).size).toBe(6 * 123)
    expect(await readOn(store(), cursors)).toEqual([])
  })

  it('give positions that sort as text in the order of the outbox, and read each record as it is', async () => {
    for (const odd of ODD_TEXTS) await store().audit.append('one', odd)
    await Promise.all(Array.from({ length: 200 }, (_, n) => store().audit.append('one', `${n}`)))
    const cursors: Cursors = new Map()
    const entries = await readOn(store(), cursors, 7)
    expect(entries.slice(0, ODD_TEXTS.length).map(({ record }) => record)).toEqual([...ODD_TEXTS])
    const positions = entries.map(({ position }) => position)
    expect(positions).toEqual(positions.toSorted((a, b) => (a < b ? -1 : 1)))
    expect(new Set(positions).size).toBe(positions.length)
  })

  it('are read alike by whoever has the texts of all of it, of some or of none', async () => {
    for (let n = 0; n < 60; n++) await store().audit.append(`${n % 7}`, `record ${n}`)
    await store().audit.appendStrangers('strangers')
    const cursors: Cursors = new Map()
    for (const [outbox, entries] of await store().audit.pending(new Map(), 3))
      cursors.set(outbox, entries[0]?.position ?? '')
    for (const [from, limit] of [
      [new Map(), 2],
      [new Map(), 1_000],
      [cursors, 1],
      [cursors, 1_000],
    ] as const) {
      const all = await store().audit.pending(from, limit)
      const texts = new Map([...all.values()].flat().map(({ position, record }) => [position, record]))
      expect(texts.size).toBeGreaterThan(0)
      for (const share of [1, 2, 3, 100]) {
        let asked = 0
        const known = (_outbox: string, position: string) => (asked++ % share === 0 ? texts.get(position) : undefined)
        expect(await store().audit.pending(from, limit, known)).toEqual(all)
      }
    }
  })

  it('are trimmed up to a position: what is behind it stays, and its id alone is found', async () => {
    const ids = Array.from({ length: 700 }, () => newDecisionId())
    const twice = ids[3] ?? newDecisionId()
    await Promise.all(ids.map((id) => store().audit.append('one', recordOf(id))))
    await store().audit.append('one', recordOf(twice, 'again'))
    const [[outbox = '', entries = []] = []] = [...(await store().audit.pending(new Map(), 1_000))]
    expect(entries).toHaveLength(701)
    await store().audit.trim(outbox, entries[599]?.position ?? '')
    const left = [...(await store().audit.pending(new Map(), 1_000))]
    expect(left).toEqual([[outbox, entries.slice(600)]])
    expect((await store().audit.usage()).records).toBe(101)
    const [gone = '', kept = ''] = entries.slice(599, 601).map(({ record }) => JSON.parse(record).id as string)
    expect(await store().audit.find(gone)).toEqual([])
    expect(await store().audit.find(kept)).toEqual([recordOf(kept)])
    expect(await store().audit.find(twice)).toEqual([recordOf(twice, 'again')])
    expect((await store().audit.latest(1_000)).map(({ record }) => record)).toEqual(
      entries
        .slice(600)
        .map(({ record }) => record)
        .toReversed(),
    )
  })

  it('are read on behind what was trimmed, also when all of it was', async () => {
    const cursors: Cursors = new Map()
    for (let round = 0; round < 3; round++) {
      await store().audit.append('one', `first ${round}`)
      await store().audit.append('one', `second ${round}`)
      await store().audit.appendStrangers(`strangers ${round}`)
      const entries = await readOn(store(), cursors)
      expect(entries.map(({ record }) => record)).toEqual([`first ${round}`, `second ${round}`, `strangers ${round}`])
      expect(entries.some(({ again }) => again)).toBe(false)
      for (const [outbox, upTo] of cursors) expect(await store().audit.trim(outbox, upTo)).toBe(true)
      for (const [outbox, upTo] of cursors) expect(await store().audit.trim(outbox, upTo)).toBe(true)
      expect(await store().audit.latest(10)).toEqual([])
    }
  })

  it('forget nothing for a position that is none of theirs', async () => {
    await store().audit.append('one', 'kept')
    const [[outbox = '', entries = []] = []] = [...(await store().audit.pending(new Map(), 10))]
    await store().audit.trim(outbox, entries[0]?.position ?? '')
    for (const record of ['a', 'b']) await store().audit.append('one', record)
    for (const odd of ['', '+', '0', '*']) await expect(store().audit.trim(outbox, odd)).rejects.toThrow(TypeError)
    await expect(store().audit.trim('nobody', entries[0]?.position ?? '')).rejects.toThrow(TypeError)
    await store().audit.trim(outbox, entries[0]?.position ?? '')
    expect([...(await store().audit.pending(new Map(), 10)).values()].flat().map(({ record }) => record)).toEqual([
      'a',
      'b',
    ])
  })

  it('give the texts that their records name', async () => {
    const texts = Array.from({ length: 70 }, (_, n) => `text ${n} ${randomUUID()}`)
    for (let n = 0; n < texts.length; n += 7) {
      const contents = texts.slice(n, n + 7).map((one) => ({ digest: sha256(one), text: one }))
      await store().audit.append('one', `record ${n}`, contents)
    }
    const [outbox = ''] = (await store().audit.pending(new Map(), 100)).keys()
    const asked = [...texts, 'never kept'].map((one) => sha256(one))
    expect(await store().audit.contentsIn(outbox, asked)).toEqual(new Map(texts.map((one) => [sha256(one), one])))
    expect(await store().audit.contentsIn(outbox, [])).toEqual(new Map())
    expect(await store().audit.contentsIn('strangers', asked)).toEqual(new Map())
    await expect(store().audit.contentsIn('nobody', asked)).rejects.toThrow(TypeError)
  })
}
