/**
 * Finds redis-server on the PATH, else installs Debian's package where that needs no question asked: as root, or with
 * passwordless sudo. The tests run servers of their own: the package's service is neither started nor left enabled.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const INSTALL_MS_MAX = 300_000

/** `undefined`: there is one now. Otherwise one line on what to do. */
export function ensureRedisServer(): string | undefined {
  if (onPath('redis-server')) return undefined
  const advice =
    'redis-server is missing: install it (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis)'
  if (!onPath('apt-get')) return advice
  const prefix = asRoot()
  if (prefix === undefined) return advice
  console.log('redis-server is missing: installing the package redis-server')
  const failure = install(prefix)
  if (onPath('redis-server')) return undefined
  return `${advice}. Installing it here failed: ${failure ?? 'it is still not on the PATH'}`
}

function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return directory !== ''
    } catch {
      return false
    }
  })
}

/** What to put before a command to run it as root without a prompt. */
function asRoot(): readonly string[] | undefined {
  if (process.getuid?.() === 0) return []
  if (onPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n']
  return undefined
}

function install(prefix: readonly string[]): string | undefined {
  // RUNLEVEL=1 tells Debian's invoke-rc.d that no service is to be started now.
  const settings = ['env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1']
  // A list of packages that cannot be refreshed may still do.
  run([...prefix, ...settings, 'apt-get', 'update', '-qq'])
  const failure = run([
    ...prefix,
    ...settings,
    'apt-get',
    'install',
    '-y',
    '-qq',
    '--no-install-recommends',
    'redis-server',
  ])
  // Where systemd runs it may have been enabled all the same.
  if (onPath('systemctl')) run([...prefix, 'systemctl', 'disable', '--now', 'redis-server'])
  return failure
}

/** The last line of what it said, if it failed. */
function run(command: readonly string[]): string | undefined {
  const [program = '', ...args] = command
  const result = spawnSync(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: INSTALL_MS_MAX,
  })
  if (result.status === 0) return undefined
  const said = `${result.stdout ?? ''}\n${result.stderr ?? ''}`.trim()
  return said.split('\n').at(-1) || result.error?.message || `exit code ${result.status}`
}
