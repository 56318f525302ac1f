/**
 * H74: whoever has the database and not the keys changes the audit log where it lies, in LMDB and in Redis. Each change is found,
 * with the index, by what an operator has: the log's key, a checkpoint kept elsewhere, a witness.
 */
import { generateKeyPairSync } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  compressedFrame,
  contentRow,
  decodeContents,
  decodeRecords,
  type LoggedRecord,
} from '../../src/audit/log/bodies.ts'
import { formatHead, parseHead } from '../../src/audit/log/head.ts'
import { CHECKPOINT_DOCUMENT, COSIGNED_DOCUMENT } from '../../src/audit/log/log-documents.ts'
import { receiptOf } from '../../src/audit/log/receipts.ts'
import { type VerifiedAgainst, verifyAgainst } from '../../src/audit/log/verify/anchors.ts'
import { LogFault } from '../../src/audit/log/verify/log-source.ts'
import { StoreUnavailable } from '../../src/store/ports.ts'
import { Frontier } from '../../src/tlog/frontier.ts'
import { HASH_BYTES, leafHash } from '../../src/tlog/hashes.ts'
import { cosign, formatNote, parseNote, signNote } from '../../src/tlog/note.ts'
import { noteKey } from '../../src/tlog/note-keys.ts'
import { openReceipt } from '../../src/tlog/receipt.ts'
import { saltedEntry } from '../../src/tlog/salted-entry.ts'
import { formatEntries, parseEntries } from '../../src/tlog/tiles.ts'
import { type AtRest, embeddedAtRest, redisAtRest, type StoreAtRest } from '../support/at-rest.ts'
import { growLog, publishCheckpoint, publishCosigned } from '../support/grown-log.ts'
import { recordRow } from '../support/record-row.ts'

/** Two chunks of columns, and bundles that are full and one that is not. */
const SIZE = 4_500
const ENTRY_STRIDE = 35

const keyed = (name: string, kind: 'log' | 'witness') => {
  const privateKey = generateKeyPairSync('ed25519').privateKey
  const key = noteKey(name, kind, privateKey)
  return { key, privateKey, sign: (text: string) => signNote(text, key, privateKey) }
}
const log = keyed('errand.example/audit', 'log')
const witness = keyed('witness.example/w1', 'witness')

interface Kept {
  readonly kept?: readonly string[]
  readonly witnessed?: boolean
}

function verify(store: StoreAtRest, { kept = [], witnessed = false }: Kept = {}): Promise<VerifiedAgainst> {
  return store.use(async ({ log: source, documents }) =>
    verifyAgainst(
      {
        newest: await documents.read(CHECKPOINT_DOCUMENT),
        cosigned: await documents.read(COSIGNED_DOCUMENT),
        kept: kept.map((note) => ({ name: 'the one kept', note })),
      },
      { keys: [log.key], witnesses: witnessed ? [witness.key] : [] },
      { source },
    ),
  )
}

async function faultOf(store: StoreAtRest, kept: Kept = {}): Promise<LogFault> {
  const look = () =>
    verify(store, kept).then(
      () => new Error('nothing was found'),
      (error: unknown) => error,
    )
  let found = await look()
  // A busy machine has not answered in time: that says nothing of the log.
  for (let left = 5; left > 0 && found instanceof StoreUnavailable; left--) {
    await sleep(1_000)
    found = await look()
  }
  expect(found).toBeInstanceOf(LogFault)
  return found as LogFault
}

async function expectFault(store: StoreAtRest, index: number, what: RegExp, kept: Kept = {}): Promise<void> {
  const fault = await faultOf(store, kept)
  expect([fault.index, fault.message]).toEqual([index, expect.stringMatching(what)])
}

