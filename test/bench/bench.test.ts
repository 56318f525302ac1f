/** The benches at their smallest: what they print keeps its shape. Nothing here is about speed. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { childEnvironment } from '../support/child.ts'
import { finished, type Ran } from '../support/errand-command.ts'

const BENCH = fileURLToPath(new URL('./bench.ts', import.meta.url))

const TIMES_MAX = 3

/**
 * Not in this process’s own time: who runs the tests takes one that is silent for a minute for dead. A bench measures nothing where
 * a broker had to refuse, as on a machine that has other work: then once more.
 */
async function bench(...args: readonly string[]): Promise<Ran> {
  for (let times = 1; ; times += 1) {
    const ran = await finished(spawn(process.execPath, [BENCH, ...args], { env: childEnvironment() }))
    if (times === TIMES_MAX || ran.code === 0 || !ran.err.includes('temporarily_unavailable')) return ran
  }
}

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
function lastLine(out: string): any {
  return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '')
}

const FIGURES = {
  cpu_us_per_exchange: expect.any(Number),
  main_thread_us_per_exchange: expect.any(Number),
  exchanges_per_second: expect.any(Number),
  exchanges_per_cpu_second: expect.any(Number),
  p50_ms: expect.any(Number),
  p99_ms: expect.any(Number),
  exchanges: 20,
}
const goal = (limit: number) => ({ value: expect.any(Number), limit, met: expect.any(Boolean) })

test('exchange measures all systems on all workloads, and its last line is one JSON object with its goals', async () => {
  const { code, out, err } = await bench(
    ...['exchange', '--json', '--rounds', '1', '--exchanges', '20', '--warmup', '10', '--connections', '4'],
  )
  expect(code, err).toBe(0)
  const result = lastLine(out)
  const workloads = { open: FIGURES, continue: FIGURES, new: FIGURES }
  expect(result.systems).toEqual({
    'errand-redis': workloads,
    'errand-embedded': workloads,
    peer: workloads,
    floor: workloads,
  })
  expect(result.goals).toEqual({
    peer_ratio: goal(3),
    floor_ratio: goal(1.5),
    embedded_peer_ratio: goal(2.5),
    p99_ratio: goal(0.6),
  })
  expect(result.environment).toMatchObject({ node: process.version, redis: expect.stringMatching(/^[0-9.]+$/) })
})

test('growth compares few with many of everything, and says what a session occupies', async () => {
  const { code, out, err } = await bench(
    ...['growth', '--json', '--rounds', '1', '--exchanges', '20', '--warmup', '10', '--connections', '4'],
    ...['--sessions', '100', '--agents', '20'],
  )
  expect(code, err).toBe(0)
  const result = lastLine(out)
  expect(result).toMatchObject({
    sessions: [10, 100],
    agents: [10, 20],
    depth_us_per_hop: expect.any(Number),
    tool_us_per_tool: expect.any(Number),
    goals: { sessions_growth: goal(1.2), agents_growth: goal(1.2), session_bytes: goal(1_024) },
  })
  expect(result.session_bytes.redis).toBeGreaterThan(500)
  expect(result.session_bytes.embedded).toBeGreaterThan(500)
  expect(Object.values(result.figures)).toEqual(Array.from({ length: 14 }, () => FIGURES))
})

test('flood counts what strangers were answered and what they left in the log', async () => {
  const { code, out, err } = await bench(
    ...['flood', '--json', '--rounds', '1', '--warmup', '50', '--connections', '4'],
    ...['--known', '20', '--strangers', '50', '--sources', '10'],
  )
  expect(code, err).toBe(0)
  const result = lastLine(out)
  expect(result.goals).toEqual({ flood_p99_ratio: goal(1.5) })
  expect(result.figures).toEqual({ alone: { ...FIGURES, exchanges: 80 }, flooded: { ...FIGURES, exchanges: 80 } })
  const { requests, answers, audit_records } = result.strangers
  expect(requests).toBeGreaterThan(100)
  expect(answers['401']).toBeGreaterThan(0)
  expect(audit_records).toBeLessThan(requests / 2)
})

test('policy compares few with many grants, and every question is answered', async () => {
  const { code, out, err } = await bench(
    ...['policy', '--json', '--rounds', '1', '--exchanges', '50', '--agents', '20', '--grants', '100'],
  )
  expect(code, err).toBe(0)
  const result = lastLine(out)
  expect(result.goals).toEqual({
    decision_us_at_100k: goal(50),
    growth_100k_over_10: goal(2),
    reload_pause_ms: goal(50),
  })
  expect(result.figures.map(({ grants }: { grants: number }) => grants)).toEqual([10, 1_000, 10_000, 100_000])
  const pauses = {
    pauses_ms: [expect.any(Number)],
    own_pauses_ms: [expect.any(Number)],
    quiet_pauses_ms: [expect.any(Number)],
    quiet_own_pauses_ms: [expect.any(Number)],
  }
  expect(result.reload).toEqual({
    grants: 100,
    publishing: pauses,
    loading: pauses,
    publish_and_load_ms: expect.any(Number),
  })
})

