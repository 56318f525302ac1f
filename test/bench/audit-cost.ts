/**
 * What the audit costs. Exchanges with all of it against exchanges without any, on both stores, in rounds that take turns. There
 * are several brokers of each: those that run the same code differ by 2 to 13 % in CPU time over a run, so one of each says
 * little.
 *
 * How long an append to the log takes to be durable while thousands of records a second are written and brought into it in
 * groups. The goal is that of the group; how long one record takes to be durable in its outbox is told beside it.
 */
import { join } from 'node:path'
import { makeCompany, USUAL_SIZE } from './company.ts'
import { atLeast, atMost, type Figures, figuresOf, percentile, rounded } from './figures.ts'
import { type Output, table } from './output.ts'
import type { Appended, AppendOrder } from './systems/appending.ts'
import { Bench, type StoreOf } from './systems.ts'
import { type TurnOptions, takeTurns } from './turns.ts'

export interface AuditCostOptions extends TurnOptions {
  readonly connections: number
  /** Of each kind. */
  readonly brokers: number
  /** Records per second, and for how long. */
  readonly appends: number
  readonly seconds: number
}

/** Of all brokers of one kind together. */
interface KindFigures extends Figures {
  /** Of each broker on its own, the cheapest first. */
  readonly brokers_cpu_us_per_exchange: readonly number[]
}

/** Milliseconds until a group is durable in the log, and a record in its outbox, in steady state; `records`: of all, from the beginning. */
interface AppendFigures {
  readonly log_p50_ms: number
  readonly log_p99_ms: number
  readonly record_p50_ms: number
  readonly record_p99_ms: number
  readonly groups: number
  readonly records: number
}

const INTENT_TOOLS = 3
const STORES = ['redis', 'embedded'] as const
const labelOf = (kind: string, broker: number) => `${kind} ${broker}`

export async function auditCost(options: AuditCostOptions, output: Output) {
  const bench = await Bench.start(options.connections)
  try {
    const systems = await measureExchanges(bench, options, output)
    const appends = await measureAppends(bench, options, output)
    const perCpuSecond = (name: string) => systems[name]?.exchanges_per_cpu_second ?? 0
    const ratio = (store: string) => perCpuSecond(store) / perCpuSecond(`${store}-stubbed`)
    const slowest = Math.max(...Object.values(appends).map(({ log_p99_ms }) => log_p99_ms))
    const goals = {
      audited_ratio_redis: atLeast(ratio('redis'), 0.85),
      audited_ratio_embedded: atLeast(ratio('embedded'), 0.85),
      append_p99_ms: atMost(slowest, 5),
    }
    return { systems, appends, goals }
  } finally {
    await bench.close()
  }
}

async function measureExchanges(bench: Bench, options: AuditCostOptions, output: Output) {
  const scene = { name: 'usual', company: makeCompany(USUAL_SIZE) }
  await bench.meet(scene, INTENT_TOOLS)
  const kinds = STORES.flatMap((kind) => [
    { name: kind, kind, stubbed: false },
    { name: `${kind}-stubbed`, kind, stubbed: true },
  ])
  const turns = []
  for (let broker = 1; broker <= options.brokers; broker += 1) {
    for (const { name, kind, stubbed } of kinds) {
      const label = labelOf(name, broker)
      const runner = await bench.errand(label, scene, await storeOf(bench, kind, label), { stubbed })
      turns.push({ label, runner, workload: 'open' } as const)
    }
  }
  const measured = await takeTurns(bench, turns, options, output)
  const systems: Record<string, KindFigures> = {}
  for (const { name } of kinds) {
    const brokers = Array.from({ length: options.brokers }, (_, n) => measured.get(labelOf(name, n + 1)) ?? [])
    const each = brokers.map((rounds) => figuresOf(rounds).cpu_us_per_exchange)
    systems[name] = {
      ...figuresOf(brokers.flat()),
      brokers_cpu_us_per_exchange: each.sort((one, other) => one - other),
    }
  }
  const rows = Object.entries(systems).map(([name, row]) => [
    name,
    row.cpu_us_per_exchange,
    row.exchanges_per_cpu_second,
    row.brokers_cpu_us_per_exchange.join(' '),
  ])
  output.say(`${table([['open', 'CPU µs', 'per CPU second', 'CPU µs of each broker'], ...rows])}\n`)
  return systems
}

async function measureAppends(bench: Bench, { appends: perSecond, seconds }: AuditCostOptions, output: Output) {
  const appends: Record<string, AppendFigures> = {}
  for (const kind of STORES) {
    output.progress(`appending to ${kind}`)
    const order: AppendOrder = { store: await storeOf(bench, kind, `${kind}-append`), perSecond, seconds }
    const process = bench.process('./systems/appending.ts', `${kind}-append`)
    const { latencies, logLatencies, records, sequenced } = await process.call<Appended>('append', order)
    if (sequenced !== records) throw new Error(`${records} records were written, ${sequenced} are in the log`)
    const at = (all: readonly number[], share: number) => rounded(percentile(Float64Array.from(all), share), 2)
    appends[kind] = {
      log_p50_ms: at(logLatencies, 0.5),
      log_p99_ms: at(logLatencies, 0.99),
      record_p50_ms: at(latencies, 0.5),
      record_p99_ms: at(latencies, 0.99),
      groups: logLatencies.length,
      records,
    }
  }
  const rows = Object.entries(appends).map(([kind, row]) => [
    kind,
    row.log_p50_ms,
    row.log_p99_ms,
    row.record_p50_ms,
    row.record_p99_ms,
  ])
  const head = ['durable', 'in the log p50 ms', 'p99 ms', 'in the outbox p50 ms', 'p99 ms']
  output.say(`${table([head, ...rows])}\n`)
  return appends
}

async function storeOf(bench: Bench, kind: (typeof STORES)[number], name: string): Promise<StoreOf> {
  return kind === 'redis' ? { kind, url: (await bench.redis()).url } : { kind, directory: join(bench.directory, name) }
}
