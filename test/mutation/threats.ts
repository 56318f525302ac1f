/**
 * Takes each control of `deploy/threats.md` out of the program, one at a time, and runs the test that is named for it there: it must
 * fail. `npm run mutation:threats -- standing replay` takes those whose file, test or title has one of these words.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { MUTATIONS, type Mutation, patternOf } from './threats-list.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs')
const CONFIG = join(import.meta.dirname, 'threats.config.ts')
/** One that is never answered waits for its own end. */
const PATIENCE_MS = 300_000

interface Report {
  readonly numFailedTests: number
  readonly numPassedTests: number
}

/** `noticed`: a test has failed. `not run`: no test has this title, or none could be begun. */
function outcomeOf({ test, title, run = test }: Mutation, index: number, directory: string) {
  const report = join(directory, `${index}.json`)
  const options = ['--config', CONFIG, '-t', patternOf(title), '--reporter=json', `--outputFile=${report}`]
  const env = { ...process.env, ERRAND_MUTATION: String(index) }
  spawnSync(process.execPath, [VITEST, 'run', run, ...options], { cwd: ROOT, env, timeout: PATIENCE_MS })
  const { numFailedTests, numPassedTests }: Report = JSON.parse(readFileSync(report, 'utf8'))
  if (numFailedTests > 0) return 'noticed'
  return numPassedTests > 0 ? 'NOT NOTICED' : 'NOT RUN'
}

const words = process.argv.slice(2)
const directory = mkdtempSync(join(tmpdir(), 'errand-threats-'))
let missed = 0
for (const [index, mutation] of MUTATIONS.entries()) {
  const { source, test, title } = mutation
  if (words.length > 0 && !words.some((word) => `${source} ${test} ${title}`.includes(word))) continue
  const outcome = outcomeOf(mutation, index, directory)
  if (outcome !== 'noticed') missed += 1
  console.log(`${outcome.padEnd(12)} ${source}: ${title}`)
}
rmSync(directory, { recursive: true })
console.log(missed === 0 ? 'every control that was taken out was noticed' : `${missed} were not noticed`)
process.exitCode = missed === 0 ? 0 : 1
