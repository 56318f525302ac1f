/**
 * No request is without its record (R164, R169, H73): whatever its headers say, however they are encoded and however long they are;
 * and where a record cannot be written, there is a refusal in its place, and no token. (A sink that hangs: `test/faults/redis-faults.test.ts`.)
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Listening } from '../../src/http/listener.ts'
import type { AuditRecord } from '../../src/model/audit-record.ts'
import { StoreUnavailable } from '../../src/store/ports.ts'
import { Chance } from '../support/chance.ts'
import { managementToken } from '../support/hops.ts'
import { listenTo, Wire } from '../support/raw-http.ts'
import { type Answer, startWorld, type World } from '../support/world.ts'

const METRICS = { host: '127.0.0.1', port: 0, token: undefined }

let world: World
let server: Listening
beforeAll(async () => {
  world = await startWorld({ metrics: METRICS })
  server = await listenTo(world)
})
afterAll(async () => {
  await server.stop()
  await world.close()
})

/** What the broker has counted of something, by its labels. */
async function counted(metric: string): Promise<Readonly<Record<string, number>>> {
  const lines = ((await world.broker.metrics?.text()) ?? '').split('\n')
  const rows = lines.flatMap((line) => {
    const [, labels = '', value] = new RegExp(`^${metric}(?:\\{([^}]*)\\})? ([0-9.]+)$`).exec(line) ?? []
    return value === undefined ? [] : [[labels.replace(/^[a-z]+="(.*)"$/, '$1'), Number(value)] as const]
  })
  return Object.fromEntries(rows)
}

const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0)

interface Books {
  /** Requests with a record: a record of another id each. */
  readonly recorded: number
  /** Requests that a record of many has counted. */
  readonly counted: number
  readonly records: readonly AuditRecord[]
}

/** What the store holds, read by itself. */
async function books(): Promise<Books> {
  await world.broker.flushAudit()
  const entries = await world.broker.store.audit.latest(50_000)
  const records = entries.map(({ record }) => JSON.parse(record) as AuditRecord)
  const strangers = records.flatMap((record) => record.strangers ?? [])
  const own = new Set(records.filter(({ event }) => event !== 'strangers.refused').map(({ id }) => id))
  return { recorded: own.size, counted: strangers.reduce((sum, [, , count]) => sum + count, 0), records }
}

const HOSTILE = 10_000
const AT_ONCE = 20
const NAMES = [
  'User-Agent',
  'X-Request-ID',
  'traceparent',
  'X-Forwarded-For',
  'Cookie',
  'Referer',
  'Accept',
  'tracestate',
]
const NASTY = [
  '$' + '{jndi:ldap://x}',
  '"}\\n{"outcome":"granted"}',
  '\u001b[2J',
  '\u0000',
  'ÿþ',
  '%0d%0aX-Injected: 1',
  '../../etc/passwd',
  "'; DROP TABLE audit; --",
  '=cmd|calc!A1',
  '\t',
  ' ',
  '',
]

test('R164 ten thousand requests with hostile headers: each is recorded or counted, exactly once', async () => {
  const token = await world.apiToken()
  const before = await books()
  const strangers = async () => sum(Object.values(await counted('errand_strangers_refused_total')))
  const strangersBefore = await strangers()
  const accountsBefore = await counted('errand_requests_total')
  const chance = new Chance(7731)
  const random = () => chance.below(2 ** 30) / 2 ** 30
  const bytes = (most: number) => {
    const length = Math.floor(random() ** 4 * most)
    return Array.from({ length }, () => String.fromCharCode(32 + Math.floor(random() * 224)))
      .join('')
      .replaceAll(/[\r\n]/g, '?')
  }
  const value = () =>
    random() < 0.4 ? (NASTY[Math.floor(random() * NASTY.length)] ?? '') : bytes(random() < 0.02 ? 20_000 : 300)
  const request = () => {
    const headers = Array.from(
      { length: 1 + Math.floor(random() * 4) },
      () => `${NAMES[Math.floor(random() * NAMES.length)]}: ${value()}`,
    )
    const bearer = random() < 0.1 ? value() : token
    return [
      'GET /sessions HTTP/1.1',
      'Host: errand.example',
      `Authorization: Bearer ${bearer}`,
      ...headers,
      '',
      '',
    ].join('\r\n')
  }
  let answered = 0
  let left = HOSTILE
  const statuses = new Map<number, number>()
  const sender = async () => {
    let wire: Wire | undefined
    let asked = 0
    while (left > 0) {
      left -= 1
      if (wire === undefined || wire.closed) {
        wire?.close()
        wire = await Wire.open(server.port)
        asked = 0
      }
      wire.send(request())
      asked += 1
      const { answers } = await wire.answers(asked)
      const status = answers[asked - 1]?.status ?? 0
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (answers.length === asked) answered += 1
      // What was refused is closed behind the answer, which may come first.
      if (status !== 200 || asked === 200) {
        wire.close()
        wire = undefined
      }
    }
    wire?.close()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, sender))
  const after = await books()
  const accounts = await counted('errand_requests_total')
  const account = (name: string) => (accounts[name] ?? 0) - (accountsBefore[name] ?? 0)

  expect(answered).toBe(HOSTILE)
  expect(statuses.get(200)).toBeGreaterThan(HOSTILE / 2)
  expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([])
  expect(after.recorded - before.recorded + (after.counted - before.counted)).toBe(HOSTILE)
  expect(after.recorded - before.recorded).toBe(statuses.get(200))
  expect(account('recorded')).toBe(statuses.get(200))
  // Bytes that never became a request are counted by whoever has read them.
  expect((await strangers()) - strangersBefore).toBe(after.counted - before.counted)
  expect(account('counted')).toBeLessThanOrEqual(after.counted - before.counted)
  expect(account('unrecorded') + account('public')).toBe(0)
  for (const { user_agent = '', correlation = '', trace } of after.records) {
    expect(user_agent).toMatch(/^[\x20-\x7e]{0,96}$/)
    expect(correlation).toMatch(/^[A-Za-z0-9._:-]*$/)
    if (trace !== undefined) expect(trace.trace_id).toMatch(/^[0-9a-f]{32}$/)
  }
})

