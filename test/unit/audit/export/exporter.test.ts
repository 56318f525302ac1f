/**
 * Exporters against receivers on real sockets: everything that a sink wants reaches it, in order, at least once, whatever it
 * answers and whichever broker sends; and whoever receives can tell that it is the broker's.
 */
import { createHmac, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Alarms } from '../../../../src/audit/export/alarms.ts'
import { CursorDocument } from '../../../../src/audit/export/export-cursor.ts'
import { Exporter, type ExportObserver } from '../../../../src/audit/export/exporter.ts'
import { OtlpSink } from '../../../../src/audit/export/otlp-sink.ts'
import { wantedBy } from '../../../../src/audit/export/start-export.ts'
import { WebhookSink } from '../../../../src/audit/export/webhook-sink.ts'
import { createGuardedPost } from '../../../../src/net/guarded-fetch.ts'
import { ExportLog, MemoryDocuments, Standing } from '../../../support/export-log.ts'
import { type Received, type Receiver, startReceiver, status } from '../../../support/receiver.ts'
import { scratchDirectory } from '../../../support/scratch.ts'

const HMAC_KEY = Buffer.alloc(32, 7)
const SECRET = `whsec_${HMAC_KEY.toString('base64')}`
const ALL = { events: undefined, outcomes: undefined }

let receiver: Receiver
let directory: string
let secretFile: string
beforeEach(async () => {
  receiver = await startReceiver()
  directory = scratchDirectory('export')
  mkdirSync(directory, { recursive: true })
  secretFile = join(directory, 'secret')
  writeFileSync(secretFile, `${SECRET}\n`, { mode: 0o600 })
})
afterEach(() => receiver.close())

interface Told {
  readonly lost: unknown[]
  readonly failures: string[]
  readonly errors: string[]
  behind: number | undefined
}

interface Set {
  readonly log?: ExportLog
  readonly documents?: MemoryDocuments
  readonly time?: Standing
  readonly by?: string
  readonly batch?: number
  readonly begins?: 'beginning' | 'now'
  readonly filter?: Parameters<typeof wantedBy>[0]
  readonly type?: 'webhook' | 'otlp'
}

function exporting(given: Set = {}) {
  const { log = new ExportLog(), documents = new MemoryDocuments(), time = new Standing(), by = 'broker-1' } = given
  const told: Told = { lost: [], failures: [], errors: [], behind: undefined }
  const observer: ExportObserver = {
    taken: () => undefined,
    notTaken: (_, why) => void told.failures.push(why),
    lost: (_, gap) => void told.lost.push(gap),
    behind: (_, seconds) => {
      told.behind = seconds
    },
    failed: (_, error) => void told.errors.push(String(error)),
  }
  const delivery = {
    post: createGuardedPost({ allowLoopback: true }),
    nowMs: time.nowMs,
    failed: (error: unknown) => void told.errors.push(String(error)),
  }
  const batchMax = given.batch ?? 10
  const address = { name: 'siem', url: `${receiver.url}/audit`, headersFile: undefined, caFile: undefined, secretFile }
  const source = { resource: { 'service.name': 'errand' }, scope: { name: 'errand.audit', version: '1' } }
  const sink =
    given.type === 'otlp'
      ? new OtlpSink({ ...address, url: receiver.url }, source, delivery)
      : new WebhookSink({ ...address, isByEvent: batchMax === 1 }, delivery)
  const cursor = new CursorDocument(documents, 'siem')
  const wants = wantedBy(given.filter ?? ALL)
  const looksAt = given.filter === undefined ? batchMax : 500
  const common = { name: 'siem', sink, source: log, cursor, wants, looksAt, batchMax, by, observer }
  const exporter = new Exporter({
    ...common,
    begins: given.begins ?? 'beginning',
    ticks: time.ticks,
    nowMs: time.nowMs,
  })
  return { exporter, sink, log, documents, time, told, next: async () => (await cursor.read()).cursor?.next }
}

/** Turns until it has nothing more to do at once. */
async function settle({ exporter }: { exporter: Exporter }, most = 100): Promise<void> {
  for (let turns = 0; turns < most; turns += 1) if ((await exporter.turn()) !== 0) return
}

/** Indexes of what was received, in its order, from those messages that were taken. */
const indexes = (messages: readonly Received[] = receiver.all): readonly number[] =>
  messages.flatMap(({ body }) => {
    const { data } = JSON.parse(body)
    return (data.records ?? [data]).flatMap(({ index }: { index?: number }) => index ?? [])
  })

