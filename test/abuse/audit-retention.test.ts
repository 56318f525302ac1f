/**
 * R173: what is older, or more, than is kept loses its bodies and nothing else, in LMDB and in Redis; and whoever deletes bodies and
 * says that they were pruned is found.
 */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CursorDocument } from '../../src/audit/export/export-cursor.ts'
import { Exporter } from '../../src/audit/export/exporter.ts'
import type { ExportGap, Sink } from '../../src/audit/export/sink.ts'
import { compressedFrame, decodeRecords, type LoggedRecord } from '../../src/audit/log/bodies.ts'
import { parseHead } from '../../src/audit/log/head.ts'
import { tilesOf } from '../../src/audit/log/layout.ts'
import { CHECKPOINT_DOCUMENT } from '../../src/audit/log/log-documents.ts'
import { signPruned } from '../../src/audit/log/pruning-notice.ts'
import { verifyAgainst } from '../../src/audit/log/verify/anchors.ts'
import { LogFault } from '../../src/audit/log/verify/log-source.ts'
import type { RetentionSettings } from '../../src/audit/retention/old-bundles.ts'
import { newDecisionId } from '../../src/kernel/ids.ts'
import { PRUNER_STAYS_MS, PRUNING_LOOKS_MS } from '../../src/kernel/log-limits.ts'
import type { AuditRecord } from '../../src/model/audit-record.ts'
import type { Store } from '../../src/store/ports.ts'
import { openCheckpoint } from '../../src/tlog/checkpoint.ts'
import { consistencyProof, inclusionProof, verifyConsistency, verifyInclusion } from '../../src/tlog/proofs.ts'
import { TiledTree } from '../../src/tlog/subtrees.ts'
import { embeddedAtRest, redisAtRest, type StoreAtRest } from '../support/at-rest.ts'
import { growLog } from '../support/grown-log.ts'
import { trailOf } from '../support/log-filling.ts'
import { recordRow } from '../support/record-row.ts'
import { grownAt, RetainedLog, type RetainedOptions } from '../support/retained-log.ts'
import { testSigner } from '../support/whole-log.ts'
import { HandClock } from '../unit/sessions/fixtures.ts'

const DAY_MS = 86_400_000
const SIZE = 4_700
const signer = testSigner()

/** By a clock that makes everything before this record a day old. */
function brokerAt(store: Store, index: number, over: Partial<RetainedOptions> = {}): RetainedLog {
  const clock = new HandClock(grownAt(index) + DAY_MS)
  const settings: RetentionSettings = { keepMs: DAY_MS, keepRecords: undefined }
  return new RetainedLog(store, { settings, clock, signer, ...over })
}

async function verify({ log: source, documents }: Store) {
  const newest = await documents.read(CHECKPOINT_DOCUMENT)
  return verifyAgainst({ newest, cosigned: undefined, kept: [] }, { keys: [signer.key], witnesses: [] }, { source })
}

async function expectFault(store: Store, index: number, what: RegExp): Promise<void> {
  const fault = await verify(store).then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(fault).toBeInstanceOf(LogFault)
  expect([(fault as LogFault).index, (fault as LogFault).message]).toEqual([index, expect.stringMatching(what)])
}

