/** Every record of every outbox enters the log once, in order, and is signed there; whatever is wrong with the log stays as it is. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Acknowledged } from '../../../../src/audit/log/acknowledged.ts'
import { Checkpoints } from '../../../../src/audit/log/checkpoints.ts'
import { Sequencer } from '../../../../src/audit/log/sequencer.ts'
import type { SequencingFailure } from '../../../../src/audit/log/sequencing-failure.ts'
import { sha256 } from '../../../../src/kernel/digest.ts'
import { newDecisionId } from '../../../../src/kernel/ids.ts'
import {
  SEQUENCED_KEPT_MS,
  SEQUENCER_LOOKS_MS,
  SEQUENCER_STAYS_MS,
  TRIM_MS,
} from '../../../../src/kernel/log-limits.ts'
import type { AuditRecord } from '../../../../src/model/audit-record.ts'
import type { Store } from '../../../../src/store/ports.ts'
import { contentsOfLog, testSigner, wholeLog } from '../../../support/whole-log.ts'
import { HandClock, type TestStore, testStore } from '../../sessions/fixtures.ts'

const signer = testSigner()
const clock = new HandClock()
let held: TestStore
let store: Store
let ms = 0
let failures: SequencingFailure[] = []
beforeEach(async () => {
  held = await testStore(clock)
  store = held.store
  ms = 0
  failures = []
})
afterEach(() => held.close())

function broker(over: Partial<Store> = {}, usage = () => ({ records: 0, limit: 1 })): Sequencer {
  const { audit, log, documents } = { ...store, ...over }
  const checkpoints = new Checkpoints({ documents, log, logKey: { signer: async () => signer } })
  const ticks = { ticksMs: () => ms }
  const failed = (reason: SequencingFailure) => void failures.push(reason)
  const acknowledged = new Acknowledged(audit)
  return new Sequencer({ acknowledged, audit, log, checkpoints, clock, ticks, usage, by: 'broker', failed })
}

function recordOf(over: Partial<AuditRecord> = {}): AuditRecord {
  const at = new Date(clock.nowMs()).toISOString()
  const by = { by: 'agent:researcher', by_class: 'agent' } as const
  return { id: newDecisionId(), at, event: 'token.continue', outcome: 'granted', ...by, ...over }
}

async function append(count: number, over: Partial<AuditRecord> = {}): Promise<readonly string[]> {
  const texts = Array.from({ length: count }, () => JSON.stringify(recordOf(over)))
  await Promise.all(texts.map((text) => store.audit.append('key', text)))
  return texts
}

const textsOf = async () => (await wholeLog(store, signer)).records.map(({ text }) => text)

test('records of known callers and of strangers enter the log once, and what is signed covers them', async () => {
  const one = broker()
  await one.tick()
  expect(await store.log.head()).toBeUndefined()
  const texts = [...(await append(3)), ...(await append(600))]
  const stranger = JSON.stringify(recordOf({ by: 'stranger', by_class: 'stranger', event: 'strangers.refused' }))
  await store.audit.appendStrangers(stranger)
  await one.tick()
  await one.tick()
  expect((await textsOf()).toSorted()).toEqual([...texts, stranger].toSorted())
  expect((await wholeLog(store, signer)).signed).toBe(604)
  expect(one.state).toEqual({ size: 604, unsequenced: 0, behindMs: 0, remembered: 0, problem: undefined })
  expect(failures).toEqual([])
})

test('what records name, and what that names in turn, is kept with them', async () => {
  const part = JSON.stringify({ resources: 'x'.repeat(300) })
  const question = JSON.stringify({ question: { asked: { resources: sha256(part) } } })
  const contents = [part, question].map((text) => ({ digest: sha256(text), text }))
  const one = broker()
  for (const key of ['a', 'b']) {
    await store.audit.append(key, JSON.stringify(recordOf({ question: sha256(question) })), contents)
    await one.tick()
  }
  await append(400)
  await one.tick()
  await store.audit.append('c', JSON.stringify(recordOf({ question: sha256(question) })), contents)
  await one.tick()
  const kept = await contentsOfLog(store)
  expect([...kept.keys()].toSorted()).toEqual([sha256(part), sha256(question)].toSorted())
  expect(kept.get(sha256(question))).toBe(question)
  expect(await textsOf()).toHaveLength(403)
})

test('a text that is no record does not stand in the way', async () => {
  await store.audit.append('key', 'no record')
  await store.audit.append('key', '"neither"')
  await append(1)
  await broker().tick()
  expect(await textsOf()).toHaveLength(3)
})

test('two brokers take turns: whoever has just sequenced goes on, and a second later the other may', async () => {
  const [one, two] = [broker(), broker()]
  await append(5)
  await one.tick()
  await two.tick()
  await append(5)
  ms += SEQUENCER_LOOKS_MS / 2
  await two.tick()
  expect((await wholeLog(store)).head.size).toBe(5)
  await one.tick()
  expect((await wholeLog(store)).head.size).toBe(10)
  await append(5)
  ms += SEQUENCER_STAYS_MS
  await two.tick()
  ms += SEQUENCER_STAYS_MS
  await two.tick()
  await one.tick()
  expect((await wholeLog(store, signer)).head.size).toBe(15)
  await append(5)
  await two.tick()
  expect((await wholeLog(store, signer)).head.size).toBe(20)
})

test('brokers that race for every append lose nothing, and write nothing twice', async () => {
  const brokers = [broker(), broker(), broker()]
  const texts: string[] = []
  for (let round = 0; round < 40; round++) {
    texts.push(...(await append(round % 7)))
    ms += 2 * SEQUENCER_STAYS_MS
    await Promise.all(brokers.map((one) => one.tick()))
  }
  ms += 2 * SEQUENCER_STAYS_MS
  await brokers[0]?.tick()
  ms += 2 * SEQUENCER_STAYS_MS
  await brokers[0]?.tick()
  expect((await textsOf()).toSorted()).toEqual(texts.toSorted())
  expect(failures).toEqual([])
})

describe('outboxes are trimmed', () => {
  test('behind what is signed, and a minute later', async () => {
    const one = broker()
    await append(10)
    await one.tick()
    ms += SEQUENCED_KEPT_MS - 1
    await one.tick()
    expect(await store.audit.latest(100)).toHaveLength(10)
    await append(1)
    ms += TRIM_MS
    await one.tick()
    expect(await store.audit.latest(100)).toHaveLength(1)
    ms += SEQUENCED_KEPT_MS + TRIM_MS
    await one.tick()
    ms += SEQUENCED_KEPT_MS
    await one.tick()
    expect(await store.audit.latest(100)).toHaveLength(0)
    await append(3)
    await one.tick()
    expect(await textsOf()).toHaveLength(14)
  })

  test('sooner where they fill up', async () => {
    const one = broker({}, () => ({ records: 6, limit: 10 }))
    await append(10)
    await one.tick()
    ms += 5_000
    await one.tick()
    expect(await store.audit.latest(100)).toHaveLength(0)
  })
})

describe('a log that is damaged is refused, and not written over', () => {
  test.each([
    ['is no JSON', '{"v":1'],
    ['has members that nobody knows', undefined],
    ['contradicts itself', undefined],
  ])('where the head %s', async (what, text) => {
    await append(3)
    await broker().tick()
    const good = (await store.log.head()) ?? ''
    const parsed = JSON.parse(good)
    const bad = text ?? JSON.stringify(what.startsWith('has') ? { ...parsed, more: 1 } : { ...parsed, size: 4 })
    await store.log.append(good, bad, [])
    await append(1)
    const two = broker()
    await two.tick()
    expect(failures).toEqual(['damaged'])
    expect(two.state.problem).toContain('the head of the audit log')
    expect(await store.log.head()).toBe(bad)
    await store.log.append(bad, good, [])
    ms += SEQUENCER_STAYS_MS
    await two.tick()
    ms += SEQUENCER_STAYS_MS
    await two.tick()
    expect(two.state.problem).toBeUndefined()
    expect(await textsOf()).toHaveLength(4)
  })

  test.each(['tile/0/0', 'tile/entries/0', 'records/0', 'column/at/0'])('where %s is cut short', async (name) => {
    await append(3)
    await broker().tick()
    const [piece = Buffer.alloc(0)] = await store.log.read([name])
    const head = (await store.log.head()) ?? ''
    await store.log.append(head, head, [{ name, put: piece.subarray(0, -1) }])
    await append(1)
    await broker().tick()
    expect(failures).toEqual(['damaged'])
    expect(await store.log.head()).toBe(head)
  })
})

test('a record that was written again and is in the log already is passed over, and the outbox is read on behind it', async () => {
  const texts = Array.from({ length: 3 }, () => JSON.stringify(recordOf()))
  const [first = '', second = ''] = ['1-0000000001-one.1', '1-0000000002-one.2']
  const entries = [
    { position: first, record: texts[0] ?? '' },
    { position: second, record: texts[1] ?? '' },
  ]
  const asked: (string | undefined)[] = []
  const audit = {
    outboxes: ['s0'],
    trim: async () => false,
    contentsIn: async () => new Map(),
    holds: async () => new Set<string>(),
    pending: async (cursors: ReadonlyMap<string, string>) => {
      const cursor = cursors.get('s0')
      asked.push(cursor)
      const behind = entries.filter(({ position }) => position > (cursor ?? ''))
      return new Map(behind.length === 0 ? [] : [['s0', behind]])
    },
  }
  const one = broker({ audit: audit as never })
  await one.tick()
  // The second is known by where it was first, and a third is new.
  entries.push({ position: `1-0000000003-two.1~${second}`, record: texts[1] ?? '' })
  await one.tick()
  expect(await textsOf()).toEqual(texts.slice(0, 2))
  await one.tick()
  expect(asked.at(-1)).toBe(`1-0000000003-two.1~${second}`)
  entries.push({ position: '1-0000000004-two.2', record: texts[2] ?? '' })
  await one.tick()
  expect(await textsOf()).toEqual(texts)
  expect(failures).toEqual([])
})
