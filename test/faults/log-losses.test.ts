/**
 * H74: a Redis that fails over to a replica that lacks the last writes, and a log that is set back to an older copy. What was
 * acknowledged is in the log once all the same; what was signed stays what the log says, or nothing is signed any more.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Acknowledged } from '../../src/audit/log/acknowledged.ts'
import { Checkpoints } from '../../src/audit/log/checkpoints.ts'
import { type LogContinuing, logContinuing } from '../../src/audit/log/continue-log.ts'
import { parseHead } from '../../src/audit/log/head.ts'
import { Sequencer } from '../../src/audit/log/sequencer.ts'
import type { SequencingFailure } from '../../src/audit/log/sequencing-failure.ts'
import { type FoundCheckpoint, verifyAgainst } from '../../src/audit/log/verify/anchors.ts'
import { LogFault } from '../../src/audit/log/verify/log-source.ts'
import { systemClock, systemTicks } from '../../src/kernel/clock.ts'
import { newDecisionId } from '../../src/kernel/ids.ts'
import type { StoreOptions } from '../../src/store/open-store.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { openCheckpoint } from '../../src/tlog/checkpoint.ts'
import type { NoteKey } from '../../src/tlog/note-keys.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type ReplicatedRedis, startReplicatedRedis } from '../support/redis-replicas.ts'
import { testSigner, type WholeLog, wholeLog } from '../support/whole-log.ts'

vi.mock('../../src/kernel/store-limits.ts', async (original) =>
  (await import('../support/patient-limits.ts')).patientLimits(original),
)

const signer = testSigner()
/** The same key, under the name that the log is asked to have. */
const logKey = { signer: async (origin?: string) => testSigner(signer.pem, origin) }

interface Broker {
  readonly store: Store
  readonly sequencer: Sequencer
  readonly continuing: LogContinuing
  readonly failures: SequencingFailure[]
  readonly acked: string[]
  close(): Promise<void>
}

async function broker(options: StoreOptions, by = 'broker'): Promise<Broker> {
  const store = await openStore(options)
  const failures: SequencingFailure[] = []
  const acknowledged = new Acknowledged(store.audit)
  store.audit.watch(acknowledged)
  const checkpoints = new Checkpoints({ ...store, logKey })
  const sequencer = new Sequencer({
    ...store,
    acknowledged,
    checkpoints,
    usage: () => undefined,
    clock: systemClock,
    ticks: systemTicks,
    by,
    failed: (reason) => void failures.push(reason),
  })
  sequencer.start()
  return {
    store,
    sequencer,
    continuing: logContinuing(store.log, checkpoints, () => sequencer.tick()),
    failures,
    acked: [],
    async close() {
      await sequencer.stop()
      await store.close()
    },
  }
}

/** As many as are acknowledged are remembered by the test, too. */
async function write({ store, acked }: Broker, count: number): Promise<void> {
  const one = async (n: number) => {
    const at = new Date(systemClock.nowMs()).toISOString()
    const by = { by: 'agent:researcher', by_class: 'agent' } as const
    const text = JSON.stringify({ id: newDecisionId(), at, event: 'token.continue', outcome: 'granted', ...by })
    await (n % 8 === 0 ? store.audit.appendStrangers(text) : store.audit.append(text, text))
    acked.push(text)
  }
  await Promise.allSettled(Array.from({ length: count }, (_, n) => one(n)))
}

const signedSize = async ({ store }: Broker) => (await wholeLog(store, signer).catch(() => undefined))?.signed ?? 0

/** Not read while somebody appends to it. */
async function settledLog({ store }: Broker): Promise<WholeLog> {
  let found: WholeLog | undefined
  await expect.poll(async () => (found = await wholeLog(store, signer))).toBeDefined()
  return found as unknown as WholeLog
}

/** Of a store that a busy machine keeps waiting no more is said than that. */
const refusals = ({ failures }: Broker) => failures.filter((reason) => reason !== 'store')

