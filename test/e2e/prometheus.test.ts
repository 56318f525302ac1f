/** A real Prometheus, where one is installed, reads a broker with the rules that are handed out: nothing is refused, and from a slow exchange it leads to its trace. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { listenForMetrics } from '../../src/http/metrics-listener.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { freePort } from '../support/free-port.ts'
import { eventually } from '../support/redis-replicas.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { startWorld } from '../support/world.ts'

const RULES = resolve(import.meta.dirname, '../../deploy/prometheus/errand-rules.yaml')
const TOKEN = '0123456789abcdef'
const hasPrometheus = spawnSync('prometheus', ['--version']).status === 0
if (!hasPrometheus) console.warn('SKIPPED: Prometheus is not here, so nobody but our own tests has read the metrics')

test.skipIf(!hasPrometheus)('its samples, its exemplars and its rules', async () => {
  const telemetry = { otlpEndpoint: 'http://127.0.0.1:9', headersFile: undefined, caFile: undefined, sampleRatio: 1 }
  const metrics = { host: '127.0.0.1', port: 0, token: new Secret(TOKEN) }
  const world = await startWorld({ metrics, config: { telemetry } })
  if (world.broker.metrics === undefined) throw new Error('a broker with metrics has some')
  const listening = await listenForMetrics(metrics, world.broker.metrics)
  const prometheus = await startPrometheus(listening.port)
  try {
    const { trace } = await tracedExchange(world)
    await eventually('a sample of the exchange', async () => {
      const [sample] = await prometheus.query('errand_exchanges_total{flow="open",outcome="issued"}')
      return sample?.value?.[1] === '1'
    })
    const { activeTargets } = (await prometheus.ask('targets')) as { activeTargets: Target[] }
    expect(activeTargets.map(({ health, lastError }) => [health, lastError])).toEqual([['up', '']])
    const exemplars = JSON.stringify(
      await prometheus.ask('query_exemplars', { query: 'errand_exchange_seconds_bucket', ...lately() }),
    )
    expect(exemplars).toContain(`"trace_id":"${trace}"`)
    const { groups } = (await prometheus.ask('rules')) as { groups: { rules: RuleState[] }[] }
    const rules = groups.flatMap((group) => group.rules)
    expect(rules.length).toBeGreaterThan(20)
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([])
  } finally {
    await prometheus.stop()
    await listening.stop()
    await world.close()
  }
})

interface Target {
  readonly health: string
  readonly lastError: string
}
interface RuleState {
  readonly name: string
  readonly health: string
}
type Sample = { readonly value?: readonly [number, string] }

async function startPrometheus(scraped: number) {
  const directory = scratchDirectory('errand-prometheus-')
  const credentials = join(directory, 'token')
  writeFileSync(credentials, TOKEN)
  const file = join(directory, 'prometheus.yml')
  const job = {
    job_name: 'errand',
    authorization: { credentials_file: credentials },
    static_configs: [{ targets: [`127.0.0.1:${scraped}`] }],
  }
  const global = { scrape_interval: '1s', evaluation_interval: '1s' }
  writeFileSync(file, JSON.stringify({ global, rule_files: [RULES], scrape_configs: [job] }))
  const port = await freePort()
  const child = spawn(
    'prometheus',
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--enable-feature=exemplar-storage',
    ],
    { stdio: 'ignore' },
  )
  const ask = async (path: string, query: Record<string, string> = {}): Promise<unknown> => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}?${new URLSearchParams(query)}`)
    return ((await answer.json()) as { data: unknown }).data
  }
  const evaluated = async () => JSON.stringify(await ask('rules')).includes('"health":"ok"')
  await eventually('rules that were evaluated', evaluated).catch((fault) => {
    child.kill()
    throw fault
  })
  return {
    ask,
    query: async (query: string) => ((await ask('query', { query })) as { result: Sample[] }).result,
    stop: async () => {
      await ended(child)
      rmSync(directory, { recursive: true })
    },
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    if (child.exitCode !== null) return done()
    child.once('exit', () => done())
    child.kill('SIGTERM')
  })
}

async function tracedExchange(world: Awaited<ReturnType<typeof startWorld>>): Promise<{ readonly trace: string }> {
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const { status } = await world.open({}, { traceparent: `00-${trace}-b7ad6b7169203331-01` })
  expect(status).toBe(200)
  return { trace }
}

function lately() {
  const now = Date.now() / 1_000
  return { start: String(now - 60), end: String(now + 60) }
}