describe.each([
  ['LMDB', async () => embeddedAtRest()],
  ['Redis', redisAtRest],
])('the log at rest in %s', (_name, opened) => {
  let store: StoreAtRest
  let whole: ReadonlyMap<string, Buffer>

  beforeAll(async () => {
    store = await opened()
    await store.use(async (used) => {
      await growLog(used, SIZE)
      const note = await publishCheckpoint(used, log)
      const { text } = parseNote(note)
      const line = await cosign(text, witness.key, witness.privateKey, 1_800_000_000)
      await publishCosigned(used, formatNote({ text, lines: [...parseNote(note).lines, line] }))
    })
    whole = await store.tamper((data) => data.copy())
  })
  beforeEach(() => store.tamper((data) => data.restore(whole)))
  afterAll(() => store?.close())

  const edited = (name: string, edit: (bytes: Buffer) => Buffer | undefined) =>
    store.tamper(async (data) => {
      const bytes = await data.get(store.piece(name))
      expect(bytes, name).toBeDefined()
      await data.set(store.piece(name), edit(Buffer.from(bytes ?? '')))
    })
  const flipped = (at: number) => (bytes: Buffer) => {
    bytes[at] = (bytes[at] as number) ^ 1
    return bytes
  }
  const records = (bundle: number, edit: (rows: LoggedRecord[]) => readonly LoggedRecord[]) =>
    store.tamper(async (data) => {
      const key = store.piece(`records/${bundle}`)
      const rows = edit([...decodeRecords((await data.get(key)) ?? Buffer.alloc(0))])
      await data.set(key, await compressedFrame(rows.map(recordRow)))
    })
  const swapped =
    <T>(a: number, b: number) =>
    (rows: T[]) => {
      ;[rows[a], rows[b]] = [rows[b] as T, rows[a] as T]
      return rows
    }

  test('untouched, it is what was signed and co-signed', async () => {
    const verified = await verify(store, { witnessed: true })
    expect([verified.size, verified.newest?.checkpoint.size, verified.cosigned?.signed.length]).toEqual([SIZE, SIZE, 2])
  })

  test('a byte of an entry, of its hash in the tile, of a hash above', async () => {
    await edited('tile/entries/1', flipped(10 * ENTRY_STRIDE + 20))
    await expectFault(store, 266, /its entry was altered/)
    await store.tamper((data) => data.restore(whole))
    await edited('tile/0/2', flipped(3 * HASH_BYTES))
    await expectFault(store, 515, /its hash in the tile/)
    await store.tamper((data) => data.restore(whole))
    await edited('tile/1/0', flipped(5 * HASH_BYTES + 31))
    await expectFault(
      store,
      5 * 256,
      /tile\/1\/0 is not the tree of the records 1280 to 1535, which are as they were signed/,
    )
  })

  test('a letter of a record, a bit of its salt, in a bundle that is full and in the one that is not', async () => {
    for (const [bundle, n] of [
      [3, 7],
      [17, 140],
    ] as const) {
      const index = bundle * 256 + n
      await records(bundle, (rows) =>
        rows.map((row, at) =>
          at === n ? { ...row, text: row.text.replace('granted', 'refused').replace('dec_', 'dec-') } : row,
        ),
      )
      await expectFault(store, index, /its record, or the salt of it/)
      await store.tamper((data) => data.restore(whole))
      await records(bundle, (rows) =>
        rows.map((row, at) => (at === n ? { ...row, salt: flipped(0)(Buffer.from(row.salt)) } : row)),
      )
      await expectFault(store, index, /its record, or the salt of it/)
      await store.tamper((data) => data.restore(whole))
    }
  })

  test('two records change places, or their bodies do, or their entries with them', async () => {
    await records(4, swapped(20, 30))
    await expectFault(store, 4 * 256 + 20, /its record, or the salt/)
    await edited('tile/entries/4', (bytes) => formatEntries(swapped<Buffer>(20, 30)([...parseEntries(bytes).entries])))
    await expectFault(store, 4 * 256 + 20, /its hash in the tile is not that of its entry/)
  })

  test('a record is taken out: of its bundle, with its entry, or the bundle as a whole', async () => {
    await records(6, (rows) => rows.filter((_, n) => n !== 100))
    await expectFault(store, 6 * 256 + 100, /its record, or the salt/)
    await store.tamper((data) => data.restore(whole))
    await records(17, (rows) => rows.slice(0, -1))
    await expectFault(store, SIZE - 1, /its record is gone/)
    await store.tamper((data) => data.restore(whole))
    await store.tamper((data) => data.set(store.piece('records/6'), undefined))
    await expectFault(store, 6 * 256, /there is no records\/6/)
    await store.tamper((data) => data.restore(whole))
    await edited('tile/entries/6', (bytes) => formatEntries(parseEntries(bytes).entries.filter((_, n) => n !== 100)))
    await expectFault(store, 6 * 256 + 100, /its entry was altered/)
    await store.tamper((data) => data.restore(whole))
    await edited('tile/entries/17', (bytes) => bytes.subarray(0, -ENTRY_STRIDE))
    await expectFault(store, SIZE - 1, /its entry is gone/)
  })

  test('a bundle that cannot be read, or was exchanged for another', async () => {
    await edited('records/2', flipped(40))
    expect((await faultOf(store)).index).toBeGreaterThanOrEqual(512)
    await store.tamper(async (data) => data.set(store.piece('records/2'), await data.get(store.piece('records/3'))))
    await expectFault(store, 512, /its record, or the salt/)
  })

  test('a row of a column is flipped, taken out or put in: who was searched for would not be found', async () => {
    await edited('column/agent/0', flipped(600))
    await expectFault(store, 100, /the column of agent/)
    await store.tamper((data) => data.restore(whole))
    await edited('column/user/0', (bytes) => Buffer.concat([bytes.subarray(0, 6 * 50), bytes.subarray(6 * 51)]))
    await expectFault(store, 50, /the column of user/)
    await store.tamper((data) => data.restore(whole))
    await store.tamper((data) => data.set(store.piece('column/session/0'), undefined))
    await expectFault(store, 0, /the column of session/)
    await store.tamper((data) => data.restore(whole))
    await edited('column/at/0', flipped(6 * 9 + 5))
    await expectFault(store, 9, /the column of at/)
    await store.tamper((data) => data.restore(whole))
    await edited('column/outcome/1', (bytes) => Buffer.concat([bytes, Buffer.alloc(6, 1)]))
    await expectFault(store, SIZE, /the column of outcome has rows of records that the log has not/)
    await store.tamper((data) => data.restore(whole))
    await edited('span', flipped(3))
    await expectFault(store, 0, /times that its chunk is found by/)
  })

  test('a text that records name is exchanged', async () => {
    await store.tamper(async (data) => {
      const key = store.piece('contents/1')
      const [[digest = '', text = ''] = [], ...rest] = decodeContents((await data.get(key)) ?? Buffer.alloc(0))
      const rows = [[digest, `${text} `] as const, ...rest].map(([name, one]) => contentRow(name, one))
      await data.set(key, await compressedFrame(rows))
    })
    await expectFault(store, 256, /a text in contents\/1/)
  })

  test('a text that records name is taken out, or all of a bundle are', async () => {
    await store.tamper(async (data) => {
      const key = store.piece('contents/1')
      const kept = [...decodeContents((await data.get(key)) ?? Buffer.alloc(0))]
      // The first record of the bundle is 256, and names what each fiftieth does.
      await data.set(key, await compressedFrame(kept.slice(1).map(([name, one]) => contentRow(name, one))))
    })
    await expectFault(store, 256, /the text that its question names is gone: contents\/1/)
    await store.tamper((data) => data.restore(whole))
    await store.tamper((data) => data.set(store.piece('contents/17'), undefined))
    await expectFault(store, 17 * 256, /the text that its question names is gone: contents\/17/)
  })

  test('the tail is cut off, head, tiles and records together: the checkpoint says how much is gone', async () => {
    await cutTo(store, 4_200)
    await expectFault(
      store,
      4_200,
      /the log ends here, and the newest checkpoint.* stands for 4500 records: its tail is gone/,
    )
  })

  test('the head alone is put back: the tree goes on behind it', async () => {
    const before = await earlierHead(store, 4_400)
    await store.tamper(async (data) => {
      await data.set(store.head, before)
      await data.set(store.document(CHECKPOINT_DOCUMENT), undefined)
      await data.set(store.document(COSIGNED_DOCUMENT), undefined)
    })
    await expectFault(store, 4_400, /the tree goes on behind the 4400 records/)
  })

  test('the head is put back to the end of a chunk, with a checkpoint of then; or is gone, with every checkpoint', async () => {
    const before = await earlierHead(store, 4_096)
    await store.tamper(async (data) => {
      await data.set(store.head, before)
      await data.set(store.document(COSIGNED_DOCUMENT), undefined)
    })
    await store.use((used) => publishCheckpoint(used, log))
    await expectFault(store, 4_096, /the tree goes on behind the 4096 records/)
    await store.tamper(async (data) => {
      await data.set(store.head, undefined)
      await data.set(store.document(CHECKPOINT_DOCUMENT), undefined)
    })
    await expectFault(store, 0, /the tree goes on behind the 0 records/)
  })

  test('rewritten from the first altered record on, all but the signature: the tiles above still say where', async () => {
    await rewrite(store, { from: 700, tiles: false })
    await expectFault(
      store,
      512,
      /of the records 512 to 767 some are not those that .* stands for, and tile\/1\/0 still has/,
    )
  })

  test('rewritten as a whole, tiles and head too: the last checkpoint that fits says from where', async () => {
    await rewrite(store, { from: 700, tiles: true })
    await expectFault(store, 0, /are not all those that the newest checkpoint/)
  })

  test('a checkpoint is forged with another key, or with none, or bent', async () => {
    const forger = keyed(log.key.name, 'log')
    await rewrite(store, { from: 700, tiles: true })
    await store.use((used) => publishCheckpoint(used, forger))
    await store.tamper((data) => data.set(store.document(COSIGNED_DOCUMENT), undefined))
    await expectFault(store, 0, /no key that is trusted here has signed it/)
    await store.tamper(async (data) => {
      const note = (await data.get(store.document(CHECKPOINT_DOCUMENT)))?.toString() ?? ''
      const claimed = note.replace(/— (\S+) (\S+)/, (_, name: string, line: string) => {
        const bytes = Buffer.concat([Buffer.from(log.key.id, 'hex'), Buffer.from(line, 'base64').subarray(4)])
        return `— ${name} ${bytes.toString('base64')}`
      })
      await data.set(store.document(CHECKPOINT_DOCUMENT), Buffer.from(claimed))
    })
    await expectFault(store, 0, /is not good/)
    await store.tamper((data) => data.set(store.document(CHECKPOINT_DOCUMENT), Buffer.from('gone')))
    await expectFault(store, 0, /newest checkpoint: /)
    await store.tamper((data) => data.set(store.document(CHECKPOINT_DOCUMENT), undefined))
    await expectFault(store, 0, /no checkpoint that is trusted here/)
  })

  test('everything is put back to an older state, checkpoint and all: found by a checkpoint kept elsewhere and by a witness', async () => {
    const older = await stateOf(store, 300)
    await store.tamper((data) => data.restore(older))
    // By itself an older log is as good as it was then.
    expect((await verify(store)).size).toBe(300)
    const note = whole.get(keyOfDocument(whole, CHECKPOINT_DOCUMENT))?.toString() ?? ''
    await expectFault(store, 300, /the log ends here, and the one kept stands for 4500 records/, { kept: [note] })
    const cosigned = whole.get(keyOfDocument(whole, COSIGNED_DOCUMENT))?.toString() ?? ''
    await expectFault(store, 300, /stands for 4500 records/, { kept: [cosigned], witnessed: false })
    await expectFault(store, 300, /witness.example\/w1 has co-signed no checkpoint/, { witnessed: true })
  })

  test('put back, and grown into another log since: the checkpoint kept elsewhere is not of it', async () => {
    const older = await stateOf(store, 300)
    await store.tamper((data) => data.restore(older))
    await store.use(async (used) => {
      await growLog(used, 4_300, 'other')
      await publishCheckpoint(used, log)
    })
    const note = whole.get(keyOfDocument(whole, CHECKPOINT_DOCUMENT))?.toString() ?? ''
    expect((await verify(store)).size).toBe(4_600)
    await expectFault(store, 0, /are not all those that the one kept stands for/, { kept: [note] })
    const early = older.get(keyOfDocument(older, CHECKPOINT_DOCUMENT))?.toString() ?? ''
    await expectFault(store, 300, /up to here the one kept fits/, { kept: [note, early] })
  })

  test('receipts are swapped, or made from what was altered', async () => {
    const receipts = await store.use((used) => Promise.all([10, 11].map((index) => receiptOf(index, used))))
    const [ten = '', eleven = ''] = receipts
    expect((await openReceipt(ten, [log.key])).record).toContain('"dec_10"')
    const lines = ten.split('\n')
    const other = eleven.split('\n')
    for (const n of [1, 2, 3]) {
      const mixed = lines.map((line, at) => (at === n ? (other[n] ?? '') : line)).join('\n')
      await expect(openReceipt(mixed, [log.key]), `line ${n}`).rejects.toThrow('another record at index')
    }
    await records(0, (rows) =>
      rows.map((row, n) => (n === 10 ? { ...row, text: row.text.replace('dec_10', 'dec_99') } : row)),
    )
    const altered = (await store.use((used) => receiptOf(10, used))) ?? ''
    await expect(openReceipt(altered, [log.key])).rejects.toThrow('another record at index 10')
    expect((await openReceipt(ten, [log.key])).index).toBe(10)
  })
})

