/**
 * Runs a parser on many inputs and says what it must never do: throw what is not its documented refusal, take long, change
 * what it was given, or leave a mark on every object. What once failed is kept in `seeds/<target>/` and runs first, for ever.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Chance } from '../support/chance.ts'
import { mutate } from './mutate.ts'

export interface Target {
  readonly name: string
  /** Valid examples, and near misses worth starting from. */
  readonly corpus: readonly string[]
  /** Checks what it can about the result, and throws an `OracleError` where that is wrong. */
  run(input: string): unknown
  /** Its documented refusal. */
  isRefusal(error: unknown): boolean
  /** Texts whose length the work must not outgrow, by a number of repetitions. Absent: the patterns that fit everybody. */
  readonly growth?: readonly ((times: number) => string)[]
  /** An operator's own file: its reader compares every key of an object with every other, and may. */
  readonly quadratic?: true
}

/** A result that is not what it should be. */
export class OracleError extends Error {}

const SEEDS = join(import.meta.dirname, 'seeds')
/** Of a processor, for one input. Who else is at work on the machine does not count. */
const ONE_INPUT_MS_MAX = 2_000

export function keptSeeds(target: string): readonly { readonly name: string; readonly input: string }[] {
  let names: string[] = []
  try {
    names = readdirSync(join(SEEDS, target)).sort()
  } catch {
    return []
  }
  return names.map((name) => ({ name, input: readInput(join(SEEDS, target, name)) }))
}

/** Kept as JSON strings: line ends, NUL and lone surrogates survive every editor and version control. */
function readInput(path: string): string {
  return JSON.parse(readFileSync(path, 'utf8')) as string
}

/** @returns the file's path */
export function keepSeed(target: string, input: string): string {
  const name = createHash('sha256').update(input).digest('hex').slice(0, 12)
  mkdirSync(join(SEEDS, target), { recursive: true })
  const path = join(SEEDS, target, `${name}.json`)
  writeFileSync(path, `${JSON.stringify(input)}\n`)
  return path
}

/** One input through one target. @throws Error that says what was wrong */
export async function check(target: Target, input: string): Promise<void> {
  const begun = process.cpuUsage()
  try {
    await target.run(input)
  } catch (error) {
    if (!target.isRefusal(error)) throw error
  }
  const { user, system } = process.cpuUsage(begun)
  const took = (user + system) / 1_000
  if (took > ONE_INPUT_MS_MAX) throw new OracleError(`took ${Math.round(took)} ms for ${input.length} characters`)
  for (const name in {}) throw new OracleError(`every object now has a member ${name}`)
  if ('polluted' in {}) throw new OracleError('every object is polluted')
}

/** Derived from the run's seed and the target's name, so that each target can be replayed alone. */
export function seedOf(seed: number, target: string, number: number): number {
  return createHash('sha256').update(`${seed}/${target}/${number}`).digest().readUInt32BE()
}

export interface Failure {
  readonly target: string
  readonly number: number
  readonly input: string
  readonly error: unknown
}

/** Until the time is up. @returns how many inputs it took, and the first that failed */
export async function fuzz(
  target: Target,
  seed: number,
  milliseconds: number,
): Promise<{ readonly inputs: number; readonly failure: Failure | undefined }> {
  const until = performance.now() + milliseconds
  let number = 0
  for (; performance.now() < until; number += 1) {
    const input = mutate(target.corpus, new Chance(seedOf(seed, target.name, number)))
    try {
      await check(target, input)
    } catch (error) {
      return { inputs: number + 1, failure: { target: target.name, number, input, error } }
    }
  }
  return { inputs: number, failure: undefined }
}

const PATTERNS: readonly ((times: number) => string)[] = [
  (times) => 'a'.repeat(times),
  (times) => ' '.repeat(times),
  (times) => '('.repeat(times),
  (times) => '['.repeat(times),
  (times) => '{"a":'.repeat(times / 5),
  (times) => `"${'\\u0041'.repeat(times / 6)}"`,
  (times) => `[${'1,'.repeat(times / 2)}1]`,
  (times) => `{${Array.from({ length: times / 10 }, (_, index) => `"m${index}":1`).join(',')}}`,
  (times) => 'a.'.repeat(times / 2),
  (times) => 'a,'.repeat(times / 2),
  (times) => 'a&'.repeat(times / 2),
  (times) => 'a: b\n'.repeat(times / 5),
  (times) => '../'.repeat(times / 3),
  (times) => `https://h/${'a/'.repeat(times / 2)}`,
  (times) => '%'.repeat(times),
  (times) => '-'.repeat(times),
]

/** Eight times the text may take eight times as long; thirty times is another kind of growth (quadratic: sixty-four). */
const SMALL = 4_000
const FACTOR = 8
const GROWTH_MAX = 30
const QUADRATIC_GROWTH_MAX = 150
/** Processor time: who else is at work on the machine does not count. Below this, the collector is what is measured. */
const MEASURABLE_MS = 15

/** @throws OracleError naming the pattern that grows faster than its length */
export async function checkGrowth(target: Target): Promise<void> {
  for (const pattern of [...PATTERNS, ...(target.growth ?? [])]) {
    const [small, large] = [pattern(SMALL), pattern(SMALL * FACTOR)]
    const [before, after] = [await fastest(target, small), await fastest(target, large)]
    const most = target.quadratic === true ? QUADRATIC_GROWTH_MAX : GROWTH_MAX
    if (after < MEASURABLE_MS || after <= before * most) continue
    const what = `${before.toFixed(2)} ms for ${small.length}, ${after.toFixed(2)} ms for ${large.length} characters`
    throw new OracleError(`grows faster than its input (${pattern(20).slice(0, 20)}…): ${what}`)
  }
}

async function fastest(target: Target, input: string): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < 4; tries += 1) {
    const begun = process.cpuUsage()
    try {
      await target.run(input)
    } catch (error) {
      if (!target.isRefusal(error)) throw error
    }
    const { user, system } = process.cpuUsage(begun)
    best = Math.min(best, (user + system) / 1_000)
    // Enough is known: the rest of the tries would only make the slow ones slower.
    if (best < MEASURABLE_MS) break
  }
  return best
}

export function describeFailure(failure: Failure, seed: number): string {
  const { target, number, input, error } = failure
  const how = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return [
    `${target} failed on input ${number} of seed ${seed}: ${how}`,
    `again: npm run fuzz -- --seed ${seed} --only ${target} --from ${number}`,
    `input: ${JSON.stringify(input).slice(0, 2_000)}`,
  ].join('\n')
}
