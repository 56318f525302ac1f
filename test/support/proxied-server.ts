/** A broker, an MCP server behind its verifier, and `errand proxy` before that: each a listener of its own, the proxy a process. */
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { guarded } from '../../src/sdk/verify/guard/web.ts'
import { createVerifier } from '../../src/sdk/verify/verifier.ts'
import { type BrokerProcess, type Fleet, startFleet } from './broker-process.ts'
import { conformanceHandler, READING_TOOLS } from './conformance-server.ts'
import { type RunningProgram, startErrand } from './errand-command.ts'
import { freePort } from './free-port.ts'
import { privateJwk, sign, testKey } from './keys.ts'
import { scratchDirectory } from './scratch.ts'

export const READ = 'mcp:tools:read'
const WRITE = 'mcp:tools:write'
const OTHER_METHODS = [
  'resources/list',
  'resources/read',
  'resources/templates/list',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'logging/setLevel',
]

export interface Proxied {
  readonly fleet: Fleet
  readonly broker: BrokerProcess
  readonly resource: string
  /** What reached the MCP server. */
  readonly seen: IncomingMessage[]
  readonly directory: string
  /** The options that name the agent, its key and its broker. */
  readonly agent: readonly string[]
  /** Set: the server answers with this instead, as long as it is set. */
  instead: ((request: Request) => Response | undefined) | undefined
  /** One more `errand proxy`; its URL. */
  proxy(...options: readonly string[]): Promise<{ readonly url: string; readonly program: RunningProgram }>
  close(): Promise<void>
}

/** @param other a server that asks nobody for a token, registered beside it with these tools to read with */
export async function startProxied(other?: { url: string; tools: readonly string[] }): Promise<Proxied> {
  const directory = scratchDirectory('errand-proxied-')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const resource = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/mcp`
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}`
  const fleet = await startFleet((place) => ({
    store: { kind: 'embedded', directory: `${place}/store` },
    settings: { issuer },
    registry: (document) => withServer(document, resource, other),
  }))
  const broker = await fleet.start({ port })
  const keyFile = join(directory, 'orchestrator.jwk.json')
  const key = testKey('orchestrator-key')
  writeFileSync(keyFile, JSON.stringify({ ...privateJwk(key), kid: 'orchestrator-key', alg: 'ES256' }))
  chmodSync(keyFile, 0o600)
  const programs: RunningProgram[] = []
  const agent = ['--client', 'orchestrator', '--agent-key', keyFile, '--issuer', issuer]
  const here: Proxied = {
    fleet,
    broker,
    resource,
    seen: [],
    directory,
    agent,
    instead: undefined,
    async proxy(...options) {
      const target = options.includes('--resource') ? [] : ['--resource', resource]
      const program = await startErrand(['proxy', ...target, ...agent, ...options], directory)
      programs.push(program)
      const url = /^http:\S+$/m.exec(program.out())?.[0]
      if (url === undefined) throw new Error(`errand proxy said: ${program.err()}`)
      return { url, program }
    },
    async close() {
      for (const program of programs) await program.stop()
      server.closeAllConnections()
      server.close()
      await fleet.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  serve(server, here, issuer)
  return here
}

function serve(server: Server, here: Proxied, issuer: string): void {
  const identity = {
    clientId: 'wiki-server',
    sign: async (claims: Readonly<Record<string, unknown>>) =>
      sign({ key: testKey('wiki-server-key'), header: { typ: 'client-authentication+jwt' }, claims }).reveal(),
  }
  const { resource } = here
  const handler = conformanceHandler()
  const guard = guarded(
    {
      verifier: createVerifier({ issuer, resource, introspection: identity }),
      tools: { ...Object.fromEntries(READING_TOOLS.map((tool) => [tool, READ])), edit_page: WRITE },
      methods: Object.fromEntries(OTHER_METHODS.map((method) => [method, READ])),
      baseScope: READ,
    },
    (request, options) => handler.fetch(request, options),
  )
  const listener = getRequestListener(async (request) => here.instead?.(request) ?? guard(request))
  server.on('request', (request, response) => {
    here.seen.push(request)
    void listener(request, response)
  })
}

function withServer(
  document: Record<string, unknown>,
  url: string,
  other: { url: string; tools: readonly string[] } | undefined,
): Record<string, unknown> {
  const registered = (tools: readonly string[]) => Object.fromEntries(tools.map((tool) => [tool, { category: 'read' }]))
  const intended = (tools: readonly string[]) => Object.fromEntries(tools.map((tool) => [tool, {}]))
  const resources = (document['resources'] as { id: string }[]).map((entry) => {
    const own = { ...registered(READING_TOOLS), edit_page: { category: 'write' } }
    if (entry.id === 'wiki') return { ...entry, url, enforces: 'arguments', tools: own }
    return entry.id === 'slack' && other !== undefined
      ? { ...entry, url: other.url, enforces: 'scope', tools: registered(other.tools) }
      : entry
  })
  const tools = { wiki: intended(READING_TOOLS), ...(other !== undefined && { slack: intended(other.tools) }) }
  const agents = (document['agents'] as { client_id: string }[]).map((entry) =>
    entry.client_id === 'orchestrator' ? { ...entry, standing_intent: { purpose: 'Try the server', tools } } : entry,
  )
  return { ...document, resources, agents }
}