/** All of it at once; the last is refused, and not even that can be recorded. */
async function askEverything(at: World, token: string): Promise<readonly Answer[]> {
  return Promise.all([
    at.clientCredentials('orchestrator', { resource: `${at.issuer}/api` }),
    at.bearer('/sessions', token),
    at.open(),
    at.open({ subject_token: at.idToken({ aud: 'another' }) }),
  ])
}

describe('where records cannot be written', () => {
  test('H73 by a sink that fails: 503, no token, and the books agree', async () => {
    const token = await world.apiToken()
    const before = await books()
    const accountsBefore = await counted('errand_requests_total')
    const audit = world.broker.store.audit as unknown as Record<string, unknown>
    audit['append'] = () => Promise.reject(new StoreUnavailable('the test has taken it away'))
    const [api, listed, opened, refused] = await askEverything(world, token)
    delete audit['append']
    // Its record is part of its commit, which has not failed.
    expect(opened?.status).toBe(200)
    for (const answer of [api, listed, refused])
      expect([answer?.status, answer?.body.access_token]).toEqual([503, undefined])
    const accounts = await counted('errand_requests_total')
    expect((accounts['unrecorded'] ?? 0) - (accountsBefore['unrecorded'] ?? 0)).toBe(3)
    expect((accounts['recorded'] ?? 0) - (accountsBefore['recorded'] ?? 0)).toBe(1)
    const known = new Set(before.records.map(({ id }) => id))
    const more = (await books()).records.filter(({ id }) => !known.has(id))
    // Of the API token that nobody was given, what was written says so.
    expect(more.map(({ outcome }) => outcome).sort()).toEqual(['granted', 'unfinished'])
  })
})

test('R169 every signature is of a token that one record names, issued or not', async () => {
  const signedBefore = await counted('errand_tokens_signed_total')
  const before = new Set((await books()).records.map(({ id }) => id))
  const opened = await world.open()
  const session = opened.body.access_token
  const handed = await world.delegate(session)
  await world.accept(handed.body.access_token)
  // Accepted a second time: refused by the commit, when its token is signed already, or before.
  await Promise.all([world.accept((await world.delegate(session)).body.access_token), world.continue(session)])
  const twice = (await world.delegate(session)).body.access_token
  await Promise.all([world.accept(twice), world.accept(twice), world.accept(twice)])
  await world.apiToken()
  await managementToken(world)
  const signed = Object.entries(await counted('errand_tokens_signed_total')).map(
    ([typ, count]) => count - (signedBefore[typ] ?? 0),
  )
  const records = (await books()).records.filter(({ id }) => !before.has(id))
  const named = records.filter(({ jti }) => jti !== undefined).map(({ jti }) => jti)
  expect(new Set(named).size).toBe(named.length)
  expect(named.length).toBe(sum(signed))
  expect(named.length).toBeGreaterThanOrEqual(9)
  const issued = records.filter(({ outcome, jti }) => outcome === 'granted' && jti !== undefined)
  expect(issued.length).toBeLessThanOrEqual(named.length)
})