async function expectAll(brokers: readonly Broker[]): Promise<void> {
  const [one] = brokers as [Broker]
  const acked = brokers.flatMap((each) => each.acked)
  const missing = async () => {
    const { records } = await wholeLog(one.store, signer).catch(() => ({ records: [] }))
    const texts = new Set(records.map(({ text }) => text))
    return acked.filter((text) => !texts.has(text)).length
  }
  await expect.poll(missing).toBe(0)
  await expect.poll(() => signedSize(one)).toBeGreaterThanOrEqual(acked.length)
  await sleep(500)
  const texts = (await settledLog(one)).records.map(({ text }) => text)
  expect(new Set(texts).size).toBe(texts.length)
}

describe('a failover to a replica that lacks the last writes', () => {
  let set: ReplicatedRedis
  let brokers: Broker[]
  beforeEach(async () => {
    set = await startReplicatedRedis({ replicas: 1, downAfterMs: 60_000, args: ['--repl-backlog-size', '1mb'] })
    const options = { kind: 'redis', sentinel: { name: set.name, hosts: set.hosts }, org: 'default' } as const
    brokers = await Promise.all(['one', 'two'].map((by) => broker(options as StoreOptions, by)))
  })
  afterEach(async () => {
    for (const one of brokers) await one.close()
    await set.stop()
  })

  const newest = () => brokers[0]?.store.documents.read('audit-checkpoint')
  const sizeOf = async (note = '') => (await openCheckpoint(note, [signer.key])).checkpoint.size

  /** 200 records that both servers have, and 140 that were signed and that the primary alone has. */
  async function written(): Promise<void> {
    const [one, two] = brokers as [Broker, Broker]
    await Promise.all([write(one, 100), write(two, 100)])
    await expectAll(brokers)
    const [old, replica] = set.members
    if (old === undefined || replica === undefined) throw new Error('two servers')
    // It hears nothing more, nor finds anything in its socket later: what follows is acknowledged by the primary alone.
    replica.redis.pause()
    const primary = new Redis(old.redis.url)
    expect(await primary.call('CLIENT', 'KILL', 'TYPE', 'replica')).toBe(1)
    primary.disconnect()
    await write(one, 60)
    await sleep(600)
    await Promise.all([write(one, 40), write(two, 40)])
    const acked = () => one.acked.length + two.acked.length
    await expect.poll(async () => sizeOf(await newest())).toBeGreaterThanOrEqual(acked())
  }

  async function failOver(): Promise<void> {
    const [old, replica] = set.members
    await old?.redis.kill()
    replica?.redis.resume()
    // Not before: a primary that a busy machine keeps waiting is not gone.
    await set.replacedAfter(1_000)
    if (old !== undefined) await set.failedOver(old)
  }

  /** Until both stores are served again. */
  async function served(): Promise<void> {
    const more = async (one: Broker) => {
      const before = one.acked.length
      await write(one, 1)
      return one.acked.length - before
    }
    for (const one of brokers) await expect.poll(() => more(one)).toBe(1)
  }

  async function expectGoneOn(signed: string | undefined): Promise<void> {
    const [one, two] = brokers as [Broker, Broker]
    await expectAll(brokers)
    expect((await settledLog(one)).signed).toBeGreaterThan(await sizeOf(signed))
    const reasons = [...refusals(one), ...refusals(two)]
    expect(reasons.filter((reason) => reason !== 'rolled_back')).toEqual([])
  }

  test('loses no record that was acknowledged, doubles none, and forks nothing that was signed', async () => {
    await written()
    const signed = await newest()
    await failOver()
    await served()
    await expectGoneOn(signed)
  })

  test('doubles none where whoever sequenced them gives the log back what others have written again by then', async () => {
    await written()
    const signed = await newest()
    const { by } = parseHead(await brokers[0]?.store.log.head())
    const [first, other] = (by === 'one' ? brokers : brokers.toReversed()) as [Broker, Broker]
    // The other has seen what was signed: it will not sequence behind less.
    await expect.poll(async () => other.sequencer.state.size === (await sizeOf(await newest()))).toBe(true)
    await first.sequencer.stop()
    await failOver()
    await served()
    const lost = other.acked[other.acked.length - 2] ?? ''
    const writtenAgain = async () => (await other.store.audit.latest(1_000)).some(({ record }) => record === lost)
    await expect.poll(writtenAgain).toBe(true)
    await expect.poll(() => other.failures).toContain('rolled_back')
    first.sequencer.start()
    await expectGoneOn(signed)
  })
})

