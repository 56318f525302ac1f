/** Tokens bound to a key of the agent's process (RFC 9449), at the broker and at a server; and the ways to say who one is. */
import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { clientSecret, NotTrusted, privateKeyJwt, Refused, workloadJwt } from '../../../../src/sdk/agent/agent.ts'
import { mcpAuthProvider } from '../../../../src/sdk/agent/mcp.ts'
import type { FormRequest } from '../../../../src/sdk/broker/http.ts'
import { type AgentWorld, agentWorld, toolCall } from '../../../support/agent-world.ts'
import { privateJwk, testKey } from '../../../support/keys.ts'
import { claimsOf, headerOf, startWorld, WAREHOUSE, WIKI, type World } from '../../../support/world.ts'

let world: World
let here: AgentWorld

beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())
beforeEach(() => {
  here = agentWorld(world, { warehouse: WAREHOUSE })
})

const INTENT = { purpose: 'Look at the tables', tools: { [WAREHOUSE]: { list_tables: {}, query: {} } } } as const

describe('an agent with dpop', () => {
  const open = () =>
    here.agent('orchestrator', { dpop: true }).openSession({ intent: INTENT, onBehalfOf: world.idToken() })

  test('proves its key to the broker and to the server, with a fresh proof for each request', async () => {
    const session = await open()
    const proofs: (string | null)[] = []
    here.stands = async (request) => {
      proofs.push(request.headers.get('dpop'))
      return undefined
    }
    for (const _ of [1, 2]) expect((await session.fetch(WAREHOUSE, toolCall('list_tables'))).status).toBe(200)
    expect(new Set(proofs).size).toBe(2)
    const [authorization = ''] = here.called.map((one) => one.authorization ?? '')
    expect(authorization).toMatch(/^DPoP /)
    expect(claimsOf(authorization.slice('DPoP '.length))['cnf']).toEqual({ jkt: expect.any(String) })
    expect(claimsOf(proofs[0] ?? '')).toMatchObject({ htm: 'POST', htu: WAREHOUSE, ath: expect.any(String) })
  })

  test('answers a nonce that a server asks for, once', async () => {
    const session = await open()
    const nonces: unknown[] = []
    here.stands = async (request) => {
      const { nonce } = claimsOf(request.headers.get('dpop') ?? '')
      nonces.push(nonce)
      if (nonce === 'n-1') return new Response('done')
      return new Response(null, {
        status: 401,
        headers: { 'dpop-nonce': 'n-1', 'www-authenticate': 'DPoP error="use_dpop_nonce"' },
      })
    }
    expect(await (await session.fetch(WAREHOUSE, toolCall('list_tables'))).text()).toBe('done')
    await session.fetch(WAREHOUSE, toolCall('list_tables'))
    expect(nonces).toEqual([undefined, 'n-1', 'n-1'])
  })

  test('answers a nonce that the broker asks for, with another assertion', async () => {
    const sent: FormRequest[] = []
    const agent = here.agent('orchestrator', {
      dpop: true,
      forms: async (request) => {
        sent.push(request)
        const isFirst = sent.length === 1
        const granted = { access_token: 'token', token_type: 'DPoP', expires_in: 300, scope: 'x' }
        const text = JSON.stringify(isFirst ? { error: 'use_dpop_nonce' } : granted)
        return { status: isFirst ? 400 : 200, text, header: (name) => (name === 'dpop-nonce' ? 'n-2' : undefined) }
      },
    })
    await agent.token({ resource: WIKI })
    expect(sent.map(({ headers }) => claimsOf(headers?.['dpop'] ?? '')['nonce'])).toEqual([undefined, 'n-2'])
    const ids = sent.map(({ form }) => claimsOf(form.get('client_assertion') ?? '')['jti'])
    expect(new Set(ids).size).toBe(2)
  })

  test('takes no token that is not bound, and gives none where it could not be proven', async () => {
    const session = await open()
    await expect(session.headers(WAREHOUSE)).rejects.toThrow(/its own proof/)
    await expect(mcpAuthProvider(session, WAREHOUSE).token()).rejects.toThrow(/fetch instead/)
    const headers = await session.headers(WAREHOUSE, { method: 'POST', url: WAREHOUSE })
    expect(Object.keys(headers)).toEqual(['Authorization', 'DPoP'])
    const body = JSON.stringify({ access_token: 'token', token_type: 'Bearer', expires_in: 300 })
    const forms = async () => ({ status: 200, text: body, header: () => undefined })
    const agent = here.agent('orchestrator', { dpop: true, forms })
    await expect(agent.token({ resource: WIKI })).rejects.toThrow(NotTrusted)
  })

  test('holds a session that another key cannot use', async () => {
    const stolen = (await world.opened()).session
    const session = here.agent('orchestrator').resume(stolen)
    expect((await session.fetch(WAREHOUSE, toolCall('list_tables'))).status).toBe(200)
    const delegation = await (await open()).delegate({ to: 'researcher', purpose: 'Look', tools: ['query'] })
    // Bound sessions are passed on to those who prove a key of their own.
    await expect(here.agent('researcher').accept(delegation.token())).rejects.toThrow(Refused)
  })
})

