/**
 * What the audit costs. Exchanges with all of it against exchanges without any, on both stores, in rounds that take
 * turns; and how long an append to the log takes to be durable while thousands of records a second are written and brought
 * into it in groups. The goal is that of the group; how long one record takes to be durable in its outbox is told beside it.
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
  /** Records per second, and for how long. */
  readonly appends: number
  readonly seconds: number
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
  const turns = []
  for (const kind of STORES) {
    for (const stubbed of [false, true]) {
      const label = stubbed ? `${kind}-stubbed` : kind
      const runner = await bench.errand(label, scene, await storeOf(bench, kind, label), { stubbed })
      turns.push({ label, runner, workload: 'open' } as const)
    }
  }
  const measured = await takeTurns(bench, turns, options, output)
  const systems: Record<string, Figures> = {}
  for (const [label, rounds] of measured) systems[label] = figuresOf(rounds)
  const rows = Object.entries(systems).map(([label, row]) => [
    label,
    row.cpu_us_per_exchange,
    row.exchanges_per_cpu_second,
  ])
  output.say(`${table([['open', 'CPU µs', 'per CPU second'], ...rows])}\n`)
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