test('revoke kills with one broker and with four, and says what revocations and sessions take of memory', async () => {
  const { code, out, err } = await bench('revoke', '--json', '--rounds', '1', '--sessions', '200')
  expect(code, err).toBe(0)
  const result = lastLine(out)
  expect(result.goals).toEqual({
    kill_p99_ms_1_broker: goal(100),
    kill_p99_ms_4_brokers: goal(250),
    revoke_growth: goal(1.2),
    session_bytes: goal(1_024),
    cutoffs_mib: goal(32),
  })
  const kills = { p50_ms: expect.any(Number), p99_ms: expect.any(Number), most_ms: expect.any(Number) }
  const figures = { ...kills, answered_p50_ms: expect.any(Number), kills: 25 }
  expect(result.figures).toEqual({
    '1 broker, 1 verifier': figures,
    '4 brokers, 8 verifiers': figures,
    '4 brokers, 2 that introspect': figures,
  })
})

test('credentials verifies every kind beside its bare signature, and asks nobody for anything meanwhile', async () => {
  const { code, out, err } = await bench(
    ...['credentials', '--json', '--rounds', '1', '--exchanges', '20', '--warmup', '20'],
  )
  expect(code, err).toBe(0)
  const result = lastLine(out)
  expect(result.goals).toEqual({
    cached_issuer_ratio: goal(2),
    cached_issuer_requests: { value: 0, limit: 0, met: true },
  })
  const kinds = [
    'id_token',
    'id_token_rs256',
    'access_token',
    'id_jag',
    'client_assertion',
    'jwt_svid',
    'workload_jwt',
    'dpop_proof',
  ]
  expect(Object.keys(result.figures)).toEqual(kinds)
  for (const figures of Object.values(result.figures)) {
    expect(figures).toEqual({
      verification_us: expect.any(Number),
      signature_us: expect.any(Number),
      ratio: expect.any(Number),
    })
  }
  // Keys of each issuer, client and trust domain were read before, once.
  expect(result.requests_before).toBe(5)
})

test('verify measures tokens that are new and tokens that are not beside their bare signature', async () => {
  const { code, out, err } = await bench('verify', '--json', '--rounds', '1', '--exchanges', '20', '--warmup', '20')
  expect(code, err).toBe(0)
  const result = lastLine(out)
  expect(result.goals).toEqual({
    first_sight_ratio: goal(1.5),
    seen_us: goal(10),
    burst_exchanges: { value: 1, limit: 1, met: true },
  })
  expect(result.burst).toEqual({ calls: 1_000, exchanges: 1 })
  expect(result.figures).toEqual({
    signature_us: expect.any(Number),
    first_sight_us: expect.any(Number),
    seen_us: expect.any(Number),
  })
})

test('without a name it helps, and a name it does not know is refused', async () => {
  expect(await bench()).toMatchObject({ code: 0, out: expect.stringContaining('npm run bench -- <bench>') })
  expect(await bench('nothing')).toMatchObject({ code: 1, err: expect.stringContaining('there is no bench "nothing"') })
})

test('audit measures both stores with the audit and without, and asks the trail for everything it is found by', async () => {
  const small = [
    '--rounds',
    '1',
    '--exchanges',
    '20',
    '--warmup',
    '10',
    '--connections',
    '2',
    '--appends',
    '200',
    '--seconds',
    '1',
  ]
  const { code, out, err } = await bench('audit', '--json', '--records', '600', '--brokers', '2', ...small)
  expect(code, err).toBe(0)
  const { systems, appends, queries, goals } = lastLine(out)
  const two = { ...FIGURES, exchanges: 40, brokers_cpu_us_per_exchange: [expect.any(Number), expect.any(Number)] }
  expect(systems).toEqual({ redis: two, 'redis-stubbed': two, embedded: two, 'embedded-stubbed': two })
  expect(appends).toMatchObject({ redis: { records: 200 }, embedded: { records: 200 } })
  const figures = { p50_ms: expect.any(Number), p99_ms: expect.any(Number), max_ms: expect.any(Number) }
  const store = { ...figures, slowest: expect.any(String), queries: expect.any(Number) }
  expect(queries).toMatchObject({ records: 600, stores: { embedded: store, redis: store } })
  expect(goals).toEqual({
    audited_ratio_redis: goal(0.85),
    audited_ratio_embedded: goal(0.85),
    append_p99_ms: goal(5),
    query_p99_ms: goal(200),
  })
})