/** The whole log as it was with so many records, signed then: a backup. */
async function stateOf(store: StoreAtRest, size: number): Promise<ReadonlyMap<string, Buffer>> {
  await store.tamper((data) => data.restore(new Map()))
  await store.use(async (used) => {
    await growLog(used, size)
    await publishCheckpoint(used, log)
  })
  return store.tamper((data) => data.copy())
}

async function earlierHead(store: StoreAtRest, size: number): Promise<Buffer> {
  const edge = Frontier.empty()
  const head = await store.tamper(async (data) => {
    for (let bundle = 0; bundle * 256 < size; bundle++) {
      const { entries } = parseEntries((await data.get(store.piece(`tile/entries/${bundle}`))) ?? Buffer.alloc(0))
      for (const entry of entries.slice(0, size - bundle * 256)) edge.add(leafHash(entry))
    }
    return parseHead((await data.get(store.head))?.toString())
  })
  return Buffer.from(formatHead({ ...head, size, root: edge.root(), frontier: edge.hashes }))
}

/** What a sequencer would go on from: nothing of what is cut off is left. */
async function cutTo(store: StoreAtRest, size: number): Promise<void> {
  const head = await earlierHead(store, size)
  const bundle = Math.floor(size / 256)
  await store.tamper(async (data) => {
    await data.set(store.head, head)
    await cutPiece(store, data, `tile/entries/${bundle}`, (size % 256) * ENTRY_STRIDE)
    await cutPiece(store, data, `tile/0/${bundle}`, (size % 256) * HASH_BYTES)
    await cutPiece(store, data, 'tile/1/0', bundle * HASH_BYTES)
    const key = store.piece(`records/${bundle}`)
    const rows = decodeRecords((await data.get(key)) ?? Buffer.alloc(0)).slice(0, size % 256)
    await data.set(key, await compressedFrame(rows.map(recordRow)))
    for (let gone = bundle + 1; gone * 256 < SIZE; gone++) {
      for (const name of ['tile/entries', 'tile/0', 'records'])
        await data.set(store.piece(`${name}/${gone}`), undefined)
    }
  })
}