describe.each([
  ['LMDB', async () => embeddedAtRest()],
  ['Redis', redisAtRest],
])('the log in %s', (_name, opened) => {
  let atRest: StoreAtRest
  beforeEach(async () => {
    atRest = await opened()
    await atRest.use(async (store) => {
      await growLog(store, SIZE, '', true)
      await brokerAt(store, 0).sequence()
    })
  })
  afterEach(() => atRest?.close())

  test('whole bundles of what is too old go from the beginning, with the columns of a chunk that is gone, and it verifies', async () => {
    await atRest.use(async (store) => {
      const broker = brokerAt(store, 4_500)
      expect(await broker.prune()).toBe(true)
      expect(broker.failures).toEqual([])
      expect(broker.retention.firstKept).toBe(4_352)
      expect(await store.log.read(['records/16', 'contents/16', 'column/at/0', 'column/event/0'])).toEqual(
        Array.from({ length: 4 }, () => undefined),
      )
      expect(await verify(store)).toMatchObject({ size: SIZE + 1, pruned: 4_352 })
      const trail = trailOf(store)
      expect(await trail.extent()).toMatchObject({ size: SIZE + 1, pruned: 4_352, oldest: { id: 'dec_4352' } })
      expect((await trail.page({ session: 'ses_3' }, 200)).gaps).toEqual([
        { why: 'pruned', first: 0, records: 4_096 + 6 },
      ])
      const [notice] = (await trail.page({ event: 'audit.pruned' }, 10)).entries
      expect(notice?.record).toMatchObject({
        by: 'operator:broker',
        pruned: { from: 0, to: 4_352, why: 'keep_days', size: SIZE },
      })
    })
  })

  test('every inclusion and consistency proof still holds', async () => {
    await atRest.use(async (store) => {
      const before = await openCheckpoint((await store.documents.read(CHECKPOINT_DOCUMENT)) ?? '', [signer.key])
      await brokerAt(store, 4_200).prune()
      const head = parseHead(await store.log.head())
      const tiles = tilesOf(store.log)
      const consistency = await consistencyProof(before.checkpoint.size, head.size, tiles)
      expect(verifyConsistency(before.checkpoint, head, consistency)).toBe(true)
      for (const index of [0, 255, 256, 4_095, 4_096, SIZE - 1]) {
        const leaf = await new TiledTree(head.size, tiles).range(index, index + 1)
        const proof = await inclusionProof(index, head.size, tiles)
        expect(verifyInclusion(leaf, index, head, proof)).toBe(true)
      }
    })
  })

  test('bodies that nobody announced are found, with the index, and nothing is pruned over it', async () => {
    await atRest.use(async (store) => {
      await store.log.remove(['records/0', 'contents/0'])
      await expectFault(store, 0, /its record is gone/)
      const broker = brokerAt(store, 4_500)
      await broker.prune()
      expect(broker.failures.map(String)).toEqual([expect.stringContaining('records before 256 are gone')])
      await expectFault(store, 0, /its record is gone/)
    })
  })

  test('of what was pruned, bodies above the boundary that the log states are found when they are gone', async () => {
    await atRest.use(async (store) => {
      await brokerAt(store, 600).prune()
      expect(await verify(store)).toMatchObject({ pruned: 512 })
      await store.log.remove(['records/2', 'contents/2'])
      await expectFault(store, 512, /its record is gone/)
    })
  })
  test('what is gone is a gap to whoever follows the log, and an agent that nobody knows any more keeps its history of the window', async () => {
    await atRest.use(async (store) => {
      await brokerAt(store, 1_100).prune()
      const trail = trailOf(store)
      expect((await trail.from(1_000, 200)).gaps).toEqual([{ why: 'pruned', first: 1_000, records: 24 }])
      const gaps: ExportGap[] = []
      const sent: number[] = []
      const done = { kind: 'taken' } as const
      const sink: Sink = {
        sendRecords: async (records) => {
          sent.push(...records.map(({ index }) => index))
          return done
        },
        sendGap: async (gap) => {
          gaps.push(gap)
          return done
        },
        sendAlarm: async () => done,
      }
      await exportAll(store, sink)
      expect(gaps).toEqual([{ why: 'pruned', first: 0, records: 1_024 }])
      expect(sent).toEqual(Array.from({ length: SIZE + 1 - 1_024 }, (_, n) => 1_024 + n))
      const ofAgent: number[] = []
      let [page, lost] = [await trail.page({ agent: 'agent-3' }, 200), 0]
      for (;;) {
        ofAgent.push(...page.entries.map(({ index }) => index ?? -1))
        lost += page.gaps.reduce((sum, { records = 0 }) => sum + records, 0)
        if (page.after === undefined) break
        page = await trail.page({ agent: 'agent-3' }, 200, page.after)
      }
      const all = Array.from({ length: SIZE }, (_, n) => n).filter((n) => n % 7 === 3)
      expect(ofAgent.toReversed()).toEqual(all.filter((n) => n >= 1_024))
      expect(lost).toBe(all.filter((n) => n < 1_024).length)
    })
  })

  test('a record that nobody with the key of the log has signed, or that was signed of another log, makes no body missing', async () => {
    await atRest.use(async (store) => {
      await store.log.remove(['records/0', 'contents/0'])
      const head = parseHead(await store.log.head())
      const root = head.root.toString('base64')
      const stretch = { from: 0, to: 256, why: 'keep_days' as const }
      const said = [
        await signPruned({ ...stretch, size: SIZE, root }, testSigner()),
        await signPruned({ ...stretch, size: SIZE, root: sha('another log') }, signer),
        { ...(await signPruned({ ...stretch, to: 0, size: SIZE, root }, signer)), to: 256 },
        { ...stretch, size: SIZE, root, signature: '' },
      ]
      for (const pruned of said) {
        const id = newDecisionId()
        const by = { by: 'operator:broker', by_class: 'operator', outcome: 'granted' } as const
        const at = new Date(grownAt(SIZE)).toISOString()
        const record: AuditRecord = { id, at, event: 'audit.pruned', ...by, pruned }
        await store.audit.append(id, JSON.stringify(record))
      }
      await brokerAt(store, 0).sequence()
      await expectFault(store, 0, /its record is gone/)
    })
  })

  test('a broker that ends between any two turns leaves what the next one goes on with', async () => {
    await atRest.use(async (store) => {
      for (let turns = 1; turns < 40; turns += 1) {
        await brokerAt(store, 4_500, { by: 'restarted' }).prune(turns % 5)
        await verify(store)
      }
      expect((await trailOf(store).extent()).pruned).toBe(4_352)
    })
  })

  test('another goes on a minute after the one that prunes was last heard of, and looks ten minutes after one that had nothing to do', async () => {
    await atRest.use(async (store) => {
      const beganMs = grownAt(4_360) + DAY_MS
      const clock = new HandClock(beganMs)
      await brokerAt(store, 4_360, { by: 'one', clock }).prune(2)
      const two = brokerAt(store, 4_360, { by: 'two', clock })
      await two.sequence()
      expect(await two.retention.turn()).toBe(PRUNER_STAYS_MS)
      clock.ms = beganMs + PRUNER_STAYS_MS - 1
      await two.retention.turn()
      expect(two.retention.firstKept).toBe(0)
      clock.ms = beganMs + PRUNER_STAYS_MS
      expect(await two.prune()).toBe(true)
      expect(two.retention.firstKept).toBe(4_352)
      expect((await trailOf(store).page({ event: 'audit.pruned' }, 10)).entries).toHaveLength(1)
      const three = brokerAt(store, 4_360, { by: 'three', clock })
      await three.sequence()
      clock.ms += PRUNING_LOOKS_MS - 1
      expect(await three.retention.turn()).toBe(PRUNER_STAYS_MS)
      clock.ms += 1
      // By now there is more to prune.
      expect(await three.retention.turn()).toBeLessThan(PRUNER_STAYS_MS)
    })
  })

  test('two brokers that prune at once, and take each other for themselves, do no harm', async () => {
    await atRest.use(async (store) => {
      const [one, two] = [brokerAt(store, 4_500), brokerAt(store, 4_500)]
      await Promise.all([one.prune(60), two.prune(60)])
      await one.prune()
      expect([...one.failures, ...two.failures]).toEqual([])
      expect(await verify(store)).toMatchObject({ pruned: 4_352 })
      expect((await trailOf(store).extent()).pruned).toBe(4_352)
    })
  })

  test('a bundle that is not as it was written stays, with all behind it', async () => {
    await atRest.use(async (store) => {
      const [piece] = await store.log.read(['records/1'])
      const rows = [...decodeRecords(piece ?? Buffer.alloc(0))]
      const [first, second] = rows as [LoggedRecord, LoggedRecord]
      const bent = await compressedFrame([second, first, ...rows.slice(2)].map(recordRow))
      const text = (await store.log.head()) ?? ''
      await store.log.append(text, text, [{ name: 'records/1', put: bent }])
      const broker = brokerAt(store, 4_500)
      await broker.prune()
      expect(broker.failures).toHaveLength(1)
      expect(broker.retention.firstKept).toBe(0)
      await expectFault(store, 256, /not what the log has committed to/)
    })
  })

  test('a broker whose clock is set to a wrong year prunes nothing: the store’s clock counts, too', async () => {
    await atRest.use(async (store) => {
      const storeNowMs = async () => grownAt(SIZE)
      const settings = { keepMs: DAY_MS, keepRecords: undefined }
      const broker = new RetainedLog(store, {
        settings,
        clock: new HandClock(grownAt(SIZE) + 400 * DAY_MS),
        signer,
        storeNowMs,
      })
      expect(await broker.prune()).toBe(true)
      expect([broker.retention.firstKept, broker.failures]).toEqual([0, []])
    })
  })

  test('more than are to be kept are pruned before their time, but never those of the last ten minutes; keys of what is gone are forgotten', async () => {
    await atRest.use(async (store) => {
      const forgotten: number[] = []
      const settings = { keepMs: 365 * DAY_MS, keepRecords: 4_096 }
      const forgetKeys = async (beforeMs: number) => void forgotten.push(beforeMs)
      const broker = brokerAt(store, 0, { settings, forgetKeys })
      await broker.prune()
      expect(broker.retention.firstKept).toBe(768)
      expect(forgotten).toEqual([grownAt(768)])
      expect((await trailOf(store).page({ event: 'audit.pruned' }, 1)).entries[0]?.record.pruned?.why).toBe(
        'keep_records',
      )
      const young = new HandClock(grownAt(2_048) + 600_000)
      const all = new RetainedLog(store, { settings: { keepMs: 0, keepRecords: 0 }, clock: young, signer })
      await all.prune()
      expect(all.retention.firstKept).toBe(2_048)
      expect(await verify(store)).toMatchObject({ pruned: 2_048 })
    })
  })

  test('whatever is pruned, every proof of the tree holds, and what is kept verifies', async () => {
    await atRest.use(async (store) => {
      const index = fc.integer({ min: 0, max: SIZE - 1 })
      let before = parseHead(await store.log.head())
      const upTo = fc.array(index, { minLength: 1, maxLength: 4 }).map((all) => all.toSorted((a, b) => a - b))
      const [steps = []] = fc.sample(upTo, 1)
      for (const step of steps) {
        await brokerAt(store, step).prune()
        const head = parseHead(await store.log.head())
        const tiles = tilesOf(store.log)
        expect(verifyConsistency(before, head, await consistencyProof(before.size, head.size, tiles))).toBe(true)
        for (const at of fc.sample(index, 20)) {
          const leaf = await new TiledTree(head.size, tiles).range(at, at + 1)
          expect(verifyInclusion(leaf, at, head, await inclusionProof(at, head.size, tiles))).toBe(true)
        }
        expect((await verify(store)).pruned, `pruned up to ${steps}`).toBe((await trailOf(store).extent()).pruned)
        before = head
      }
    })
  })
})

