/**
 * `bench exchange`: what one token exchange costs, of Errand on both stores, of the peer, and of the floor, in one run.
 */
import { join } from 'node:path'
import { makeCompany, USUAL_SIZE } from './company.ts'
import { atLeast, atMost, environment, type Figures, figuresOf, type Goals } from './figures.ts'
import { goalTable, type Output, table } from './output.ts'
import { profile } from './profile.ts'
import { WORKLOADS, type Workload } from './requests.ts'
import { Bench } from './systems.ts'
import { type TurnOptions, takeTurns } from './turns.ts'

const SYSTEMS = ['errand-redis', 'errand-embedded', 'peer', 'floor'] as const

export interface ExchangeOptions extends TurnOptions {
  readonly connections: number
  readonly profile: boolean
}

type Results = Readonly<Record<string, Readonly<Record<string, Figures>>>>

const INTENT_TOOLS = 3

export async function exchange(options: ExchangeOptions, output: Output): Promise<unknown> {
  const bench = await Bench.start(options.connections)
  try {
    const scene = { name: 'usual', company: makeCompany(USUAL_SIZE) }
    await bench.meet(scene, INTENT_TOOLS)
    const { url } = await bench.redis()
    const runners = await Promise.all([
      bench.errand('errand-redis', scene, { kind: 'redis', url }),
      bench.errand('errand-embedded', scene, { kind: 'embedded', directory: join(bench.directory, 'store') }),
      bench.peer(scene, url),
      bench.floor(scene),
    ])
    const systems: Record<string, Record<string, Figures>> = {}
    for (const workload of WORKLOADS) {
      const turns = runners.map((runner) => ({ label: runner.target.name, runner, workload }))
      const measured = await takeTurns(bench, turns, options, output)
      for (const [name, rounds] of measured) systems[name] = { ...systems[name], [workload]: figuresOf(rounds) }
      output.say(`${workloadTable(workload, systems)}\n`)
    }
    const goals = goalsOf(systems)
    output.say(goalTable(goals))
    if (options.profile) await profile(bench, runners, options, output)
    return { bench: 'exchange', environment: environment(), connections: options.connections, systems, goals }
  } finally {
    await bench.close()
  }
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
