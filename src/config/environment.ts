/**
 * The one place that looks at the process environment: for the name of the configuration file, for the size of the thread
 * pool, for how many files may be open, and for names that must not be there. A setting that could also come from a variable
 * would have two truths.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** A stalled disk write of the embedded store must not hold up every signature. */
const THREADS_MIN = 2
const THREADS_MAX = 16

/** The configuration file that `ERRAND_CONFIG` names. */
export function configInEnvironment(): string | undefined {
  return process.env['ERRAND_CONFIG']
}

/**
 * As many threads for signatures as there are processors: more only take turns, and wake each other for it (5 % of an exchange
 * on two processors, where Node's own default is four). To be called before anything has used the pool: its size is read once.
 * What the operator has set stays.
 */
export function sizeThreadPool(processors = availableParallelism()): void {
  process.env['UV_THREADPOOL_SIZE'] ??= String(Math.min(Math.max(processors, THREADS_MIN), THREADS_MAX))
}

/** Files, and so connections, that this process may have open; `undefined`: as many as it wants, or nobody says. */
export function openFilesMax(read = () => readFileSync('/proc/self/limits', 'utf8')): number | undefined {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(read())?.[1]
    return found === undefined ? undefined : Number(found)
  } catch {
    return undefined
  }
}

/** What is set at all, by name; for `static-keys.ts`, which takes no value from here. */
export function variablesSet(variables: Readonly<Record<string, string | undefined>> = process.env): readonly string[] {
  return Object.keys(variables).filter((name) => (variables[name] ?? '') !== '')
}
