/**
 * The audit log on its way out of real brokers: to a signed webhook and to a collector of logs, through kills, refusals and
 * receivers that are away. Duplicates are allowed, none is missing, and no request waits for any of it.
 */
import { createHash, createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SinkSettings } from '../../src/audit/export/start-export.ts'
import { startFleet } from '../support/broker-process.ts'
import { errand, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { type Claims, granted } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { PATIENCE_MS, whenReady } from '../support/patience.ts'
import { never, type Received, type Receiver, startReceiver, status } from '../support/receiver.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { startWorld, WIKI, type World } from '../support/world.ts'

const KEY = Buffer.alloc(32, 5)
const directory = scratchDirectory('audit-export')
const secretFile = join(directory, 'secret')
writeFileSync(secretFile, `whsec_${KEY.toString('base64')}\n`, { mode: 0o600 })

let idp: TestIssuer
let redis: RunningRedis
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  redis = await startRedis()
})
afterAll(async () => {
  await idp.close()
  await redis.stop()
})

type Given = Partial<Omit<SinkSettings, 'type'>>
const common = { headersFile: undefined, caFile: undefined, events: undefined, outcomes: undefined }
const webhook = (receiver: Receiver, given: Given = {}): SinkSettings => ({
  ...{ type: 'webhook', name: 'siem', url: `${receiver.url}/hook`, secretFile, batchMax: 20, begins: 'beginning' },
  ...common,
  ...given,
})
const otlp = (receiver: Receiver): SinkSettings => ({
  ...{ type: 'otlp', name: 'logs', url: receiver.url, batchMax: 50, begins: 'beginning' },
  ...common,
})

/** As a receiver would look at it: by the words of Standard Webhooks, with nothing of the broker's. */
function isGenuine({ headers, body }: Received): boolean {
  const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const isYoung = Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 300
  return isYoung && headers['webhook-signature'] === `v1,${createHmac('sha256', KEY).update(content).digest('base64')}`
}

interface Row {
  readonly index: number
  readonly record: Claims
}

const rowsOf = ({ body }: Received): readonly Row[] => {
  const { data } = JSON.parse(body)
  return data.records ?? (data.record === undefined ? [] : [data])
}

/** By index, whatever came twice. */
function taken(messages: readonly Received[]): ReadonlyMap<number, Claims> {
  return new Map(messages.flatMap(rowsOf).map(({ index, record }) => [index, record]))
}

async function until(true_: () => boolean, mostMs = PATIENCE_MS): Promise<void> {
  const began = performance.now()
  while (!true_()) {
    if (performance.now() - began > mostMs) throw new Error('it did not come to pass')
    await sleep(25)
  }
}

const isWhole = (found: ReadonlyMap<number, unknown>) =>
  [...found.keys()].every((index) => found.has(index === 0 ? 0 : index - 1))

async function exporting(sinks: readonly SinkSettings[], more: Parameters<typeof startWorld>[0] = {}): Promise<World> {
  const metrics = { host: '127.0.0.1', port: 0, token: undefined }
  return startWorld({ issuer: idp, realClock: true, metrics, ...more, config: { auditExport: sinks } })
}

test('what happens at a broker is at both sinks within a second, genuine, whole and in order', async () => {
  const [hook, logs] = [await startReceiver(), await startReceiver()]
  const world = await exporting([webhook(hook), otlp(logs)])
  try {
    const session = (await granted(world.open())).token
    const id = (await granted(world.continue(session))).body.decision_id
    const began = performance.now()
    await until(() => [...taken(hook.all).values()].some((record) => record.id === id))
    await until(() => logs.all.some(({ body }) => body.includes(id)))
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(hook.all.every(isGenuine)).toBe(true)
    expect(isWhole(taken(hook.all))).toBe(true)
    const events = logs.all.flatMap(({ body }) => JSON.parse(body).resourceLogs[0].scopeLogs[0].logRecords)
    expect(events.map(({ eventName }: Claims) => eventName)).toContain('errand.session.open')
    const [first] = rowsOf(hook.all[0] as Received)
    expect(first?.index).toBe(0)
    // Counted when the receiver’s answer is there.
    await expect
      .poll(() => world.broker.metrics?.text())
      .toMatch(/errand_audit_export_records_total\{sink="siem"\} [1-9]/)
    const sent = [...hook.all, ...logs.all].map(({ body }) => body).join('\n')
    expect(sent).not.toContain(session.split('.')[1])
  } finally {
    await world.close()
    await hook.close()
    await logs.close()
  }
})

