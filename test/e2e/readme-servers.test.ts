/**
 * The README's MCP servers, run as they are printed, each in a directory of its own with the package as it is published. Only
 * the world around them is arranged: where the names of its hosts lead, and which port is free.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  InsufficientScopeError,
  Client as V2Client,
  StreamableHTTPClientTransport as V2Transport,
} from '@modelcontextprotocol/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { type RunningChild, runChild } from '../support/child.ts'
import { granted } from '../support/hops.ts'
import { privateJwk, testKey } from '../support/keys.ts'
import { type Elsewhere, installedElsewhere } from '../support/packed.ts'
import { readmeBlocks } from '../support/readme.ts'
import { patient, WAREHOUSE } from '../support/world.ts'

/** Which of the README's blocks, and the SDK's name of the server's class. */
const SERVERS = [
  { name: 'hono', says: "from '@hono/mcp'", sdk: '@modelcontextprotocol/sdk/server/mcp.js' },
  { name: 'express', says: "from 'express'", sdk: '@modelcontextprotocol/sdk/server/mcp.js' },
  { name: 'mcp', says: 'createMcpHandler', sdk: '@modelcontextprotocol/server' },
]
const PACKAGES = ['jose', 'hono', '@hono/node-server', '@hono/mcp', 'express', 'zod']
const SDKS = ['@modelcontextprotocol/sdk', '@modelcontextprotocol/server']

const block = (says: string): string => {
  const found = readmeBlocks('## Integrate in ten minutes').filter(
    ({ language, text }) => language === 'ts' && text.includes(says),
  )
  expect(found.map(({ text }) => text)).toHaveLength(1)
  return found[0]?.text ?? ''
}

/** The reader's own server. */
const warehouse = (sdk: string) => `
import { McpServer } from '${sdk}'
import { z } from 'zod'
export function warehouse() {
  const server = new McpServer({ name: 'warehouse', version: '1.0.0' })
  const inputSchema = z.object({ table: z.string(), limit: z.number() })
  for (const name of ['query', 'drop_table']) {
    server.registerTool(name, { inputSchema }, async ({ table }) => ({ content: [{ type: 'text', text: name + ' ' + table }] }))
  }
  return server
}`

/** Names lead to this machine, and any port is the one that was asked for. */
const arranged = (broker: string) => `
import net from 'node:net'
const { fetch } = globalThis
globalThis.fetch = (url, init) => fetch(String(url).replace('https://errand.example', '${broker}'), init)
const { listen } = net.Server.prototype
net.Server.prototype.listen = function (port, ...rest) {
  this.once('listening', () => console.log('listening ' + this.address().port))
  return listen.call(this, port === 3000 ? 0 : port, ...rest)
}`

let elsewhere: Elsewhere
let fleet: Fleet
let broker: BrokerProcess
const running: RunningChild[] = []

beforeAll(async () => {
  fleet = await startFleet((directory) => ({ store: { kind: 'embedded', directory: `${directory}/store` } }))
  broker = patient(await fleet.start())
  elsewhere = installedElsewhere([...PACKAGES, ...SDKS])
  writeFileSync(join(elsewhere.directory, 'package.json'), '{"type":"module"}')
  writeFileSync(join(elsewhere.directory, 'arranged.js'), arranged(broker.url))
}, 300_000)
afterAll(async () => {
  await Promise.all(running.map((child) => child.kill()))
  await fleet?.close()
  elsewhere?.remove()
})

/** @returns where it listens */
async function start({ name, says, sdk }: (typeof SERVERS)[number]): Promise<string> {
  const directory = join(elsewhere.directory, name)
  mkdirSync(directory)
  writeFileSync(join(directory, 'verifier.ts'), block('export const options'))
  writeFileSync(join(directory, 'server.ts'), block(says))
  writeFileSync(join(directory, 'warehouse.ts'), warehouse(sdk))
  writeFileSync(
    join(directory, 'warehouse-server.jwk.json'),
    JSON.stringify(privateJwk(testKey('warehouse-server-key'))),
  )
  // What it reads by name lies beside it.
  const main = "import '../arranged.js'\nprocess.chdir(import.meta.dirname)\nawait import('./server.ts')\n"
  writeFileSync(join(directory, 'main.ts'), main)
  const child = runChild(pathToFileURL(join(directory, 'main.ts')), [])
  running.push(child)
  const port = await new Promise<string>((resolve, reject) => {
    child.onLine((line) => line.startsWith('listening ') && resolve(line.slice('listening '.length)))
    void child.exited.then((code) => reject(new Error(`${name} ended with ${code}: ${child.lines.join('\n')}`)))
  })
  return `http://127.0.0.1:${port}`
}

describe.each(SERVERS)('the server of the README on $name', (kind) => {
  let url = ''
  beforeAll(async () => {
    url = await start(kind)
  })

  test('runs what the intent contains, challenges what needs more, and hears of a revocation', async () => {
    const { session, sid } = await broker.opened()
    const { token } = await granted(broker.continue(session))
    const client = new V2Client({ name: 'orchestrator', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } })
    const onUnauthorized = async ({ response }: { response: Response }) => {
      throw new Error(response.headers.get('www-authenticate') ?? 'no challenge')
    }
    const authProvider = { token: async () => token, onUnauthorized }
    await client.connect(new V2Transport(new URL(`${url}/mcp`), { authProvider, onInsufficientScope: 'throw' }))
    const call = (name: string, table: string) => client.callTool({ name, arguments: { table, limit: 3 } })
    expect((await call('query', 'revenue')).content).toEqual([{ type: 'text', text: 'query revenue' }])
    await expect(call('query', 'salaries')).rejects.toMatchObject({ status: 403 })
    await expect(call('drop_table', 'revenue')).rejects.toThrow(InsufficientScopeError)
    const revoked = await broker.bearer(`/sessions/${sid}`, await broker.apiToken(), 'DELETE')
    expect(revoked.status, JSON.stringify(revoked.body)).toBe(200)
    await expect(call('query', 'revenue')).rejects.toThrow('the token has been revoked or is no longer active')
    await client.close()
  })

  test('tells whoever has no token where to get one', async () => {
    const answer = await fetch(`${url}/mcp`, { method: 'POST', body: '{}' })
    const metadata = 'https://warehouse.example/.well-known/oauth-protected-resource/mcp'
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
      401,
      `Bearer scope="mcp:tools:read", resource_metadata="${metadata}"`,
    ])
    const document = await fetch(`${url}${new URL(metadata).pathname}`)
    expect(await document.json()).toMatchObject({ resource: WAREHOUSE, authorization_servers: [fleet.issuer] })
  })
})
