/** Stops a process where it stands: SIGSTOP, and the moment at which it no longer does anything, which is a little later. */
import { existsSync, readFileSync } from 'node:fs'
import { PATIENCE_MS } from './patience.ts'

export function standStill(pid: number): void {
  process.kill(pid, 'SIGSTOP')
  const stat = `/proc/${pid}/stat`
  // Elsewhere than on Linux nobody says.
  if (!existsSync(stat)) return
  const asleep = new Int32Array(new SharedArrayBuffer(4))
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs++) {
    const text = readFileSync(stat, 'utf8')
    if (text.slice(text.lastIndexOf(')') + 2).startsWith('T')) return
    Atomics.wait(asleep, 0, 0, 1)
  }
  throw new Error(`process ${pid} does not stand still`)
}