describe.concurrent('a receiver', () => {
  test('that hangs, refuses and is gone holds up no request, and has everything when it is back', async () => {
    const hook = await startReceiver()
    const port = Number(new URL(hook.url).port)
    hook.reply(never)
    const world = await exporting([webhook(hook)])
    try {
      const session = (await granted(world.open())).token
      const began = performance.now()
      for (let each = 0; each < 30; each += 1) expect((await world.continue(session)).status).toBe(200)
      expect(performance.now() - began).toBeLessThan(10_000)
      hook.reply(status(500))
      await until(() => hook.all.length >= 2)
      await hook.close()
      const id = (await granted(world.continue(session))).body.decision_id
      const back = await startReceiver(port)
      try {
        await until(() => [...taken(back.all).values()].some((record) => record.id === id))
        expect(isWhole(taken(back.all))).toBe(true)
        expect(back.all.every(isGenuine)).toBe(true)
        const text = (await world.broker.metrics?.text()) ?? ''
        expect(text).toMatch(/errand_audit_export_failures_total\{sink="siem",why="(?:status|unreachable)"\} [1-9]/)
      } finally {
        await back.close()
      }
    } finally {
      await world.close()
    }
  })

  test('is told that the log is not what was signed of it, which no record could say (R139)', async () => {
    const hook = await startReceiver()
    const world = await exporting([webhook(hook, { events: ['audit.*'] })])
    try {
      await granted(world.open())
      const { log } = world.broker.store
      await expect.poll(() => log.head()).toBeDefined()
      await expect.poll(() => world.broker.store.documents.read('audit-checkpoint')).toBeDefined()
      await sleep(600)
      const head = (await log.head()) ?? ''
      // Somebody writes another history into the store: as many records, and none of those that were signed.
      const root = Buffer.alloc(32, 1).toString('base64')
      expect(await log.append(head, JSON.stringify({ ...JSON.parse(head), root, frontier: [root] }), [])).toBe(true)
      await granted(world.open({ subject_token: world.idToken({ nonce: 'another' }) }))
      await until(() => hook.all.length > 0)
      const { type, data } = JSON.parse(hook.all[0]?.body ?? '')
      expect([type, data.detail]).toEqual(['audit.stopped', expect.stringMatching(/audit log|log/)])
      expect(isGenuine(hook.all[0] as Received)).toBe(true)
    } finally {
      await world.close()
      await hook.close()
    }
  })

  test('of alarms alone is called when a session is halted, and for nothing else (R139)', async () => {
    const hook = await startReceiver()
    const alarms = webhook(hook, { name: 'alarms', events: ['session.halted'], batchMax: 1 })
    const drift = { contractAfter: 0, haltAfter: 3, windowSeconds: 600 }
    const world = await exporting([alarms], { settings: { drift } })
    try {
      const { token, claims } = await granted(world.open())
      for (let ask = 0; ask < 3; ask += 1) expect((await world.continue(token, { resource: WIKI })).status).toBe(400)
      await until(() => hook.all.length > 0)
      await sleep(600)
      expect(hook.all.map(({ body }) => JSON.parse(body).type)).toEqual(['session.halted'])
      expect(rowsOf(hook.all[0] as Received)[0]?.record.session).toBe(claims.sid)
      expect(isGenuine(hook.all[0] as Received)).toBe(true)
    } finally {
      await world.close()
      await hook.close()
    }
  })
})

const digest = (...parts: readonly (Buffer | string)[]) =>
  createHash('sha256')
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest()
const leafOf = (salt: Buffer, text: string) => digest(Buffer.of(0), Buffer.of(1), digest(salt, text))
function rootOf(leaves: readonly Buffer[]): Buffer {
  const [only] = leaves
  if (leaves.length === 1 && only !== undefined) return only
  const half = 2 ** Math.floor(Math.log2(leaves.length - 1))
  return digest(Buffer.of(1), rootOf(leaves.slice(0, half)), rootOf(leaves.slice(half)))
}

const EXCHANGED = 'token.autonomous'

