/**
 * What Prometheus reads: true counts, of a bounded number of series whatever strangers send, on a socket of its own that no
 * stranger reaches.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeConfig } from '../../src/config/load-config.ts'
import { listenForMetrics } from '../../src/http/metrics-listener.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { BrokerMetrics } from '../../src/operate/metrics.ts'
import { accessFor, askingWarehouse, newAttempt, openLimited, warehouseAt } from '../support/calls.ts'
import { startIssuer } from '../support/issuer.ts'
import { startWorld, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ metrics: { host: '127.0.0.1', port: 0, token: undefined } })
})
afterAll(() => world.close())

const scrape = async (of: World = world): Promise<string> => (await of.broker.metrics?.text()) ?? ''

function seriesValue(text: string, series: string): number | undefined {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

/**
 * Series without those that first count when the machine decides: the garbage collector's, and those of a store that is late.
 * What labels they have is looked at with all the rest.
 */
function ownSeries(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('errand_') && !/^errand_store_failures_total|="store_unavailable"/.test(line))
    .map((line) => line.slice(0, line.lastIndexOf(' ')))
}

test('calls are counted by what became of them, each once', async () => {
  const idp = await startIssuer({ slug: 'corp' })
  const metrics = { host: '127.0.0.1', port: 0, token: undefined }
  const asking = await startWorld({ issuer: idp, registry: askingWarehouse(idp), metrics })
  try {
    const warehouse = await warehouseAt(asking)
    const access = await accessFor(asking, (await openLimited(asking, 2)).token)
    const attempt = newAttempt()
    const { context } = await warehouse.attempt(access, { attempt })
    for (const outcome of ['success', 'success', 'failure']) {
      await warehouse.report({ attempt, decision_id: context.decision_id, outcome })
    }
    await warehouse.attempt(access)
    await warehouse.attempt(access)
    const text = await scrape(asking)
    const counted = ['permitted', 'refused', 'success', 'failure', 'unknown'].map((became) =>
      seriesValue(text, `errand_calls_total{became="${became}"}`),
    )
    expect(counted).toEqual([2, 1, 1, 0, 0])
  } finally {
    await asking.close()
    await idp.close()
  }
})

test('exchanges are counted by flow and outcome, the store by operation, strangers by reason', async () => {
  const session = await world.open()
  expect(session.status).toBe(200)
  const token = session.body.access_token as string
  expect((await world.continue(token)).status).toBe(200)
  expect((await world.continue(token, { resource: 'https://nobody.example/mcp' })).status).toBe(400)
  await world.post('/token', { grant_type: 'client_credentials', ...world.authentication('stranger') })
  const text = await scrape()
  expect(seriesValue(text, 'errand_exchanges_total{flow="open",outcome="issued"}')).toBe(1)
  expect(seriesValue(text, 'errand_exchanges_total{flow="continue",outcome="issued"}')).toBe(1)
  expect(seriesValue(text, 'errand_exchanges_total{flow="continue",outcome="resource_unknown"}')).toBe(1)
  expect(seriesValue(text, 'errand_exchange_seconds_count{flow="continue"}')).toBe(2)
  expect(seriesValue(text, 'errand_exchanges_open')).toBe(0)
  expect(seriesValue(text, 'errand_strangers_refused_total{reason="client_unknown"}')).toBe(1)
  expect(seriesValue(text, 'errand_store_seconds_count{operation="sessions.commit"}')).toBe(2)
  expect(seriesValue(text, 'errand_ready{check="store"}')).toBe(1)
  expect(seriesValue(text, 'errand_revocations_age_seconds')).toBeLessThan(2)
  expect(seriesValue(text, 'errand_key_age_seconds{class="internal"}')).toBeGreaterThanOrEqual(0)
  expect(text).toMatch(/errand_build_info\{version="[\d.]+",policy="[\w-]{12}"\} 1/)
  expect(text).toContain('nodejs_eventloop_lag_p99_seconds')
  // TLS is nobody's here: no number is better than one that says 1970.
  expect(text).not.toMatch(/^errand_certificate_expires_timestamp_seconds /m)
})

