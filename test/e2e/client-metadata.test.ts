/**
 * Unmodified MCP SDK clients whose client id is a URL (draft-ietf-oauth-client-id-metadata-document), against a broker process;
 * and what `errand check` says of entries that forgive SDKs something.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v2 from '@modelcontextprotocol/client'
import { auth as v1Auth } from '@modelcontextprotocol/sdk/client/auth.js'
import * as v1 from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Fleet, startFleet } from '../support/broker-process.ts'
import { type ClientDocuments, startClientDocuments } from '../support/client-documents.ts'
import { errand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { privateJwk } from '../support/keys.ts'
import { claimsOf, registryDocument } from '../support/world.ts'

type Entry = Record<string, unknown>

let fleet: Fleet
let host: ClientDocuments
let wiki: Server
let resource = ''

beforeAll(async () => {
  host = await startClientDocuments()
  wiki = createServer((_request, response) => {
    const document = { resource, authorization_servers: [fleet.issuer], scopes_supported: ['mcp:tools:read'] }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
  })
  await new Promise<void>((resolve) => wiki.listen(0, '127.0.0.1', resolve))
  resource = `http://127.0.0.1:${(wiki.address() as AddressInfo).port}/mcp`
  const own = {
    client_id: host.client,
    client_metadata: { version: '2' },
    owner: 'partner-team@corp.example',
    environment: 'development',
    grant_types: ['client_credentials'],
    manifest: [{ server: 'wiki', category: 'read' }],
    standing_intent: { purpose: 'Read the wiki', tools: { wiki: { search: {}, read_page: {} } } },
  }
  const port = await freePort()
  fleet = await startFleet((directory) => ({
    store: { kind: 'embedded', directory: `${directory}/store` },
    settings: { issuer: `http://127.0.0.1:${port}` },
    registry: (document) => ({
      ...document,
      agents: [...(document['agents'] as Entry[]), own],
      resources: (document['resources'] as Entry[]).map((one) =>
        one['id'] === 'wiki' ? { ...one, url: resource } : one,
      ),
    }),
  }))
  await fleet.start({ port })
})
afterAll(async () => {
  wiki?.close()
  await fleet?.close()
  await host?.close()
})

test.each([
  ['1', v1.PrivateKeyJwtProvider],
  ['2', v2.PrivateKeyJwtProvider],
] as const)('MCP SDK %s gets a token as the agent that its URL names, with the key its document has', async (version, Provider) => {
  const provider = new Provider({
    clientId: host.client,
    privateKey: privateJwk(host.key) as Entry,
    algorithm: 'ES256',
    expectedIssuer: fleet.issuer,
  })
  const authorize = version === '1' ? v1Auth : v2.auth
  expect(await authorize(provider as never, { serverUrl: resource })).toBe('AUTHORIZED')
  const token = (await provider.tokens())?.access_token ?? ''
  expect(claimsOf(token)).toMatchObject({ aud: resource, client_id: host.client, agent: { version: '2' } })
})

test('errand check reports each setting that forgives an SDK something, and each API key', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'errand-check-'))
  mkdirSync(join(directory, 'keys'), { mode: 0o700 })
  const config = {
    issuer: 'http://127.0.0.1:4400',
    listen: { port: 4400 },
    environment: 'development',
    store: { kind: 'embedded', directory: './store' },
    keys: { directory: './keys' },
    client_authentication: { api_keys: true },
  }
  const at = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()
  const key = { id: 'k-1', version: '1', sha256: 'A'.repeat(43), resources: ['slack'], scopes: ['mcp:tools:read'] }
  const more: Readonly<Record<string, Entry>> = {
    orchestrator: { legacy_assertion_audience: true, assertion_reuse: 'until_exp' },
    researcher: { api_keys: [{ ...key, issued_at: at(-1), expires_at: at(5) }] },
  }
  const document = registryDocument(fleet.idp)
  const agents = (document['agents'] as Entry[]).map((agent) => ({ ...agent, ...more[String(agent['client_id'])] }))
  writeFileSync(join(directory, 'errand.yaml'), JSON.stringify(config))
  writeFileSync(join(directory, 'registry.yaml'), JSON.stringify({ ...document, agents }))
  const { code, out } = await errand(['check', '--json'], { cwd: directory })
  const warnings = JSON.parse(out).warnings.join('\n')
  expect(code).toBe(0)
  for (const said of [
    'agent orchestrator: legacy_assertion_audience accepts assertions made for an endpoint',
    'agent orchestrator: assertion_reuse lets whoever has seen an assertion present it again',
    'agent researcher: API key k-1 expires at',
    'agent researcher: API key k-1: its scopes open nothing at https://slack.example/mcp',
  ]) {
    expect(warnings).toContain(said)
  }
  rmSync(directory, { recursive: true, force: true })
})
