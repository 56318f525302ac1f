/**
 * Runs a TypeScript file of the tests as a process of its own, with this process's node, and reads it line by line. A child
 * ends when its stdin does: so it does not outlive a test run that is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const COMPILE_CACHE = join(tmpdir(), 'errand-test-compile-cache')

/** The environment of a program of ours: tests start the same ones hundreds of times, and most of a start is reading code. */
export const childEnvironment = (): NodeJS.ProcessEnv => ({ ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE })

export interface RunningChild {
  readonly process: ChildProcess
  /** Every complete line it has written so far. */
  readonly lines: readonly string[]
  /** Calls back for each line. */
  onLine(listener: (line: string) => void): void
  send(line: string): void
  /** SIGKILL, and wait until it is gone and its last output has been read. */
  kill(): Promise<void>
  /** Exit code, after its output has been read. */
  readonly exited: Promise<number | null>
}

/** Ended with this process, by one listener for all. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export function runChild(file: URL, args: readonly string[]): RunningChild {
  const child = spawn(process.execPath, [file.pathname, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: childEnvironment(),
  })
  running.add(child)
  const lines: string[] = []
  const listeners: ((line: string) => void)[] = []
  const reader = createInterface({ input: child.stdout })
  reader.on('line', (line) => {
    lines.push(line)
    for (const listener of listeners) listener(line)
  })
  const read = new Promise<void>((resolve) => reader.once('close', resolve))
  const gone = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const exited = Promise.all([gone, read]).then(([code]) => {
    running.delete(child)
    return code
  })
  child.stdin.on('error', () => undefined)
  return {
    process: child,
    lines,
    onLine: (listener) => void listeners.push(listener),
    send: (line) => void child.stdin.write(`${line}\n`),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    exited,
  }
}
