/**
 * Client secrets from the command that makes them to the unmodified clients that use them; and what registry entries forgive
 * of assertions, as SDKs really make them (mcp.md §1a 7, 10, 18).
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v2 from '@modelcontextprotocol/client'
import { auth as v1Auth } from '@modelcontextprotocol/sdk/client/auth.js'
import * as v1 from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newClientSecret } from '../../src/credentials/client/client-secret.ts'
import { type Fleet, startFleet } from '../support/broker-process.ts'
import { errand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { privateJwk, sign, testKey } from '../support/keys.ts'
import { claimsOf } from '../support/world.ts'

type Entry = Record<string, unknown>
const READ = 'mcp:tools:read'
const secret = newClientSecret()

let fleet: Fleet
let wiki: Server
let resource = ''
let issuer: URL

beforeAll(async () => {
  wiki = createServer((_request, response) => {
    const document = { resource, authorization_servers: [fleet.issuer], scopes_supported: [READ] }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
  })
  await new Promise<void>((resolve) => wiki.listen(0, '127.0.0.1', resolve))
  const address = wiki.address()
  resource = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/mcp`
  const port = await freePort()
  const at = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()
  const entry = { id: 's-1', version: '3', sha256: secret.fingerprint(), issued_at: at(-1), expires_at: at(80) }
  const more: Readonly<Record<string, Entry>> = {
    orchestrator: { client_secrets: [entry], legacy_assertion_audience: true, assertion_reuse: 'until_exp' },
    'wiki-server': { client_secrets: [entry] },
  }
  const extended = (entries: unknown) =>
    (entries as Entry[]).map((client) => ({ ...client, ...more[String(client['client_id'])] }))
  fleet = await startFleet((directory) => ({
    store: { kind: 'embedded', directory: `${directory}/store` },
    settings: { issuer: `http://127.0.0.1:${port}`, clientSecretBasic: true },
    registry: (document) => ({
      ...document,
      agents: extended(document['agents']),
      services: extended(document['services']),
      resources: (document['resources'] as Entry[]).map((one) =>
        one['id'] === 'wiki' ? { ...one, url: resource } : one,
      ),
    }),
  }))
  await fleet.start({ port })
  issuer = new URL(fleet.issuer)
})
afterAll(async () => {
  wiki?.close()
  await fleet?.close()
})

const clientId = 'orchestrator'
const insecure = { [oauth.allowInsecureRequests]: true } as const

describe('client_secret_basic', () => {
  test.each([
    [
      '1',
      () => new v1.ClientCredentialsProvider({ clientId, clientSecret: secret.reveal(), expectedIssuer: fleet.issuer }),
    ],
    [
      '2',
      () => new v2.ClientCredentialsProvider({ clientId, clientSecret: secret.reveal(), expectedIssuer: fleet.issuer }),
    ],
  ] as const)('MCP SDK %s discovers that it may, and gets a token for the server', async (version, make) => {
    const provider = make()
    const authorize = version === '1' ? v1Auth : v2.auth
    expect(await authorize(provider as never, { serverUrl: resource })).toBe('AUTHORIZED')
    const token = (await provider.tokens())?.access_token ?? ''
    expect(claimsOf(token)).toMatchObject({ aud: resource, client_id: clientId, agent: { version: '3' } })
  })

  test('oauth4webapi, which percent-encodes, gets a token; its server introspects it the same way; it revokes it', async () => {
    const as = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
    )
    expect(as.introspection_endpoint_auth_methods_supported).toContain('client_secret_basic')
    const basic = oauth.ClientSecretBasic(secret.reveal())
    const client = { client_id: clientId }
    const asked = await oauth.clientCredentialsGrantRequest(as, client, basic, { resource }, insecure)
    const { access_token: token } = await oauth.processClientCredentialsResponse(as, client, asked)
    const server = { client_id: 'wiki-server' }
    const introspect = async () =>
      oauth.processIntrospectionResponse(
        as,
        server,
        await oauth.introspectionRequest(as, server, basic, token, insecure),
      )
    expect(await introspect()).toMatchObject({ active: true, sub: 'agent:orchestrator' })
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, basic, token, insecure))
    expect(await introspect()).toEqual({ active: false })
    const wrong = oauth.ClientSecretBasic(newClientSecret().reveal())
    const refused = await oauth.clientCredentialsGrantRequest(as, client, wrong, { resource }, insecure)
    await expect(oauth.processClientCredentialsResponse(as, client, refused)).rejects.toMatchObject({
      // It reads the challenge that RFC 6749 §5.2 demands before the body.
      code: oauth.WWW_AUTHENTICATE_CHALLENGE,
      status: 401,
    })
  })

  test('openid-client gets a token with it, and none with the secret in the body', async () => {
    const options = { algorithm: 'oauth2' } as const
    const connect = (method: openid.ClientAuth) =>
      openid.discovery(issuer, clientId, undefined, method, { ...options, execute: [openid.allowInsecureRequests] })
    const config = await connect(openid.ClientSecretBasic(secret.reveal()))
    expect(await openid.clientCredentialsGrant(config, { resource })).toMatchObject({ scope: READ })
    const post = await connect(openid.ClientSecretPost(secret.reveal()))
    await expect(openid.clientCredentialsGrant(post, { resource })).rejects.toMatchObject({ error: 'invalid_client' })
  })
})

describe('private_key_jwt as SDKs make it', () => {
  const statically = (aud: string) => {
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: clientId, sub: clientId, aud, iat: now, exp: now + 200, jti: crypto.randomUUID() }
    return sign({ key: testKey('orchestrator-key'), header: {}, claims }).reveal()
  }

  test.each([
    [
      '1',
      (jwtBearerAssertion: string) =>
        new v1.StaticPrivateKeyJwtProvider({ clientId, jwtBearerAssertion, expectedIssuer: fleet.issuer }),
    ],
    [
      '2',
      (jwtBearerAssertion: string) =>
        new v2.StaticPrivateKeyJwtProvider({ clientId, jwtBearerAssertion, expectedIssuer: fleet.issuer }),
    ],
  ] as const)('MCP SDK %s sends one assertion again and again, for the token endpoint: accepted where registered', async (version, make) => {
    const authorize = version === '1' ? v1Auth : v2.auth
    const provider = make(statically(`${fleet.issuer}/token`))
    for (let round = 0; round < 2; round += 1) {
      expect(await authorize(provider as never, { serverUrl: resource })).toBe('AUTHORIZED')
      expect(claimsOf((await provider.tokens())?.access_token ?? '')).toMatchObject({ aud: resource })
    }
  })

  test('an SDK’s default audience needs no forgiveness, and a reused one is refused where it is not registered', async () => {
    const privateKey = privateJwk(testKey('wiki-server-key')) as Entry
    const provider = new v1.PrivateKeyJwtProvider({
      clientId: 'wiki-server',
      privateKey,
      algorithm: 'ES256',
      expectedIssuer: fleet.issuer,
    })
    // Services get API tokens only: that it was refused for this shows that it was authenticated.
    await expect(v1Auth(provider, { serverUrl: resource })).rejects.toMatchObject({ errorCode: 'unauthorized_client' })
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: 'researcher', sub: 'researcher', aud: fleet.issuer, iat: now, exp: now + 200, jti: 'one' }
    const client_assertion = sign({ key: testKey('researcher-key'), header: {}, claims }).reveal()
    const form = {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion,
      token: 'x',
    }
    const ask = () => fetch(`${fleet.issuer}/introspect`, { method: 'POST', body: new URLSearchParams(form) })
    expect([(await ask()).status, (await ask()).status]).toEqual([200, 401])
  })
})

describe('errand secret', () => {
  let directory: string
  const run = (...args: string[]) => errand(args, { cwd: directory })
  const read = (name: string) => readFileSync(join(directory, name), 'utf8')

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'errand-secret-'))
    const server = ['--server', 'https://warehouse.example/mcp', '--tools', 'query:read']
    const made = await run('init', '--yes', '--json', '--agent', 'report', '--owner', 'alice@corp.example', ...server)
    expect(made).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(made.out)).toMatchObject({ client: 'report', config_file: join(directory, 'errand.yaml') })
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test('commands that write files, or a token, say what they did in one JSON object', async () => {
    const said = async (...args: string[]) => JSON.parse((await run(...args, '--json')).out)
    const agent = await said('agent', 'add', 'helper', '--owner', 'bob@corp.example')
    expect(agent).toMatchObject({ client: 'helper', key_file: join(directory, 'agents', 'helper.jwk.json') })
    const id = /id: (\S*warehouse\S*)/.exec(read('registry.yaml'))?.[1] ?? ''
    const service = await said('service', 'add', 'its-server', '--resource', id)
    expect(service).toMatchObject({ client: 'its-server', resource: id })
    expect(statSync(service.key_file).mode & 0o777).toBe(0o600)
    expect((await run('init', '--json', '--directory', 'other')).code).toBe(2)
    expect(await said('admin', 'token')).toEqual({ token: expect.stringMatching(/^eyJ/), expires_in: 600 })
  })

  test('never writes a secret into a pipe; into a private file, once; the registry gets the digest', async () => {
    const piped = await run('secret', 'add', 'report')
    expect(piped).toMatchObject({ code: 2, out: '' })
    expect(read('registry.yaml')).not.toContain('client_secrets')
    const added = await run('secret', 'add', 'report', '--out', 'report.secret', '--days', '30')
    expect(added).toMatchObject({ code: 0, err: '' })
    expect(statSync(join(directory, 'report.secret')).mode & 0o777).toBe(0o600)
    const text = read('report.secret').trim()
    expect(text).toMatch(/^errand_secret_[A-Za-z0-9_-]{43}$/)
    expect(added.out).not.toContain(text)
    expect(read('registry.yaml')).not.toContain(text)
    expect((await run('secret', 'add', 'report', '--out', 'again.secret')).code).toBe(2)
    const checked = await run('check')
    expect([checked.code, checked.out]).toEqual([0, expect.stringContaining('client_secret_basic is off')])
  })

  test('rotates with an overlap, refuses a third, and ends all at once after a leak', async () => {
    const rotated = JSON.parse((await run('secret', 'rotate', 'report', '--out', 'next.secret', '--json')).out)
    expect(rotated).toMatchObject({ client: 'report', file: 'next.secret', also_good: [{ id: expect.any(String) }] })
    const overlapMs = Date.parse(rotated.also_good[0].expires_at) - Date.now()
    expect(Math.round(overlapMs / 3_600_000)).toBe(24)
    expect((await run('secret', 'rotate', 'report', '--out', 'third.secret')).code).toBe(1)
    const ended = await run('secret', 'rotate', 'report', '--overlap-hours', '0', '--out', 'clean.secret', '--json')
    expect(JSON.parse(ended.out)).toMatchObject({ also_good: [] })
    expect(read('registry.yaml').match(/sha256/g)).toHaveLength(1)
    expect((await run('check')).code).toBe(0)
  })

  test('a registry in which a secret lives too long, or without end, is refused', async () => {
    const registry = read('registry.yaml')
    const changed = (pattern: RegExp, by: string) => {
      expect(registry).toMatch(pattern)
      writeFileSync(join(directory, 'registry.yaml'), registry.replace(pattern, by))
      return run('check')
    }
    const long = await changed(/expires_at: "20\d\d/, 'expires_at: "2099')
    expect([long.code, long.out]).toEqual([1, expect.stringContaining('at most 90 days after issued_at')])
    const endless = await changed(/, expires_at: "[^"]*"/, '')
    expect([endless.code, endless.out]).toEqual([1, expect.stringContaining('client_secrets[0].expires_at')])
    writeFileSync(join(directory, 'registry.yaml'), registry)
  })
})
