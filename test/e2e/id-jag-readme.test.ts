/** The README's ID-JAG blocks, both sides, as somebody would paste them: into a registry, and into a shell with curl. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { details, granted, intent, tools } from '../support/hops.ts'
import { idJag } from '../support/id-jag.ts'
import { publicJwk, testKey } from '../support/keys.ts'
import { readmeBlock } from '../support/readme.ts'
import { haveTools } from '../support/tools.ts'
import { claimsOf, patient, TYPE } from '../support/world.ts'

const REDEEM = '### Enterprise-managed authorization'
const MINT = '### ID-JAGs for other authorization servers'

// biome-ignore lint/suspicious/noExplicitAny: whatever the README says
type Document = any

let fleet: Fleet
let broker: BrokerProcess
let directory: string

const keysOf = (client: string) => [{ ...publicJwk(testKey(`${client}-key`)), version: '1' }]

/** Both blocks in one registry, which somebody who has the keys and the identity provider completes. */
function registry(idp: { readonly url: string }): Document {
  const [here, there]: Document[] = [parse(readmeBlock(REDEEM, 'yaml')), parse(readmeBlock(MINT, 'yaml'))]
  const [issuer] = here.issuers
  const [assistant] = here.agents
  const orchestrator = {
    client_id: 'report-orchestrator',
    owner: 'alice@corp.example',
    environment: 'development',
    keys: keysOf('report-orchestrator'),
    grant_types: ['token-exchange'],
    upstream: { corp: 'report-orchestrator' },
    manifest: [{ server: 'chat' }],
  }
  return {
    issuers: [
      { ...issuer, issuer: idp.url, jwks_uri: `${idp.url}/jwks`, accepts: { ...issuer.accepts, id_token: true } },
    ],
    resources: [...here.resources, ...there.resources],
    authorization_servers: there.authorization_servers,
    agents: [{ ...assistant, environment: 'development', keys: keysOf('assistant') }, orchestrator],
    grants: [{ id: 'all', effect: 'allow', principals: [{ user: 'corp:alice' }], resources: [{ server: '*' }] }],
  }
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-readme-'))
  fleet = await startFleet((store) => ({
    store: { kind: 'embedded', directory: `${store}/store` },
    registry: () => registry(fleet.idp),
  }))
  broker = patient(await fleet.start())
})
afterAll(async () => {
  await fleet?.close()
  rmSync(directory, { recursive: true, force: true })
})

/** The block of the README in a shell that has these files, at this broker. */
async function pasted(mark: string, files: Readonly<Record<string, string>>): Promise<Document> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  const command = readmeBlock(mark, 'sh').replace('https://errand.example/token', `-s ${broker.url}/token`)
  const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd: directory })
  return JSON.parse(stdout)
}

const isCurlHere = haveTools('curl')

test.runIf(isCurlHere)('an ID-JAG is redeemed for a token of the calendar', async () => {
  const assertion = idJag(broker, { client_id: 'assistant', resource: 'https://calendar.example/mcp' })
  const files = { 'id-jag.jwt': assertion, 'assertion.jwt': broker.assertion('assistant') }
  const body = await pasted(REDEEM, files)
  expect(body).toMatchObject({ resource: 'https://calendar.example/mcp', scope: 'mcp:tools:read' })
  expect(claimsOf(body.access_token)).toMatchObject({ sub: 'user:corp:alice', client_id: 'assistant' })
})

test.runIf(isCurlHere)('an ID-JAG is minted for the chat', async () => {
  const session = await granted(
    broker.exchange('report-orchestrator', {
      subject_token: broker.idToken({ aud: 'report-orchestrator' }),
      subject_token_type: TYPE.id,
      requested_token_type: TYPE.session,
      authorization_details: details(intent(), tools('https://mcp.chat.example/mcp', { search: {} })),
    }),
  )
  const files = { 'session.jwt': session.token, 'assertion.jwt': broker.assertion('report-orchestrator') }
  const body = await pasted(MINT, files)
  expect(body, JSON.stringify(body)).toMatchObject({ token_type: 'N_A', expires_in: 120, scope: 'chat.read' })
  expect(claimsOf(body.access_token)).toMatchObject({
    aud: 'https://auth.chat.example',
    client_id: 'f53f191f9311af35',
    resource: 'https://mcp.chat.example/mcp',
  })
})
