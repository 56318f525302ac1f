/** The README's agent, run as it is printed: by the package as it is published, against a real broker and a real MCP server. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { serveMcp } from '../../src/cli/demo/mcp-server.ts'
import { warehouseTools } from '../../src/cli/demo/mcp-tools.ts'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { privateJwk, sign, testKey } from '../support/keys.ts'
import { type Elsewhere, installedElsewhere } from '../support/packed.ts'
import { readmeBlock } from '../support/readme.ts'
import { freePort } from '../support/redis.ts'

let fleet: Fleet
let broker: BrokerProcess
let server: Server
let resource = ''
let elsewhere: Elsewhere

beforeAll(async () => {
  elsewhere = installedElsewhere(['@modelcontextprotocol/client'])
  server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  resource = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/mcp`
  const port = await freePort()
  fleet = await startFleet((directory) => ({
    store: { kind: 'embedded', directory: `${directory}/store` },
    settings: { issuer: `http://127.0.0.1:${port}` },
    registry: named,
  }))
  broker = await fleet.start({ port })
  const key = testKey('warehouse-server-key')
  serveMcp(server, {
    name: 'warehouse',
    sdk: 'v2',
    issuer: broker.issuer,
    resource,
    tools: warehouseTools(),
    baseScope: 'mcp:tools:read',
    introspection: {
      clientId: 'warehouse-server',
      sign: async (claims) => sign({ key, header: { typ: 'client-authentication+jwt' }, claims }).reveal(),
    },
  })
}, 300_000)

afterAll(async () => {
  server?.closeAllConnections()
  server?.close()
  await fleet?.close()
  elsewhere?.remove()
})

/** The world's orchestrator and researcher, as the README calls them, and the warehouse where it listens. */
function named(document: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const text = JSON.stringify(document)
    .replaceAll('"orchestrator"', '"report-agent"')
    .replaceAll('"researcher"', '"research-agent"')
    .replaceAll('https://warehouse.example/mcp', resource)
  return JSON.parse(text) as Readonly<Record<string, unknown>>
}

test('opens a session, calls a tool, passes less on, and closes it', async () => {
  const program = readmeBlock('### Agents in TypeScript', 'ts')
    .replaceAll('https://errand.example', broker.issuer)
    .replaceAll('https://warehouse.example/mcp', resource)
  const at = (name: string) => join(elsewhere.directory, name)
  writeFileSync(at('agent.ts'), program)
  writeFileSync(at('report-agent.jwk.json'), JSON.stringify(privateJwk(testKey('orchestrator-key'))))
  writeFileSync(at('research-agent.jwk.json'), JSON.stringify(privateJwk(testKey('researcher-key'))))
  writeFileSync(at('id.jwt'), broker.idToken())
  writeFileSync(
    at('main.mjs'),
    `import { readFileSync } from 'node:fs'
import { summarise } from './agent.ts'
console.log(JSON.stringify(await summarise(readFileSync('id.jwt', 'utf8'))))`,
  )
  const { stdout } = await promisify(execFile)(process.execPath, ['main.mjs'], { cwd: elsewhere.directory })
  const { tables, figures } = JSON.parse(stdout)
  expect(JSON.parse(tables[0].text)).toContain('revenue')
  expect(JSON.parse(figures[0].text)).toHaveLength(3)
}, 60_000)
