/** MCP programs that others wrote, as processes: a server, and the command lines of the conformance suite and the Inspector. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { childEnvironment } from './child.ts'
import { finished, type Ran } from './errand-command.ts'
import { freePort } from './free-port.ts'

const PACKAGES = join(resolve(import.meta.dirname, '../..'), 'node_modules', '@modelcontextprotocol')

export interface RunningMcpServer {
  readonly url: string
  stop(): Promise<void>
}

/** `@modelcontextprotocol/server-everything`, over Streamable HTTP. */
export async function startEverything(): Promise<RunningMcpServer> {
  const port = await freePort()
  const program = join(PACKAGES, 'server-everything', 'dist', 'index.js')
  const child = spawn(process.execPath, [program, 'streamableHttp'], {
    env: { ...childEnvironment(), PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const gone = new Promise<void>((done) => child.once('close', () => done()))
  await new Promise<void>((ready, fail) => {
    const read = (text: string) => text.includes(String(port)) && ready()
    child.stdout.setEncoding('utf8').on('data', read)
    child.stderr.setEncoding('utf8').on('data', read)
    child.once('close', () => fail(new Error('server-everything ended before it listened')))
  })
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    async stop() {
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** `@modelcontextprotocol/conformance`, with the node that runs the tests: it needs 22 or later. */
export function conformance(args: readonly string[], cwd: string): Promise<Ran> {
  return ran(join(PACKAGES, 'conformance', 'dist', 'index.js'), args, cwd)
}

/** `mcp-inspector --cli`. */
export function inspector(args: readonly string[], cwd: string): Promise<Ran> {
  return ran(join(PACKAGES, 'inspector', 'clients', 'launcher', 'build', 'index.js'), ['--cli', ...args], cwd)
}

function ran(program: string, args: readonly string[], cwd: string): Promise<Ran> {
  const child: ChildProcess = spawn(process.execPath, [program, ...args], {
    cwd,
    env: { ...childEnvironment(), NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return finished(child)
}
