/** From rounds to figures, and from figures to goals. */
import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import type { Round } from './systems.ts'

export interface Figures {
  readonly cpu_us_per_exchange: number
  /** The part of it on the main thread; the rest is signatures and disk on other threads. */
  readonly main_thread_us_per_exchange: number
  readonly exchanges_per_second: number
  readonly exchanges_per_cpu_second: number
  readonly p50_ms: number
  readonly p99_ms: number
  readonly exchanges: number
}

export interface Goal {
  readonly value: number
  readonly limit: number
  readonly met: boolean
}
export type Goals = Readonly<Record<string, Goal>>

/**
 * CPU time and throughput over all rounds together; p50 and p99 are the median of the rounds' own, so that one busy moment of
 * the machine does not become one system's p99.
 */
export function figuresOf(rounds: readonly Round[]): Figures {
  const exchanges = sum(rounds.map((round) => round.exchanges))
  const cpuMicros = sum(rounds.map((round) => round.cpuMicros))
  const elapsedMs = sum(rounds.map((round) => round.elapsedMs))
  return {
    cpu_us_per_exchange: rounded(cpuMicros / exchanges, 1),
    main_thread_us_per_exchange: rounded(sum(rounds.map((round) => round.mainThreadMicros)) / exchanges, 1),
    exchanges_per_second: rounded((exchanges / elapsedMs) * 1000, 0),
    exchanges_per_cpu_second: rounded((exchanges / cpuMicros) * 1e6, 0),
    p50_ms: rounded(median(rounds.map(({ latencies }) => percentile(latencies, 0.5))), 2),
    p99_ms: rounded(median(rounds.map(({ latencies }) => percentile(latencies, 0.99))), 2),
    exchanges,
  }
}

export function atLeast(value: number, limit: number): Goal {
  return { value: rounded(value, 3), limit, met: value >= limit }
}

export function atMost(value: number, limit: number): Goal {
  return { value: rounded(value, 3), limit, met: value <= limit }
}

/** Where and when it was measured: absolute figures are of this machine only. */
export function environment(): Readonly<Record<string, string | number>> {
  const redis = /v=([0-9.]+)/.exec(spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout ?? '')
  return {
    date: new Date().toISOString(),
    node: process.version,
    cpus: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    redis: redis?.[1] ?? 'unknown',
  }
}

export function percentile(values: Float64Array, share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

export function median(values: readonly number[]): number {
  return percentile(Float64Array.from(values), 0.5)
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