describe('errand audit export', () => {
  const run = (cwd: string, ...args: string[]) => errand(['audit', 'export', ...args], { cwd })
  const lines = (text: string) =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))

  test('prints the log in its order, each line what a leaf commits to, and goes on where it ended', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'errand-export-'))
    const port = String(await freePort())
    const server = ['--server', 'https://warehouse.example/mcp', '--tools', 'query:read', '--port', port]
    expect(await errand(['init', '--yes', '--agent', 'analyst', '--owner', 'data', ...server], { cwd })).toMatchObject({
      code: 0,
    })
    const broker = await serveErrand([], cwd)
    try {
      const exchange = () =>
        errand(['exchange', '--client', 'analyst', '--resource', 'https://warehouse.example/mcp', '--json'], { cwd })
      const isSequenced = async (from: number) =>
        lines((await run(cwd, '--from-index', String(from))).out).some(({ record }) => record.event === EXCHANGED)
      expect((await exchange()).code).toBe(0)
      await expect.poll(() => isSequenced(0), { interval: 200 }).toBe(true)
      const signed = async () => JSON.parse((await errand(['audit', 'verify', '--json'], { cwd })).out).checkpoint?.size
      const sequenced = lines((await run(cwd)).out).length
      await expect.poll(signed, { interval: 200 }).toBeGreaterThanOrEqual(sequenced)
      expect((await errand(['audit', 'verify', '--save', 'kept'], { cwd })).code).toBe(0)
      const first = await run(cwd, '--cursor', 'siem.cursor')
      expect([first.code, first.err]).toEqual([0, expect.stringMatching(/^next: --from-index \d+\n$/)])
      const all = lines(first.out)
      expect(all.map(({ index }) => index)).toEqual(all.map((_, at) => at))
      expect(all.map(({ record }) => record.event)).toContain(EXCHANGED)
      const head = Number(readFileSync(join(cwd, 'siem.cursor'), 'utf8'))
      expect(head).toBe(all.length)
      const one = all.find(({ record }) => record.event === EXCHANGED)
      // RFC 6962 §2.1 over what was printed, and nothing else, is what the broker has signed.
      const texts = first.out.split('\n').map((line) => line.replace(/^.*?"record":/, '').slice(0, -1))
      const leaves = all.map(({ salt }, at) => leafOf(Buffer.from(salt, 'base64'), texts[at] ?? ''))
      const [, size, root] = readFileSync(join(cwd, 'kept'), 'utf8').split('\n')
      expect(Number(size)).toBeGreaterThan(one.index)
      expect(Number(size)).toBeLessThanOrEqual(all.length)
      expect(rootOf(leaves.slice(0, Number(size))).toString('base64')).toBe(root)
      expect((await exchange()).code).toBe(0)
      await expect.poll(() => isSequenced(head), { interval: 200 }).toBe(true)
      const second = lines((await run(cwd, '--cursor', 'siem.cursor')).out)
      expect(second[0].index).toBe(head)
      expect(second.filter(({ record }) => record.event === EXCHANGED)).toHaveLength(1)
      expect(lines((await run(cwd, '--since', '2100-01-01T00:00:00Z')).out)).toEqual([])
      const since = lines((await run(cwd, '--since', one.record.at)).out)
      expect(since.map(({ index }) => index)).toContain(one.index)
      expect((await run(cwd, '--from-index', 'x')).code).not.toBe(0)
      writeFileSync(join(cwd, 'other'), 'something else')
      expect((await run(cwd, '--cursor', 'other')).err).toContain('is not a cursor')
    } finally {
      broker.signal('SIGTERM')
      await broker.ended
      rmSync(cwd, { recursive: true, force: true })
    }
  })
})

test('two brokers, the one that sends killed in the middle of a batch: nothing is missing, twice is allowed', async () => {
  const hook = await startReceiver()
  // Every message is held for a moment, so that a kill meets one under way.
  hook.reply((response) => void setTimeout(() => status(200)(response, hook.all[0] as Received), 150))
  const fleet = await startFleet(() => ({
    store: { kind: 'redis', url: redis.url, replicas: 0 },
    auditExport: [webhook(hook, { batchMax: 5 })],
  }))
  try {
    const [one, two] = [await fleet.start(), await fleet.start()]
    const session = (await granted(whenReady(() => one.open()))).token
    const ids: string[] = []
    const work = async (broker: World, count: number) => {
      for (let each = 0; each < count; each += 1)
        ids.push((await granted(whenReady(() => broker.continue(session)))).body.decision_id)
    }
    await work(one, 30)
    await until(() => hook.all.length >= 3)
    await one.kill()
    await work(two, 30)
    const has = () => new Set([...taken(hook.all).values()].map((record) => record.id))
    await until(() => ids.every((id) => has().has(id)))
    expect(isWhole(taken(hook.all))).toBe(true)
    expect(hook.all.every(isGenuine)).toBe(true)
    // The same place in the log is the same record, however often it was sent.
    const texts = new Map<number, string>()
    for (const { index, record } of hook.all.flatMap(rowsOf)) {
      expect([index, texts.get(index) ?? JSON.stringify(record)]).toEqual([index, JSON.stringify(record)])
      texts.set(index, JSON.stringify(record))
    }
  } finally {
    await fleet.close()
    await hook.close()
  }
})
