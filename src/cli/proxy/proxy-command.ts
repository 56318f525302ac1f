/** `errand proxy`: a loopback address with a secret path, for clients that can be told a URL and nothing more. */
import { existsSync } from 'node:fs'
import { Secret } from '../../kernel/secret.ts'
import { isLoopbackHost } from '../../registry/url-rules.ts'
import { agentFailure, HOLDER_OPTIONS, holderOf } from '../agent/token-holder.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { createFile, PRIVATE, readPrivateFile } from '../private-file.ts'
import { printable } from '../terminal.ts'
import { isPathSecret, newPathSecret } from './proxy-gate.ts'
import { startProxy } from './proxy-listener.ts'

export const proxyCommand: CommandBody = {
  arguments: [],
  options: {
    ...HOLDER_OPTIONS,
    dpop: { help: 'bind each token to a key of this process (RFC 9449): stolen, it is good for nobody' },
    listen: { value: 'HOST:PORT', help: 'an address of this machine’s loopback (default 127.0.0.1:0, any free port)' },
    'secret-file': {
      value: 'FILE',
      help: 'keep the path here (mode 600; made if it is not there), so that the URL is the same next time',
    },
  },
  examples: [
    'errand proxy --client report-agent --resource https://mcp.example/mcp',
    'errand proxy --client report-agent --resource https://mcp.example/mcp --session-token-file session.jwt --listen 127.0.0.1:7070 --secret-file proxy.secret',
  ],
  notes: [
    'Prints one line, the URL to give to the client. Whoever has it acts as this agent: it is a secret, and everything else on this machine is refused. The client’s own Authorization is not passed on.',
    'Tokens are fetched ahead of their end, once more on a 401, and with more scope on a 403, within what was declared. They are in memory only.',
  ],
  run: async (args, io) => {
    const { host, port } = listenAddress(args.text('listen') ?? '127.0.0.1:0')
    const secret = await pathSecret(args)
    const holder = await holderOf(args, io)
    // What cannot get a token now is told at the start, not at the first call.
    await holder.ready().catch((fault: unknown) => Promise.reject(agentFailure(fault)))
    const log = (line: string) => io.err(`errand: ${printable(line)}\n`)
    const proxy = await startProxy({ holder, secret: secret.reveal(), host, port, log })
    // Before the line is out: whoever has read it may end the proxy.
    const stopped = stopSignal()
    const shown = host.includes(':') ? `[${host}]` : host
    io.out(`http://${shown}:${proxy.port}/${secret.reveal()}\n`)
    await stopped
    await proxy.stop()
    return 0
  },
}

/** @throws UsageError */
function listenAddress(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(text) ?? []
  const name = host.replace(/^\[(.+)\]$/, '$1')
  if (Number(port) > 65_535 || port === '') throw new UsageError('--listen is HOST:PORT, such as 127.0.0.1:7070')
  // Anywhere else it would hand this agent's authority to the network.
  if (!isLoopbackHost(host)) throw new UsageError(`--listen ${printable(host)}: only 127.0.0.1, [::1] and localhost`)
  return { host: name === 'localhost' ? '127.0.0.1' : name, port: Number(port) }
}

/** @throws UsageError */
async function pathSecret(args: Args): Promise<Secret> {
  const file = args.text('secret-file')
  if (file === undefined) return new Secret(newPathSecret())
  if (!existsSync(file)) {
    const secret = newPathSecret()
    await createFile(file, `${secret}\n`, PRIVATE)
    return new Secret(secret)
  }
  const text = (await readPrivateFile(file)).trim()
  if (!isPathSecret(text))
    throw new UsageError(`${file} is no path of errand proxy: 32 to 128 letters, digits, "-" or "_"`)
  return new Secret(text)
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
}
