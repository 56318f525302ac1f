/** Programs that the README's commands use beside ours. Where one is not installed, what would run it is skipped, and says so. */
import { spawnSync } from 'node:child_process'

/** Whether all are installed; a line on stderr where one is not. */
export function haveTools(...names: readonly string[]): boolean {
  const missing = names.filter((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).error !== undefined)
  if (missing.length > 0) console.warn(`skipped for want of ${missing.join(' and ')}: install them to have this tested`)
  return missing.length === 0
}