const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, each) => from + each)

/** Standard Webhooks, computed here from the words of the specification. */
function isSigned({ headers, body }: Received, key = HMAC_KEY): boolean {
  const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const expected = `v1,${createHmac('sha256', key).update(content).digest('base64')}`
  return String(headers['webhook-signature']).split(' ').includes(expected)
}

describe('a webhook', () => {
  test('is sent every record once, in order, letter by letter, in signed batches', async () => {
    const set = exporting()
    set.log.add(25)
    await settle(set)
    expect(indexes()).toEqual(upTo(25))
    expect(receiver.all).toHaveLength(3)
    expect(receiver.all.every((message) => isSigned(message))).toBe(true)
    expect(receiver.all.every((message) => !isSigned(message, Buffer.alloc(32, 8)))).toBe(true)
    for (const { text } of set.log.records) expect(receiver.all.some(({ body }) => body.includes(text))).toBe(true)
    expect(receiver.all[0]?.headers['webhook-id']).toBe('msg_siem_0_9_10')
    expect(JSON.parse(receiver.all[0]?.body ?? '')).toMatchObject({
      type: 'audit.records',
      data: { first: 0, last: 9 },
    })
    set.log.add(1)
    await settle(set)
    expect(indexes()).toEqual(upTo(26))
    await settle(set)
    expect(set.told.behind).toBe(0)
  })

  test('of one record at a time is the event that it is, for those who want some of them', async () => {
    const set = exporting({ batch: 1, filter: { events: ['session.halted', 'approval.*'], outcomes: undefined } })
    set.log.add(3)
    set.log.add(1, { event: 'session.halted', outcome: 'granted' })
    set.log.add(3)
    set.log.add(1, { event: 'approval.requested' })
    await settle(set)
    expect(receiver.all.map(({ body }) => JSON.parse(body).type)).toEqual(['session.halted', 'approval.requested'])
    expect(indexes()).toEqual([3, 7])
    expect(await set.next()).toBe(8)
  })

  test('is signed by two secrets while they are changed, and by Ed25519 where the file says so', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
    const other = Buffer.alloc(24, 9)
    writeFileSync(secretFile, `whsec_${other.toString('base64')}\nwhsk_${seed.toString('base64')}\n`)
    const set = exporting()
    set.log.add(1)
    await settle(set)
    const [message] = receiver.all
    const { headers, body } = message as Received
    const content = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
    const [first, second = ''] = String(headers['webhook-signature']).split(' ')
    expect(first).toBe(`v1,${createHmac('sha256', other).update(content).digest('base64')}`)
    expect(second.startsWith('v1a,')).toBe(true)
    const key = createPublicKey(publicKey.export({ format: 'pem', type: 'spki' }))
    expect(verify(null, content, key, Buffer.from(second.slice(4), 'base64'))).toBe(true)
  })

  test('is not sent where everybody may read its secret', async () => {
    chmodSync(secretFile, 0o644)
    const set = exporting()
    set.log.add(1)
    await settle(set)
    expect([receiver.all, set.told.failures]).toEqual([[], ['secret']])
    expect(set.told.errors.join()).toContain('chmod 600')
  })

  test.each([
    ['is not there', undefined],
    ['is empty', '\n'],
    ['is too short', `whsec_${Buffer.alloc(16).toString('base64')}`],
    ['is no secret of this kind', 'correct horse battery staple'],
    ['holds three', `${SECRET}\n${SECRET}\n${SECRET}`],
  ])('is not sent unsigned: a secret that %s is waited for, and never quoted', async (_, text) => {
    if (text === undefined) secretFile = join(directory, 'nothing')
    else writeFileSync(secretFile, text)
    const set = exporting()
    set.log.add(1)
    await settle(set)
    expect(receiver.all).toEqual([])
    expect(set.told.failures).toEqual(['secret'])
    expect(set.told.errors.join()).not.toMatch(/horse|AAAA|BwcH/)
    expect(await set.next()).toBe(0)
  })
})

