/** Looks at readiness each second, and tells of each change: once when it is lost, once when it is back. */
import { READINESS_WATCH_MS } from '../kernel/process-limits.ts'
import type { Readiness, ReadinessReport } from './readiness.ts'

export interface ReadinessWatch {
  stop(): void
}

/** @param changed is told what is wrong, check by check; nothing: ready again */
export function watchReadiness(
  readiness: Pick<Readiness, 'look'>,
  changed: (problems: Readonly<Record<string, string>>) => void,
  everyMs: number = READINESS_WATCH_MS,
): ReadinessWatch {
  let last = ''
  const look = () => {
    const problems = problemsOf(readiness.look())
    const text = JSON.stringify(problems)
    if (text === last) return
    const isFirst = last === ''
    last = text
    // A broker that starts well says so itself.
    if (!isFirst || text !== '{}') changed(problems)
  }
  const timer = setInterval(look, everyMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

function problemsOf({ checks }: ReadinessReport): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(checks).filter(([, found]) => found !== 'ok'))
}
