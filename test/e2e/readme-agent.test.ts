/** The README's agents, run as they are printed: by the package as it is published, against a real broker and a real MCP server. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { serveMcp } from '../../src/cli/demo/mcp-server.ts'
import { warehouseTools } from '../../src/cli/demo/mcp-tools.ts'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { freePort } from '../support/free-port.ts'
import { enterpriseDocument, idJag } from '../support/id-jag.ts'
import { privateJwk, publicJwk, sign, testKey } from '../support/keys.ts'
import { type Elsewhere, installedElsewhere } from '../support/packed.ts'
import { readmeBlocks } from '../support/readme.ts'
import { patient } from '../support/world.ts'

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
  broker = patient(await fleet.start({ port }))
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
  const enterprise = enterpriseDocument(document)
  const { upstream: _, ...orchestrator } = (enterprise['agents'] as Record<string, unknown>[])[0] ?? {}
  const assistant = {
    ...orchestrator,
    client_id: 'assistant',
    keys: [{ ...publicJwk(testKey('assistant-key')), version: '1' }],
    standing_intent: { purpose: 'Look at what there is', tools: { warehouse: { list_tables: {} } } },
  }
  const agents = [...(enterprise['agents'] as object[]), assistant]
  const text = JSON.stringify({ ...enterprise, agents })
    .replaceAll('"orchestrator"', '"report-agent"')
    .replaceAll('"researcher"', '"research-agent"')
    .replaceAll('https://warehouse.example/mcp', resource)
  return JSON.parse(text) as Readonly<Record<string, unknown>>
}

const printed = (at: number) =>
  readmeBlocks('### Agents in TypeScript').filter(({ language }) => language === 'ts')[at]?.text ?? ''

test('opens a session, calls a tool, passes less on, and closes it', async () => {
  const program = printed(0)
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
})

/** The enterprise's identity provider, which the broker trusts with ID-JAGs: gives one for whatever pair it is asked for. */
async function startIdp(): Promise<{
  readonly server: Server
  readonly url: string
  readonly asked: URLSearchParams[]
}> {
  const asked: URLSearchParams[] = []
  const idp = createServer(async (request, response) => {
    const json = (body: object) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (request.url === '/.well-known/openid-configuration')
      return json({ issuer: url, token_endpoint: `${url}/token` })
    if (request.url !== '/token') return response.writeHead(404).end()
    const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString())
    asked.push(form)
    const [aud, named] = [form.get('audience'), form.get('resource')]
    const assertion = idJag(broker, { aud, resource: named, client_id: 'assistant' })
    return json({ access_token: assertion, issued_token_type: form.get('requested_token_type'), token_type: 'N_A' })
  })
  await new Promise<void>((resolve) => idp.listen(0, '127.0.0.1', resolve))
  const address = idp.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  return { server: idp, url, asked }
}

test('goes from the ID token of an enterprise’s user to a tool', async () => {
  const idp = await startIdp()
  const at = (name: string) => join(elsewhere.directory, name)
  const program = printed(1)
    .replaceAll('https://errand.example', broker.issuer)
    .replaceAll('https://idp.example', idp.url)
  writeFileSync(at('assistant.ts'), program)
  writeFileSync(at('assistant.jwk.json'), JSON.stringify(privateJwk(testKey('assistant-key'))))
  writeFileSync(at('alice.jwt'), broker.idToken())
  writeFileSync(
    at('enterprise.mjs'),
    `import { readFile } from 'node:fs/promises'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { forUser } from './assistant.ts'
const { fetch } = forUser(() => readFile('alice.jwt', 'utf8'))
const client = new Client({ name: 'assistant', version: '1' }, { versionNegotiation: { mode: 'auto' } })
await client.connect(new StreamableHTTPClientTransport(new URL('${resource}'), { fetch }))
console.log(JSON.stringify(await client.callTool({ name: 'list_tables', arguments: {} })))
await client.close()`,
  )
  const { stdout } = await promisify(execFile)(process.execPath, ['enterprise.mjs'], { cwd: elsewhere.directory })
  idp.server.closeAllConnections()
  idp.server.close()
  expect(stdout).toContain('revenue')
  expect(idp.asked.map((form) => form.get('resource'))).toEqual([resource])
  expect(idp.asked[0]?.get('client_assertion')).toMatch(/^ey/)
})
