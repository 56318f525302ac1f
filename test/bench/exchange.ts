/**
 * `bench exchange`: what one token exchange costs, of Errand on both stores, of the peer, and of the floor, in one run. Rounds
 * are short and the systems take turns, so that a busy minute of the machine hits all of them alike.
 */
import { makeCompany, USUAL_SIZE } from './company.ts'
import { atLeast, atMost, environment, type Figures, figuresOf, type Goals } from './figures.ts'
import type { Output } from './output.ts'
import { goalTable, table } from './output.ts'
import { profile } from './profile.ts'
import { WORKLOADS, type Workload } from './requests.ts'
import { Bench, type Round, type Runner, SYSTEMS } from './systems.ts'

export interface ExchangeOptions {
  readonly rounds: number
  /** Of one round, of one system. */
  readonly exchanges: number
  /** Before each workload, of each system; not measured. */
  readonly warmup: number
  readonly connections: number
  readonly profile: boolean
}

type Results = Readonly<Record<string, Readonly<Record<string, Figures>>>>

const INTENT_TOOLS = 3
/** Session tokens that *continue* uses in turn, opened anew for each round. */
const HANDLES_MAX = 200

export async function exchange(options: ExchangeOptions, output: Output): Promise<unknown> {
  const { connections } = options
  const bench = await Bench.start(makeCompany(USUAL_SIZE), { connections, intentTools: INTENT_TOOLS })
  try {
    const runners = await Promise.all(SYSTEMS.map((name) => bench.run(name)))
    const systems: Record<string, Record<string, Figures>> = {}
    for (const workload of WORKLOADS) {
      const measured = await measureWorkload(bench, runners, { ...options, workload }, output)
      for (const [name, rounds] of measured) systems[name] = { ...systems[name], [workload]: figuresOf(rounds) }
      output.say(`${workloadTable(workload, systems)}\n`)
    }
    const goals = goalsOf(systems)
    output.say(goalTable(goals))
    if (options.profile) await profile(bench, runners, options, output)
    return { bench: 'exchange', environment: environment(), connections, systems, goals }
  } finally {
    await bench.close()
  }
}

type WorkloadOptions = ExchangeOptions & { readonly workload: Workload }

async function measureWorkload(
  bench: Bench,
  runners: readonly Runner[],
  options: WorkloadOptions,
  output: Output,
): Promise<ReadonlyMap<string, readonly Round[]>> {
  const { workload, rounds } = options
  const measured = new Map<string, Round[]>(runners.map(({ target }) => [target.name, []]))
  output.progress(`${workload}: warming up`)
  await warmUp(bench, runners, options)
  for (let round = 0; round < rounds; round += 1) {
    if (workload !== 'continue') await bench.generator.call('prepare', { workload, count: options.exchanges })
    // Each system is first once in a while: whatever being first means, it means it for all.
    const start = round % runners.length
    for (const runner of [...runners.slice(start), ...runners.slice(0, start)]) {
      output.progress(`${workload}: round ${round + 1} of ${rounds}, ${runner.target.name}`)
      if (workload === 'continue') await openHandles(bench, runner, options)
      measured.get(runner.target.name)?.push(await bench.measure(runner, workload, options.exchanges))
    }
  }
  return measured
}

async function warmUp(bench: Bench, runners: readonly Runner[], options: WorkloadOptions): Promise<void> {
  const { workload, warmup } = options
  if (workload === 'open') {
    await bench.generator.call('prepareFirstSight', { count: warmup })
    for (const runner of runners) await bench.measure(runner, workload, warmup)
  }
  if (workload !== 'continue') await bench.generator.call('prepare', { workload, count: warmup })
  for (const runner of runners) {
    if (workload === 'continue') await openHandles(bench, runner, options)
    await bench.measure(runner, workload, warmup)
  }
}

async function openHandles(bench: Bench, { target }: Runner, { exchanges }: ExchangeOptions): Promise<void> {
  await bench.generator.call('openHandles', { target, count: Math.min(HANDLES_MAX, exchanges) })
}

function goalsOf(systems: Results): Goals {
  const open = (name: (typeof SYSTEMS)[number]): Figures => {
    const figures = systems[name]?.['open']
    if (figures === undefined) throw new Error(`${name} was not measured`)
    return figures
  }
  const [redis, embedded, peer, floor] = SYSTEMS.map(open) as [Figures, Figures, Figures, Figures]
  return {
    peer_ratio: atLeast(redis.exchanges_per_cpu_second / peer.exchanges_per_cpu_second, 3),
    floor_ratio: atMost(redis.cpu_us_per_exchange / floor.cpu_us_per_exchange, 1.5),
    embedded_peer_ratio: atLeast(embedded.exchanges_per_cpu_second / peer.exchanges_per_cpu_second, 2.5),
    p99_ratio: atMost(redis.p99_ms / peer.p99_ms, 0.6),
  }
}

function workloadTable(workload: Workload, systems: Results): string {
  const rows = Object.entries(systems).map(([name, figures]) => {
    const row = figures[workload]
    if (row === undefined) return [name]
    return [
      name,
      row.cpu_us_per_exchange,
      row.main_thread_us_per_exchange,
      row.exchanges_per_cpu_second,
      row.exchanges_per_second,
      row.p50_ms,
      row.p99_ms,
    ]
  })
  return table([[workload, 'CPU µs', 'main thread µs', 'per CPU second', 'per second', 'p50 ms', 'p99 ms'], ...rows])
}