describe('OTLP logs', () => {
  test('are events with names, severity, time and trace, the record as their body', async () => {
    const set = exporting({ type: 'otlp' })
    const trace = { trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331' }
    set.log.add(1, { trace, on_behalf_of: 'user:corp:alice', session: 'ses_1' })
    set.log.add(1, { outcome: 'refused', reason: 'scope_empty' })
    await settle(set)
    expect(receiver.all.map(({ path }) => path)).toEqual(['/v1/logs'])
    const { resourceLogs } = JSON.parse(receiver.all[0]?.body ?? '')
    const [granted, refused] = resourceLogs[0].scopeLogs[0].logRecords
    expect(granted).toMatchObject({
      eventName: 'errand.token.continue',
      severityNumber: 9,
      timeUnixNano: `${Date.UTC(2026, 10, 22)}000000`,
      traceId: trace.trace_id,
      spanId: trace.span_id,
      body: { stringValue: set.log.records[0]?.text },
    })
    expect(granted.attributes).toContainEqual({ key: 'enduser.id', value: { stringValue: 'user:corp:alice' } })
    expect(granted.attributes).toContainEqual({ key: 'session.id', value: { stringValue: 'ses_1' } })
    expect(refused.severityText).toBe('WARN')
    expect(refused.attributes).toContainEqual({ key: 'errand.reason', value: { stringValue: 'scope_empty' } })
    expect(refused.attributes).toContainEqual({ key: 'errand.audit.index', value: { intValue: '1' } })
    expect(resourceLogs[0].resource.attributes).toContainEqual({
      key: 'service.name',
      value: { stringValue: 'errand' },
    })
  })

  test('of which a collector leaves some out are taken, and those are lost: counted, said, never sent again', async () => {
    const set = exporting({ type: 'otlp' })
    set.log.add(12)
    const partial = (rejectedLogRecords: unknown) => {
      const text = JSON.stringify({ partialSuccess: { rejectedLogRecords, errorMessage: 'too old\n' } })
      return (response: Parameters<ReturnType<typeof status>>[0]) => void response.writeHead(200).end(text)
    }
    receiver.reply(partial('3'))
    await settle(set)
    expect(await set.next()).toBe(12)
    expect(receiver.all).toHaveLength(2)
    expect(set.told.failures).toEqual([])
    const said = { why: 'refused', said: 'too old?' }
    // Never more than were sent.
    expect(set.told.lost).toEqual([
      { first: 0, records: 3, ...said },
      { first: 10, records: 2, ...said },
    ])
    for (const none of [0, '0', -1, 'many', null, undefined]) {
      set.log.add(1)
      receiver.reply(partial(none))
      await settle(set)
    }
    expect(set.told.lost).toHaveLength(2)
  })

  test('cut names that are too long, and no record (H86)', async () => {
    const set = exporting({ type: 'otlp' })
    set.log.add(1, { resource: `https://a.example/${'x'.repeat(1_000_000)}`, tool: '=cmd|"/c calc"!A1\n\u0000' })
    await settle(set)
    const { resourceLogs } = JSON.parse(receiver.all[0]?.body ?? '')
    const [{ attributes, body }] = resourceLogs[0].scopeLogs[0].logRecords
    const value = (key: string) => attributes.find((one: { key: string }) => one.key === key).value.stringValue
    expect(value('errand.resource')).toHaveLength(256)
    expect(value('errand.tool')).toBe('=cmd|"/c calc"!A1\n\u0000')
    expect(body.stringValue).toBe(set.log.records[0]?.text)
  })
})

describe('a sink that does not take it', () => {
  const failing = async (set: ReturnType<typeof exporting>): Promise<number> => {
    const before = set.told.failures.length
    for (let waited = 0; waited < 4_000; waited += 1) {
      await set.exporter.turn()
      if (set.told.failures.length > before) return waited
      set.time.ms += 250
    }
    throw new Error('it was not asked again')
  }

  test('is asked again after longer and longer, and gets everything when it does', async () => {
    receiver.reply(status(500))
    const set = exporting()
    set.log.add(15)
    const waits: number[] = []
    for (let each = 0; each < 6; each += 1) waits.push((await failing(set)) * 250)
    expect(waits[0]).toBe(0)
    for (const [each, waited] of waits.slice(1).entries()) {
      expect(waited).toBeGreaterThanOrEqual(500 * 2 ** each)
      expect(waited).toBeLessThanOrEqual(1000 * 2 ** each + 250)
    }
    expect(set.told.behind).toBeGreaterThan(60)
    expect(await set.next()).toBe(0)
    receiver.reply(undefined)
    receiver.all.length = 0
    set.time.ms += 60_000
    await settle(set)
    expect(indexes()).toEqual(upTo(15))
  })

  test('says itself how long to wait, in seconds or by a date, within bounds', async () => {
    const set = exporting()
    set.log.add(1)
    receiver.reply(status(429, { 'retry-after': '120' }))
    await failing(set)
    expect((await failing(set)) * 250).toBeGreaterThanOrEqual(120_000)
    receiver.reply((response) =>
      status(503, { 'retry-after': new Date(set.time.ms + 300_000).toUTCString() })(
        response,
        receiver.all[0] as Received,
      ),
    )
    await failing(set)
    expect((await failing(set)) * 250).toBeGreaterThanOrEqual(290_000)
    expect(set.told.failures).toContain('limited')
    receiver.reply(status(503, { 'retry-after': '99999999' }))
    set.time.ms += 400_000
    await set.exporter.turn()
    receiver.reply(undefined)
    set.time.ms += 3_600_000
    await set.exporter.turn()
    expect(await set.next()).toBe(1)
  })

  test('because it is too much at once is sent half, down to one', async () => {
    receiver.reply((response, received) => status(indexes([received]).length > 3 ? 413 : 200)(response, received))
    const set = exporting()
    set.log.add(10)
    for (let each = 0; each < 40 && (await set.next()) !== 10; each += 1) {
      await set.exporter.turn()
      set.time.ms += 200_000
    }
    expect(await set.next()).toBe(10)
    const taken = receiver.all.filter((received) => indexes([received]).length <= 3)
    expect(indexes(taken)).toEqual(upTo(10))
  })

  test('redirects, hangs up, answers without end or is not there: nothing is lost, and nobody else is told', async () => {
    const set = exporting()
    set.log.add(2)
    receiver.reply(status(308, { location: `${receiver.url}/elsewhere` }))
    await failing(set)
    receiver.reply((response) => void response.destroy())
    await failing(set)
    expect(set.told.failures).toEqual(['unreachable', 'unreachable'])
    // A head that says yes is a yes: what follows it is not waited for.
    const flood = (response: Parameters<ReturnType<typeof status>>[0]) => {
      response.writeHead(200)
      const more = () => {
        if (response.destroyed) return
        response.write('x'.repeat(65_536))
        setImmediate(more)
      }
      more()
    }
    receiver.reply(flood)
    set.time.ms += 60_000
    await settle(set)
    expect(await set.next()).toBe(2)
    expect(receiver.all.map(({ path }) => path)).not.toContain('/elsewhere')
  })

  test('until its records are pruned is told of the gap, and goes on behind it', async () => {
    receiver.reply(status(500))
    const set = exporting()
    set.log.add(30)
    await failing(set)
    set.log.prunedTo = 12
    await failing(set)
    receiver.reply(undefined)
    receiver.all.length = 0
    set.time.ms += 60_000
    await settle(set)
    const [gap, ...records] = receiver.all
    expect(JSON.parse(gap?.body ?? '')).toMatchObject({
      type: 'audit.gap',
      data: { first: 0, records: 12, why: 'pruned' },
    })
    expect(isSigned(gap as Received)).toBe(true)
    expect(indexes(records)).toEqual(upTo(18, 12))
    expect(set.told.lost).toEqual([{ why: 'pruned', first: 0, records: 12 }])
  })
})

test('a log that has gone on without its end is sent from there on: what has the place of what was taken is new', async () => {
  const set = exporting()
  set.log.add(10)
  await settle(set)
  set.log.records.length = 6
  await set.exporter.turn()
  set.log.add(3, { session: 'ses_new' })
  receiver.all.length = 0
  await settle(set)
  expect(indexes()).toEqual([6, 7, 8])
})

test('a record that the log has lost is said to be lost, in its place', async () => {
  const set = exporting()
  set.log.add(8)
  set.log.damaged.add(0).add(3).add(4)
  await settle(set)
  const types = receiver.all.map(({ body }) => JSON.parse(body).type)
  expect(types).toEqual(['audit.gap', 'audit.records', 'audit.gap', 'audit.records'])
  expect(indexes(receiver.all.filter((_, at) => types[at] === 'audit.records'))).toEqual([1, 2, 5, 6, 7])
  expect(set.told.lost).toEqual([1, 2].map((records) => expect.objectContaining({ why: 'damaged', records })))
})

describe('an alarm that no record can say', () => {
  test('is sent when the log stands still and when it goes on, once each, to those who want it, until it is taken', async () => {
    const { time, sink } = exporting()
    let problem: string | undefined
    const wanted: string[] = []
    const wants = (event: string) => wanted.push(event) > 0
    const parts = { problem: () => problem, by: 'broker-1', nowMs: time.nowMs }
    const alarms = new Alarms({
      ...parts,
      sinks: [
        { sink, wants },
        { sink, wants: () => false },
      ],
    })
    const said = () => receiver.all.map(({ body }) => JSON.parse(body))
    alarms.look()
    expect(wanted).toEqual([])
    receiver.reply(status(500))
    problem = 'the audit log has 3 records, and 5 were signed'
    alarms.look()
    alarms.look()
    await expect.poll(() => said().length).toBeGreaterThan(1)
    receiver.reply(undefined)
    const before = said().length
    await expect.poll(() => said().length).toBeGreaterThan(before)
    expect(said().every(({ type, data }) => type === 'audit.stopped' && data.detail === problem)).toBe(true)
    expect(new Set(receiver.all.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    problem = undefined
    alarms.look()
    await expect.poll(() => said().at(-1)?.type).toBe('audit.resumed')
    expect(receiver.all.every((message) => isSigned(message))).toBe(true)
    expect(wanted).toEqual(['audit.stopped', 'audit.resumed'])
    alarms.stop()
  })
})

describe('several brokers', () => {
  test('send by turns of one: the other takes over when it is gone, and goes on where it had got to', async () => {
    const [log, documents, time] = [new ExportLog(), new MemoryDocuments(), new Standing()]
    const one = exporting({ log, documents, time, by: 'one' })
    const two = exporting({ log, documents, time, by: 'two' })
    log.add(5)
    await settle(one)
    await settle(two)
    log.add(5)
    for (let turns = 0; turns < 60; turns += 1) {
      time.ms += 250
      await two.exporter.turn()
      await one.exporter.turn()
    }
    expect(indexes()).toEqual(upTo(10))
    expect(two.told.behind).toBeUndefined()
    log.add(5)
    // From here on the first is dead.
    let waitedMs = 0
    for (; indexes().length < 15 && waitedMs < 60_000; waitedMs += 250) {
      time.ms += 250
      await two.exporter.turn()
    }
    expect(indexes()).toEqual(upTo(15))
    expect(waitedMs).toBeGreaterThan(5_000)
    expect(waitedMs).toBeLessThanOrEqual(11_000)
  })

  test('one that stops hands it on at once', async () => {
    const [log, documents, time] = [new ExportLog(), new MemoryDocuments(), new Standing()]
    const one = exporting({ log, documents, time, by: 'one' })
    const two = exporting({ log, documents, time, by: 'two' })
    log.add(5)
    await settle(one)
    await one.exporter.stop()
    log.add(5)
    await settle(two)
    expect(indexes()).toEqual(upTo(10))
  })

  test('whichever turns they take, with whatever answers, nothing is missing, and what was taken is never before what was not', async () => {
    const answers = fc.array(
      fc.record({ who: fc.boolean(), answer: fc.constantFrom(200, 200, 500, 413), waits: fc.nat(20_000) }),
      {
        minLength: 30,
        maxLength: 30,
      },
    )
    await fc.assert(
      fc.asyncProperty(answers, async (steps) => {
        receiver.all.length = 0
        const [log, documents, time] = [new ExportLog(), new MemoryDocuments(), new Standing()]
        const brokers = ['one', 'two'].map((by) => exporting({ log, documents, time, by }))
        const taken: number[] = []
        for (const { who, answer, waits } of steps) {
          log.add(3)
          receiver.reply((response, received) => {
            if (answer === 200) taken.push(...indexes([received]))
            status(answer)(response, received)
          })
          time.ms += waits
          await brokers[who ? 0 : 1]?.exporter.turn()
        }
        const firsts = [...new Set(taken)]
        expect(firsts).toEqual(upTo(firsts.length))
        expect((await brokers[0]?.next()) ?? 0).toBeLessThanOrEqual(firsts.length)
      }),
      { numRuns: 15 },
    )
  })

  test('a cursor that is none stops the export and nothing else: neither begun anew nor skipped', async () => {
    const set = exporting()
    set.documents.texts.set('audit-export-siem', '{"v":1,"next":-4}')
    set.log.add(3)
    await settle(set)
    expect(receiver.all).toEqual([])
    expect(set.told.errors.join()).toContain('is not a cursor')
  })

  test('one that begins now is sent what comes from now on', async () => {
    const set = exporting({ begins: 'now' })
    set.log.add(3)
    await settle(set)
    set.log.add(2)
    await settle(set)
    expect(indexes()).toEqual([3, 4])
  })
})
