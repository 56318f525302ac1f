/**
 * The command as an operator runs it, with the README's configuration: workloads authenticate by mutual TLS at its own listener,
 * also after the broker's certificate was renewed, and whoever has no certificate connects as before.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestAuthority } from '../support/authorities.ts'
import { writeCertificate } from '../support/certificates.ts'
import { errand, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { type OwnBroker, writeOwnBroker } from '../support/own-broker.ts'
import { type Identity, send, shown } from '../support/svid-world.ts'

const ID = 'spiffe://example.org/ns/agents/sa/report-agent'
const REGISTRY = {
  trust_domains: [{ name: 'example.org', bundle_file: './bundle.json' }],
  agents: [
    {
      client_id: 'report-agent',
      owner: 'alice@corp.example',
      environment: 'production',
      spiffe_ids: [{ id: ID, version: '3' }],
      grant_types: ['client_credentials'],
      api_scopes: ['sessions'],
      tls_client_certificate_bound_access_tokens: true,
      manifest: [],
    },
  ],
}

let own: OwnBroker
let broker: Serving
let port: number
let root: TestAuthority
beforeAll(async () => {
  root = await TestAuthority.root({ uris: ['spiffe://example.org'] })
  port = await freePort()
  own = writeOwnBroker(
    {
      listen: { host: '127.0.0.1', port, tls: { certificate_file: './tls.crt', key_file: './tls.key' } },
      client_certificates: { from: 'tls' },
    },
    REGISTRY,
  )
  const keys = [{ use: 'x509-svid', x5c: [root.der.toString('base64')] }]
  writeFileSync(join(own.directory, 'bundle.json'), JSON.stringify({ spiffe_sequence: 1, keys }))
  writeCertificate(own.directory, await root.issue({ dns: ['localhost'] }))
  broker = await serveErrand(['--config', own.configFile], own.directory)
})
afterAll(() => {
  broker.signal('SIGKILL')
  rmSync(own.directory, { recursive: true, force: true })
})

const body = new URLSearchParams({
  grant_type: 'client_credentials',
  client_id: ID,
  resource: 'https://errand.example/api',
  scope: 'sessions',
}).toString()
const ask = (identity: Identity | undefined) =>
  send(
    { path: '/token', method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body },
    { port, identity },
    root.certificate,
  )

test('errand check finds nothing wrong with it', async () => {
  const { code, err } = await errand(['check', '--config', own.configFile], { cwd: own.directory })
  expect(err).toBe('')
  expect(code).toBe(0)
})

test('a workload is given a token that is bound to its certificate, through the intermediate it came with', async () => {
  const middle = await root.intermediate()
  const leaf = await middle.issue({ uris: [ID] })
  const { status, body } = await ask(shown(leaf, middle))
  expect(status, JSON.stringify(body)).toBe(200)
  const claims = JSON.parse(Buffer.from(body.access_token.split('.')[1], 'base64url').toString())
  expect(claims.cnf).toEqual({ 'x5t#S256': leaf.thumbprint })
})

test('who has none is served all the same, and is nobody’s client', async () => {
  const jwks = send(
    { path: '/jwks', method: 'GET', headers: {}, body: undefined },
    { port, identity: undefined },
    root.certificate,
  )
  expect((await jwks).status).toBe(200)
  expect((await ask(undefined)).status).toBe(401)
  const stranger = await TestAuthority.root({ subject: root.subject })
  expect((await ask(shown(await stranger.issue({ uris: [ID] }), stranger))).status).toBe(401)
})

test('after the broker’s own certificate was renewed, it still asks for theirs', async () => {
  writeCertificate(own.directory, await root.issue({ dns: ['localhost'] }))
  broker.signal('SIGHUP')
  await sleep(500)
  const leaf = await root.issue({ uris: [ID] })
  expect((await ask(shown(leaf))).status).toBe(200)
})