test('no label comes from a request: a flood of invented names adds not one series', async () => {
  const one = async (name: string) => {
    await world.post('/token', { grant_type: name, client_id: name })
    await world.post('/token', { grant_type: 'client_credentials', ...world.authentication(name), scope: name })
    await world.continue(name, { resource: `https://${name}.example/mcp`, scope: name })
    await world.request(`/${name}?${name}=${name}`, { method: 'PUT', headers: { 'User-Agent': name, [name]: name } })
    await world.request(`/sessions/${name}`, { headers: { Authorization: `Bearer ${name}` } })
    const session = { resource: WAREHOUSE, scope: name }
    await world.clientCredentials('orchestrator', session)
    // Otherwise on a timer: its own series would begin at any moment.
    await world.broker.flushAudit()
  }
  await one('first')
  // Lists are written a little later.
  await expect.poll(() => scrape()).toContain('operation="indexes.add"')
  const before = ownSeries(await scrape())
  for (let index = 0; index < 60; index++) await one(`name-${index}`)
  const text = await scrape()
  expect(ownSeries(text)).toEqual(before)
  expect(text).not.toContain('name-')
  expect(before.length).toBeLessThan(400)
})

test('the broker itself does not serve them', async () => {
  expect((await world.request('/metrics')).status).toBe(404)
})

test('counting is too cheap to matter', () => {
  const metrics = new BrokerMetrics()
  const rounds = 20_000
  const begun = process.cpuUsage()
  for (let round = 0; round < rounds; round++) {
    metrics.begin()
    for (const operation of ['claims.claim', 'sessions.read', 'sessions.commit']) {
      metrics.storeCall(operation, 0.001, false)
    }
    metrics.exchange('continue', 'issued', 0.003)
  }
  const { user, system } = process.cpuUsage(begun)
  const us = (user + system) / rounds
  console.log(`counting costs ${us.toFixed(2)} µs per exchange`)
  expect(us).toBeLessThan(50)
})

describe('the socket', () => {
  const texts = { text: async () => 'errand_up 1\n', openMetrics: async () => 'errand_up 1\n# EOF\n' }
  const ask = (port: number, path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init)

  test('serves one path, by GET', async () => {
    const listening = await listenForMetrics({ host: '127.0.0.1', port: 0, token: undefined }, texts)
    const found = await ask(listening.port, '/metrics')
    expect([found.status, await found.text()]).toEqual([200, 'errand_up 1\n'])
    expect(found.headers.get('content-type')).toContain('text/plain')
    expect((await ask(listening.port, '/')).status).toBe(404)
    expect((await ask(listening.port, '/metrics', { method: 'POST' })).status).toBe(405)
    await listening.stop()
    await expect(ask(listening.port, '/metrics')).rejects.toThrow()
  })

  test('with a token, serves nobody without it', async () => {
    const token = new Secret('0123456789abcdef')
    const listening = await listenForMetrics({ host: '127.0.0.1', port: 0, token }, texts)
    const status = async (value?: string) =>
      (await ask(listening.port, '/metrics', value === undefined ? {} : { headers: { Authorization: value } })).status
    expect([await status(), await status('Bearer 0123456789abcde'), await status('Bearer ')]).toEqual([401, 401, 401])
    expect(await status('Bearer 0123456789abcdef')).toBe(200)
    await listening.stop()
  })

  const config = (metrics: unknown, directory = '/nowhere') =>
    decodeConfig(
      {
        issuer: 'https://errand.example',
        listen: { port: 1 },
        environment: 'production',
        store: { kind: 'embedded', directory: 'd' },
        keys: { directory: 'k' },
        metrics,
      },
      'errand.yaml',
      directory,
    )

  test('is on loopback unless the configuration says otherwise, and then only with a token of sixteen characters', () => {
    expect(config({ port: 9464 }).metrics).toEqual({ host: '127.0.0.1', port: 9464, token: undefined })
    expect(config(undefined).metrics).toBeUndefined()
    expect(() => config({ host: '0.0.0.0', port: 9464 })).toThrow(/metrics\.token_file: is needed where others/)
    const directory = join(resolve(import.meta.dirname, '../..'), 'node_modules/.cache/errand-metrics')
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, 'short'), 'abc', { mode: 0o600 })
    writeFileSync(join(directory, 'long'), '0123456789abcdef\n', { mode: 0o600 })
    expect(() => config({ host: '0.0.0.0', port: 1, token_file: 'short' }, directory)).toThrow(/16 to 256 characters/)
    expect(config({ host: '0.0.0.0', port: 1, token_file: 'long' }, directory).metrics?.token?.reveal()).toBe(
      '0123456789abcdef',
    )
  })
})