/** As a broker's exporter is wired (`src/exporting.ts`). */
async function exportAll(store: Store, sink: Sink): Promise<void> {
  const trail = trailOf(store)
  const exporter = new Exporter({
    name: 'siem',
    sink,
    source: {
      from: async (from, limit) => {
        const { entries, next, gaps } = await trail.from(from, limit)
        return { entries, next, gaps: gaps as readonly ExportGap[] }
      },
      size: async () => parseHead(await store.log.head()).size,
    },
    cursor: new CursorDocument(store.documents, 'siem'),
    ...{ wants: () => true, looksAt: 500, batchMax: 500, begins: 'beginning', by: 'one' },
    ...{ ticks: { ticksMs: () => 0 }, nowMs: () => grownAt(SIZE) },
    observer: {
      taken: ignored,
      notTaken: ignored,
      lost: ignored,
      behind: ignored,
      failed: (_, error) => {
        throw error
      },
    },
  })
  for (let turns = 0; turns < 40; turns += 1) await exporter.turn()
}
const ignored = () => undefined
const sha = (text: string) => createHash('sha256').update(text).digest('base64')

test('what a lost end of the log has said of a pruning is no leave to prune what the log has by now', async () => {
  const atRest = await redisAtRest()
  try {
    await atRest.use(async (store) => {
      await growLog(store, 1_100, '', true)
      const broker = brokerAt(store, 600)
      await broker.sequence()
      const copy = await atRest.tamper((data) => data.copy())
      expect(await broker.prune()).toBe(true)
      expect(broker.retention.firstKept).toBe(512)
      await atRest.tamper((data) => data.restore(copy))
      // It goes on without what it has lost, and is longer again before that broker looks.
      await growLog(store, 400, 'other', true)
      for (let turns = 0; turns < 3; turns += 1) await broker.retention.turn()
      const kept = await store.log.read(['records/0', 'records/1'])
      expect(kept.map((piece) => piece === undefined)).toEqual([false, false])
    })
  } finally {
    await atRest.close()
  }
})
