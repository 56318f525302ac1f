/**
 * `bench growth`: whether an exchange costs the same when there is much of everything: live sessions, registered agents, hops
 * in the chain, tools in the intent. What is compared takes turns in the same rounds.
 */
import { makeCompany, USUAL_SIZE } from './company.ts'
import { atMost, environment, type Figures, figuresOf, type Goals, rounded } from './figures.ts'
import { goalTable, type Output, table } from './output.ts'
import { type Filled, fillStores } from './populate.ts'
import { Bench, type Scene } from './systems.ts'
import { type Turn, type TurnOptions, takeTurns } from './turns.ts'

export interface GrowthOptions extends TurnOptions {
  readonly connections: number
  /** Live sessions of the full stores. */
  readonly sessions: number
  readonly agents: number
}

type Results = Readonly<Record<string, Figures>>

const FEW_SESSIONS = 10
const FEW_AGENTS = 10
const MANY_TOOLS = 50
const MANY_HOPS = 5
const USUAL_TOOLS = 3
const SESSION_BYTES_MAX = 1_024

export async function growth(options: GrowthOptions, output: Output): Promise<unknown> {
  const bench = await Bench.start(options.connections)
  try {
    const sessions = await sessionsGrowth(bench, options, output)
    const agents = await agentsGrowth(bench, options, output)
    const shape = await shapeGrowth(bench, options, output)
    const goals: Goals = {
      sessions_growth: atMost(
        Math.max(
          ...['redis open', 'redis continue', 'embedded open', 'embedded continue'].map((what) =>
            ratio(sessions.figures, `${what}, many sessions`, `${what}, few sessions`),
          ),
        ),
        1.2,
      ),
      agents_growth: atMost(ratio(agents, 'open, many agents', 'open, few agents'), 1.2),
      session_bytes: atMost(sessions.filled.bytes.redis, SESSION_BYTES_MAX),
    }
    const costs = {
      depth_us_per_hop: perUnit(shape, `continue, ${MANY_HOPS} hops`, 'continue, 1 hop', MANY_HOPS - 1),
      tool_us_per_tool: perUnit(shape, `open, ${MANY_TOOLS} tools`, 'open, 1 tool', MANY_TOOLS - 1),
      session_bytes: sessions.filled.bytes,
      opening_bytes: sessions.filled.openingBytes,
    }
    output.say(`${goalTable(goals)}\n\n${costsText(costs)}`)
    const counts = { sessions: [FEW_SESSIONS, options.sessions], agents: [FEW_AGENTS, options.agents] }
    const figures = { ...sessions.figures, ...agents, ...shape }
    return { bench: 'growth', environment: environment(), ...counts, figures, ...costs, goals }
  } finally {
    await bench.close()
  }
}

/** *open* and *continue*, each on a store with few and on one with many sessions. The worst of the ratios is the goal's. */
async function sessionsGrowth(
  bench: Bench,
  options: GrowthOptions,
  output: Output,
): Promise<{ readonly figures: Results; readonly filled: Filled }> {
  const scene = { name: 'usual', company: makeCompany(USUAL_SIZE) }
  await bench.meet(scene, USUAL_TOOLS)
  const filled = await fillStores(bench, scene, { few: FEW_SESSIONS, many: options.sessions }, output)
  const turns = filled.runners.flatMap(({ label, runner }): Turn[] => {
    const [store, ...rest] = label.split(' ')
    return (['open', 'continue'] as const).map((workload) => ({
      label: `${store} ${workload}, ${rest.join(' ')}`,
      runner,
      workload,
    }))
  })
  const figures = await figuresFrom(bench, turns, options, output)
  for (const { runner } of filled.runners) await runner.process.stop()
  return { figures, filled }
}

/** The agents that ask are all those registered. */
async function agentsGrowth(bench: Bench, options: GrowthOptions, output: Output): Promise<Results> {
  const { url } = await bench.redis()
  const turns: Turn[] = []
  for (const [much, agents] of [
    ['few', FEW_AGENTS],
    ['many', options.agents],
  ] as const) {
    const scene: Scene = { name: `${much} agents`, company: makeCompany({ ...USUAL_SIZE, agents }) }
    await bench.meet(scene, USUAL_TOOLS)
    const runner = await bench.errand(scene.name, scene, { kind: 'redis', url }, { org: `${much}-agents` })
    turns.push({ label: `open, ${scene.name}`, runner, workload: 'open' })
  }
  const figures = await figuresFrom(bench, turns, options, output)
  for (const { runner } of turns) await runner.process.stop()
  return figures
}

/** Longer chains and larger intents cost more: how much, per hop and per tool. One broker answers all of it. */
async function shapeGrowth(bench: Bench, options: GrowthOptions, output: Output): Promise<Results> {
  const { url } = await bench.redis()
  const company = makeCompany({ ...USUAL_SIZE, moreTools: MANY_TOOLS })
  const { process, target } = await bench.errand('shapes', { name: 'shapes', company }, { kind: 'redis', url })
  const turns: Turn[] = []
  for (const [label, workload, tools, depth] of [
    ['continue, 1 hop', 'continue', USUAL_TOOLS, 1],
    [`continue, ${MANY_HOPS} hops`, 'continue', USUAL_TOOLS, MANY_HOPS],
    ['open, 1 tool', 'open', 1, 1],
    [`open, ${MANY_TOOLS} tools`, 'open', MANY_TOOLS, 1],
  ] as const) {
    await bench.meet({ name: label, company }, tools)
    turns.push({ label, runner: { process, target: { ...target, scene: label } }, workload, depth })
  }
  return figuresFrom(bench, turns, options, output)
}

async function figuresFrom(
  bench: Bench,
  turns: readonly Turn[],
  options: TurnOptions,
  output: Output,
): Promise<Results> {
  const measured = await takeTurns(bench, turns, options, output)
  const figures = Object.fromEntries([...measured].map(([label, rounds]) => [label, figuresOf(rounds)]))
  const rows = Object.entries(figures).map(([label, row]) => [
    label,
    row.cpu_us_per_exchange,
    row.exchanges_per_second,
    row.p50_ms,
    row.p99_ms,
  ])
  output.say(`${table([['Errand', 'CPU µs', 'per second', 'p50 ms', 'p99 ms'], ...rows])}\n`)
  return figures
}

function cpuOf(figures: Results, label: string): number {
  const found = figures[label]
  if (found === undefined) throw new Error(`${label} was not measured`)
  return found.cpu_us_per_exchange
}

function ratio(figures: Results, many: string, few: string): number {
  return cpuOf(figures, many) / cpuOf(figures, few)
}

function perUnit(figures: Results, many: string, few: string, units: number): number {
  return rounded((cpuOf(figures, many) - cpuOf(figures, few)) / units, 1)
}

function costsText(costs: {
  readonly depth_us_per_hop: number
  readonly tool_us_per_tool: number
  readonly session_bytes: Filled['bytes']
  readonly opening_bytes: number
}): string {
  return [
    `depth_us_per_hop  ${costs.depth_us_per_hop}`,
    `tool_us_per_tool  ${costs.tool_us_per_tool}`,
    `session_bytes     redis ${costs.session_bytes.redis}, embedded ${costs.session_bytes.embedded}`,
    `opening_bytes     redis ${costs.opening_bytes}, with its audit record, contents and single-use id`,
  ].join('\n')
}