describe('a credential', () => {
  const at = () => ({ issuer: world.issuer, clock: world.clock })

  test('private_key_jwt: for the issuer alone, for a minute, and never twice the same', async () => {
    const credential = privateKeyJwt({ clientId: 'orchestrator', key: privateJwk(testKey('orchestrator-key')) })
    const [one, two] = await Promise.all([credential.authenticate(at()), credential.authenticate(at())])
    const claims = claimsOf(one?.form['client_assertion'] ?? '')
    expect(claims).toMatchObject({ iss: 'orchestrator', sub: 'orchestrator', aud: world.issuer })
    expect(Number(claims['exp']) - Number(claims['iat'])).toBe(60)
    expect(claimsOf(two?.form['client_assertion'] ?? '')['jti']).not.toBe(claims['jti'])
    expect(headerOf(one?.form['client_assertion'] ?? '')).toMatchObject({ kid: 'orchestrator-key', alg: 'ES256' })
  })

  test('of a key without a name has its thumbprint for one, and an RSA key must say its algorithm', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { form } = await privateKeyJwt({ clientId: 'a', key: privateKey }).authenticate(at())
    expect(headerOf(form['client_assertion'] ?? '')['kid']).toMatch(/^[\w-]{43}$/)
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    expect(() => privateKeyJwt({ clientId: 'a', key: rsa })).toThrow(/algorithm/)
    expect(() => privateKeyJwt({ clientId: 'a' })).toThrow(TypeError)
    expect(() =>
      privateKeyJwt({ clientId: 'a', key: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'secret' } }),
    ).toThrow(/^key is not a private JWK$/)
  })

  test('of a platform is read for each request, and may be the grant of its own work, not of a session', async () => {
    let reads = 0
    const credential = workloadJwt(() => `token-${++reads}\n`, { asGrant: true })
    const own = await credential.authenticate({ ...at(), grantType: 'client_credentials' })
    expect(own.form).toEqual({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: 'token-1' })
    const other = await credential.authenticate({
      ...at(),
      grantType: 'urn:ietf:params:oauth:grant-type:token-exchange',
    })
    expect(other.form).toMatchObject({ client_assertion: 'token-2' })
    const svid = await workloadJwt(() => 'svid', { spiffe: true }).authenticate(at())
    expect(svid.form['client_assertion_type']).toContain('jwt-spiffe')
  })

  test('that is a secret goes into the header, form-encoded, and prints nothing', async () => {
    const credential = clientSecret({ clientId: 'a:b', secret: 'p%s w' })
    const { form, headers } = await credential.authenticate(at())
    expect(form).toEqual({})
    const [, basic = ''] = (headers['authorization'] ?? '').split(' ')
    expect(Buffer.from(basic, 'base64').toString()).toBe('a%3Ab:p%25s+w')
    expect(JSON.stringify(credential)).not.toContain('p%s')
  })
})
