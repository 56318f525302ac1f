/**
 * `npm test`: makes sure of a redis-server, runs vitest with the arguments given, and ends with one plain line,
 * `N passed, N failed`, that a machine can read. Exit code 0 only if something ran and nothing failed.
 */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureRedisServer } from './install-redis.ts'
import { SCRATCH, scratchDirectory } from './scratch.ts'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

interface Summary {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly numFailedTestSuites: number
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[]
}

function runVitest(report: string, own: NodeJS.ProcessEnv): Promise<number> {
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const args = [vitest, 'run', '--config', 'test/vitest.config.ts', ...reporters, ...process.argv.slice(2)]
  // The same node as this one: a bare `node` on the PATH may be too old for TypeScript.
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...own },
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  return new Promise((resolve) => {
    child.once('error', (error) => {
      console.error(error.message)
      resolve(1)
    })
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

/** `undefined`: vitest ended before it wrote one. */
function readSummary(report: string): Summary | undefined {
  try {
    return JSON.parse(readFileSync(report, 'utf8')) as Summary
  } catch {
    return undefined
  }
}

async function main(): Promise<number> {
  const missing = ensureRedisServer()
  if (missing !== undefined) {
    console.error(missing)
    return 1
  }
  // Whatever is killed leaves its files: they all go with the run.
  const directory = mkdtempSync(join(tmpdir(), 'errand-test-'))
  const scratch = scratchDirectory('errand-test-')
  // Some tests run as another user, who has to get at what is his below it.
  for (const one of [directory, scratch]) chmodSync(one, 0o711)
  try {
    const report = join(directory, 'report.json')
    const code = await runVitest(report, { TMPDIR: directory, [SCRATCH]: scratch })
    const summary = readSummary(report)
    const passed = summary?.numPassedTests ?? 0
    // A file that cannot even be loaded has no failed test to count: it counts as one itself.
    const broken = summary?.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
    const failed = (summary?.numFailedTests ?? 0) + (broken?.length ?? 0)
    const skipped = (summary?.numPendingTests ?? 0) + (summary?.numTodoTests ?? 0)
    if (summary === undefined) console.error('vitest ended without a report')
    console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
    return code !== 0 ? code : summary?.success === true && failed === 0 && passed > 0 ? 0 : 1
  } finally {
    for (const one of [directory, scratch]) rmSync(one, { recursive: true, force: true, maxRetries: 5 })
  }
}

process.exitCode = await main()