describe('a log that is set back to an older copy', () => {
  let redis: RunningRedis
  let admin: Redis
  let one: Broker
  beforeEach(async () => {
    redis = await startRedis()
    admin = new Redis(redis.url)
    one = await broker({ kind: 'redis', url: redis.url, org: 'default' })
  })
  afterEach(async () => {
    await one.close()
    admin.disconnect()
    await redis.stop()
  })

  async function copyOfLog(): Promise<() => Promise<void>> {
    const names = await admin.keys('{log}*')
    const dumps = await Promise.all(names.map((name) => admin.dumpBuffer(name)))
    return async () => {
      const restore = admin.multi()
      for (const name of await admin.keys('{log}*')) restore.del(name)
      for (const [n, name] of names.entries()) restore.restore(name, 0, dumps[n] ?? '')
      await restore.exec()
    }
  }

  /** Of the whole store but the checkpoint, as where acknowledged data is lost. */
  async function copyOfAll(): Promise<() => Promise<void>> {
    const lost = async () => (await admin.keys('*')).filter((name) => !name.startsWith('{control}'))
    const names = await lost()
    const dumps = await Promise.all(names.map((name) => admin.dumpBuffer(name)))
    return async () => {
      const restore = admin.multi()
      for (const name of await lost()) restore.del(name)
      for (const [n, name] of names.entries()) restore.restore(name, 0, dumps[n] ?? '')
      await restore.exec()
    }
  }

  const settled = (count: number) => expect.poll(() => signedSize(one)).toBe(count)

  test('is given back what it had, by whoever appended it: the same root, and it goes on', async () => {
    await write(one, 100)
    await settled(100)
    const restore = await copyOfLog()
    for (let round = 1; round <= 3; round++) {
      await write(one, 300)
      await settled(100 + 300 * round)
    }
    const before = await one.store.log.head()
    await restore()
    await expect.poll(() => one.store.log.head()).toBe(before)
    await write(one, 10)
    await expectAll([one])
    expect(refusals(one)).toEqual([])
  })

  test('is not signed by one that cannot give it back: it says so, and appends nothing', async () => {
    await write(one, 100)
    await settled(100)
    const restore = await copyOfLog()
    await write(one, 100)
    await settled(200)
    const signed = await one.store.documents.read('audit-checkpoint')
    await one.close()
    await restore()
    one = await broker({ kind: 'redis', url: redis.url, org: 'default' })
    const head = await one.store.log.head()
    await write(one, 10)
    await expect.poll(() => one.failures).toContain('rolled_back')
    await sleep(1_500)
    expect(await one.store.log.head()).toBe(head)
    expect(await one.store.documents.read('audit-checkpoint')).toBe(signed)
    expect(new Set(refusals(one))).toEqual(new Set(['rolled_back']))
    expect(one.sequencer.state.problem).toBe('the audit log has 100 records, and 200 were signed')
  })

  test('to where one left it before others went on, is not gone on with by that one', async () => {
    await write(one, 100)
    await settled(100)
    const restore = await copyOfAll()
    const two = await broker({ kind: 'redis', url: redis.url, org: 'default' })
    await one.sequencer.stop()
    await write(two, 100)
    await settled(200)
    one.sequencer.start()
    await sleep(600)
    await two.close()
    const signed = await one.store.documents.read('audit-checkpoint')
    await restore()
    await expect.poll(() => one.failures.at(-1)).toBe('rolled_back')
    await write(one, 150)
    await sleep(1_500)
    expect(await one.store.documents.read('audit-checkpoint')).toBe(signed)
  })

  test('with another history is not signed by one who has seen the first', async () => {
    await write(one, 100)
    await settled(100)
    const restore = await copyOfLog()
    await write(one, 100)
    await settled(200)
    const signed = await one.store.documents.read('audit-checkpoint')
    // All of the store is set back but the broker: another one, that knows nothing, goes on from there.
    const stranger = await openStore({ kind: 'redis', url: redis.url, org: 'default' })
    await one.sequencer.stop()
    await restore()
    await admin.del('{control}:default:document:audit-checkpoint')
    const two = await broker({ kind: 'redis', url: redis.url, org: 'default' })
    await write(two, 200)
    await expect.poll(async () => (await wholeLog(two.store, signer)).signed).toBeGreaterThan(200)
    await two.close()
    await stranger.close()
    const forked = await one.store.documents.read('audit-checkpoint')
    expect(forked).not.toBe(signed)
    one.sequencer.start()
    await expect.poll(() => one.failures.at(-1)).toBe('forked')
    expect(one.sequencer.state.problem).toContain('are not those that were signed')
    expect(await one.store.documents.read('audit-checkpoint')).toBe(forked)
  })

  const verified = async (keys: readonly NoteKey[], kept: readonly FoundCheckpoint[] = []) => {
    const { documents, log } = one.store
    const newest = await documents.read('audit-checkpoint')
    const continued = await documents.read('audit-continued')
    const fault = (error: unknown) => (error instanceof LogFault ? error : Promise.reject(error))
    const found = { newest, continued, cosigned: undefined, kept }
    return verifyAgainst(found, { keys, witnesses: [] }, { source: log }).catch(fault)
  }

  test('goes on without its end once somebody says so: under another name, which every verification tells, at every broker', async () => {
    await write(one, 100)
    await settled(100)
    const early = { name: 'early', note: (await one.store.documents.read('audit-checkpoint')) ?? '' }
    const restore = await copyOfAll()
    await write(one, 100)
    await settled(200)
    const two = await broker({ kind: 'redis', url: redis.url, org: 'default' })
    const late = { name: 'late', note: (await one.store.documents.read('audit-checkpoint')) ?? '' }
    const said = { reason: 'a disk', record: newDecisionId(), at: new Date().toISOString() }
    expect(await one.continuing.draft(said)).toBeUndefined()
    await one.close()
    await restore()
    one = await broker({ kind: 'redis', url: redis.url, org: 'default' })
    await expect.poll(() => [one.failures.at(-1), two.failures.at(-1)]).toEqual(['rolled_back', 'rolled_back'])
    const drafted = await one.continuing.draft(said)
    const second = testSigner(signer.pem, 'errand.example/audit/2')
    expect(drafted?.continued).toMatchObject({ origin: second.key.name, from: 100, signed: 200, reason: 'a disk' })
    if (drafted === undefined) throw new Error('nothing to go on from')
    expect(await Promise.all([1, 2].map(() => one.continuing.carryOut(drafted)))).toContain(true)
    const record = { event: 'audit.continued', outcome: 'granted', by: 'operator:ops', by_class: 'operator' }
    const text = JSON.stringify({ id: said.record, at: said.at, ...record, continued: drafted?.continued })
    await one.store.audit.append(said.record, text)
    await write(one, 20)
    const size = async () => (await wholeLog(one.store, second)).signed
    await expect.poll(() => size().catch(() => 0)).toBe(121)
    const problems = () => [one, two].map(({ sequencer }) => sequencer.state.problem)
    await expect.poll(problems).toEqual([undefined, undefined])
    // Whoever follows has heeded it, too: it sequences when it is its turn, and gives nothing back of what was before.
    await one.sequencer.stop()
    await write(two, 20)
    await expect.poll(() => size().catch(() => 0)).toBe(141)
    expect(await verified([signer.key])).toMatchObject({
      index: 100,
      message: expect.stringContaining(second.key.vkey),
    })
    const taken = { size: 141, continuations: [{ origin: second.key.name, from: 100 }], lost: ['late'] }
    expect(await verified([second.key], [early, late])).toMatchObject(taken)
    await two.close()
    await one.close()
    // Who takes the notes away has not undone it: the log itself has the record.
    await admin.del('{control}:default:document:audit-checkpoint', '{control}:default:document:audit-continued')
    one = await broker({ kind: 'redis', url: redis.url, org: 'default' })
    await write(one, 1)
    await expect.poll(() => signedSize(one)).toBe(142)
    const found = await verified([signer.key])
    expect(found).toMatchObject({ message: expect.stringContaining('the log goes on here as errand.example/audit/2') })
  })
})