async function cutPiece(store: StoreAtRest, data: AtRest, name: string, length: number): Promise<void> {
  await data.set(store.piece(name), (await data.get(store.piece(name)))?.subarray(0, length))
}

/** One record is another, and everything that follows from it is made to fit: with `tiles`, up to the head. */
async function rewrite(store: StoreAtRest, { from, tiles }: { from: number; tiles: boolean }): Promise<void> {
  const bundle = Math.floor(from / 256)
  await store.tamper(async (data) => {
    const key = store.piece(`records/${bundle}`)
    const rows = [...decodeRecords((await data.get(key)) ?? Buffer.alloc(0))]
    const row = rows[from % 256] as LoggedRecord
    const text = row.text
      .replace('"outcome":"granted"', '"outcome":"granted","x":1')
      .replace('"outcome":"refused"', '"outcome":"refused","x":1')
    rows[from % 256] = { ...row, text }
    await data.set(key, await compressedFrame(rows.map(recordRow)))
    const entries = rows.map((one) => saltedEntry(one.salt, one.text))
    await data.set(store.piece(`tile/entries/${bundle}`), formatEntries(entries))
    await data.set(store.piece(`tile/0/${bundle}`), Buffer.concat(entries.map(leafHash)))
    if (!tiles) return
    const above = Frontier.empty()
    for (const entry of entries) above.add(leafHash(entry))
    const tile = Buffer.from((await data.get(store.piece('tile/1/0'))) ?? '')
    above.root().copy(tile, bundle * HASH_BYTES)
    await data.set(store.piece('tile/1/0'), tile)
  })
  if (!tiles) return
  const head = await earlierHead(store, SIZE)
  await store.tamper((data) => data.set(store.head, head))
}

function keyOfDocument(copy: ReadonlyMap<string, Buffer>, name: string): string {
  return [...copy.keys()].find((key) => key.endsWith(`document:${name}`)) ?? ''
}
