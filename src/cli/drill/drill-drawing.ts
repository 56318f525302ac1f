/** What a drill has found, for a person and for a program. */
import type { JsonObject } from '../json-fields.ts'
import { plural, printable, type Styles } from '../terminal.ts'
import type { Measured, Row, Sample } from './measure.ts'

/** What revoking is meant to take; the bound is what it must not. */
const TARGET_MS = 1_000

export interface Verdict extends Measured {
  readonly rounds: number
  readonly maxMs: number
}

export function isWithinBound({ rows }: Measured): boolean {
  return rows.every(({ samples }) => samples.length > 0 && samples.every(({ deadMs }) => deadMs !== undefined))
}

/** Times in whole milliseconds from the request of the revocation on; `null`: past the bound. */
export function drillJson(found: Verdict): JsonObject {
  const { rows, rounds, revocations, hops, tokens, maxMs } = found
  const worst = worstOf(rows.flatMap(({ samples }) => samples))
  return {
    ok: isWithinBound(found),
    rounds,
    revocations,
    hops_per_tree: hops,
    tokens,
    max_seconds: maxMs / 1000,
    worst_accepted_ms: worst.acceptedMs,
    worst_dead_ms: worst.deadMs ?? null,
    verifiers: rows.map(({ verifier: { broker, by }, samples }) => {
      const { acceptedMs, deadMs } = worstOf(samples)
      return {
        broker,
        by,
        accepted_ms: { median: median(samples), worst: acceptedMs },
        dead_ms: deadMs ?? null,
      }
    }),
  }
}

export function drawDrill(found: Verdict, styles: Styles): string {
  const { rows, revocations, hops, tokens, maxMs } = found
  const what = `${plural(revocations, 'revocation')} of ${plural(tokens / Math.max(revocations, 1), 'token')} each`
  const wide = Math.max(...rows.map(({ verifier }) => verifier.broker.length))
  const head = `  ${'verifier'.padEnd(wide + 15)}  ${'last accepted: median'}  ${'worst'.padStart(9)}  ${'dead by'.padStart(9)}`
  const lines = rows.map((row) => rowLine(row, wide, styles))
  return `${[
    `${what}, ${plural(hops, 'hop')} deep; in milliseconds from the revocation’s request on`,
    styles.dim(head),
    ...lines,
    verdict(found, maxMs, styles),
  ].join('\n')}\n`
}

function rowLine({ verifier: { broker, by }, samples }: Row, wide: number, styles: Styles): string {
  const { acceptedMs, deadMs } = worstOf(samples)
  const dead = (deadMs === undefined ? 'never' : String(deadMs)).padStart(9)
  const name = `${printable(broker).padEnd(wide)}  ${by.padEnd(13)}`
  const times = `${String(median(samples)).padStart(21)}  ${String(acceptedMs).padStart(9)}`
  return `  ${name}  ${times}  ${deadMs === undefined ? styles.bad(dead) : dead}`
}

function verdict(found: Measured, maxMs: number, { good, bad }: Styles): string {
  const { acceptedMs, deadMs } = worstOf(found.rows.flatMap(({ samples }) => samples))
  if (!isWithinBound(found) || deadMs === undefined) {
    const late = found.rows.filter(({ samples }) => worstOf(samples).deadMs === undefined)
    const names = late.map(({ verifier: { broker, by } }) => `${printable(broker)} by ${by}`).join(', ')
    return bad(`past the bound of ${maxMs / 1000} s at ${names}: look at errand health there`)
  }
  const target = deadMs < TARGET_MS ? 'below the target of 1 s' : 'above the target of 1 s'
  const line = `worst: last accepted after ${acceptedMs} ms, dead at every verifier by ${deadMs} ms, ${target}`
  return deadMs < TARGET_MS ? good(line) : line
}

function worstOf(samples: readonly Sample[]): Sample {
  const isLate = samples.some(({ deadMs }) => deadMs === undefined)
  const most = (times: readonly number[]) => Math.round(Math.max(0, ...times))
  return {
    acceptedMs: most(samples.map(({ acceptedMs }) => acceptedMs)),
    deadMs: isLate ? undefined : most(samples.map(({ deadMs }) => deadMs ?? 0)),
  }
}

function median(samples: readonly Sample[]): number {
  const times = samples.map(({ acceptedMs }) => acceptedMs).toSorted((a, b) => a - b)
  return Math.round(times[Math.floor(times.length / 2)] ?? 0)
}
