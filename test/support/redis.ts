/**
 * A real redis-server for tests: on a free loopback port, in a directory of its own, without persistence unless asked. It
 * can be killed, paused and restarted on the same port and directory, which is what the outage and durability tests need.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { PATIENCE_MS } from './patience.ts'
import { standStill } from './stand-still.ts'

/**
 * The server dies with the test that started it, also when that is killed: its end of the pipe closes, `read` returns. The
 * watcher is ended first when the server ends by itself, lest it kill whoever has that pid next.
 */
const SUPERVISED = `
exec 3<&0
redis-server "$@" </dev/null 3<&- & server=$!
echo "pid $server"
(read -r line <&3; kill -9 $server) >/dev/null 2>&1 & watcher=$!
wait $server
kill $watcher
`

export interface RedisOptions {
  /** Kept by `stop` when given; otherwise a temporary one that `stop` removes. */
  readonly dir?: string
  readonly port?: number
  /** More arguments of redis-server, such as `--appendonly yes`. */
  readonly args?: readonly string[]
  /** Lines of a Sentinel's configuration: it is one then, and no store. */
  readonly sentinel?: readonly string[]
}

export interface RunningRedis {
  readonly url: string
  readonly port: number
  readonly dir: string
  /** Ends it (SIGTERM) and removes its temporary directory. */
  stop(): Promise<void>
  /** SIGKILL: whatever was not on disk is lost. The directory stays, for a restart on it. */
  kill(): Promise<void>
  /** SIGSTOP: connections stay open, nothing answers. */
  pause(): void
  resume(): void
  /** After `kill`: the same server once more, on its port, directory and arguments. */
  again(): Promise<RunningRedis>
}

export async function startRedis(options: RedisOptions = {}): Promise<RunningRedis> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'errand-redis-'))
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    try {
      return await launch(dir, port, options)
    } catch (error) {
      // Somebody else took the free port in between; a port that was asked for is not exchanged for another.
      if (options.port !== undefined || attempt === 3) throw error
    }
  }
}

async function launch(dir: string, port: number, options: RedisOptions): Promise<RunningRedis> {
  const server = spawn('/bin/sh', ['-c', SUPERVISED, 'sh', ...argumentsOf(dir, port, options)])
  // Closed by the kernel when this process ends, however it ends.
  server.stdin.on('error', () => undefined)
  let output = ''
  let pid: string | undefined
  let becomesReady: (ready: true) => void = () => undefined
  const ready = new Promise<true>((resolve) => {
    becomesReady = resolve
  })
  for (const stream of [server.stdout, server.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000)
      pid ??= /^pid ([0-9]+)$/m.exec(output)?.[1]
      // Said after its data are loaded.
      const isUp = output.includes('Ready to accept connections') || output.includes('Sentinel ID is')
      // The shell that says which process it is may be slower than the server.
      if (isUp && pid !== undefined) becomesReady(true)
    })
  }
  const exited = new Promise<void>((resolve) => {
    server.once('exit', () => resolve())
    server.once('error', (error) => {
      output += error.message
      resolve()
    })
  })
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), PATIENCE_MS)
  })
  const started = await Promise.race([ready, exited.then(() => false), late])
  clearTimeout(timer)
  if (!started || pid === undefined) {
    server.stdin.destroy()
    throw new Error(`redis-server did not start on port ${port}:\n${output}`)
  }
  const serverPid = Number(pid)
  let ended = false
  void exited.then(() => {
    ended = true
  })
  const signal = (name: NodeJS.Signals): boolean => !ended && process.kill(serverPid, name)
  const end = async (name: NodeJS.Signals): Promise<void> => {
    signal('SIGCONT')
    signal(name)
    await exited
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    async stop() {
      await end('SIGTERM')
      if (options.dir === undefined) rmSync(dir, { recursive: true, force: true })
    },
    kill: () => end('SIGKILL'),
    pause: () => {
      if (!ended) standStill(serverPid)
    },
    resume: () => void signal('SIGCONT'),
    again: () => startRedis({ ...options, dir, port }),
  }
}

function argumentsOf(dir: string, port: number, { args = [], sentinel }: RedisOptions): readonly string[] {
  const where = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--daemonize', 'no']
  if (sentinel === undefined) return [...where, '--save', '', '--appendonly', 'no', ...args]
  // A Sentinel writes what it learns into its configuration: one that comes again reads that.
  const file = join(dir, 'sentinel.conf')
  if (!existsSync(file)) writeFileSync(file, `${sentinel.join('\n')}\n`)
  return [file, '--sentinel', ...where, ...args]
}
