/**
 * What a registry entry may forgive of a client assertion, for SDKs that cannot do better: the endpoint as audience, and
 * more than one use until it expires. Off by default, for nobody but the client that is registered for it, and recorded.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/kernel/digest.ts'
import { expectRefused, invalidClient, invalidRequest } from '../support/refusal.ts'
import { INTENT, type Params, registryDocument, startWorld, TYPE, WIKI, type World } from '../support/world.ts'

type Entry = Record<string, unknown>

let world: World

beforeAll(async () => {
  const plain = await startWorld()
  const document = registryDocument(plain.idp)
  const forgiving: Readonly<Record<string, Entry>> = {
    orchestrator: { legacy_assertion_audience: true },
    researcher: { assertion_reuse: 'until_exp', standing_intent: undefined },
    'orchestrator-twin': { assertion_reuse: 'until_exp', legacy_assertion_audience: true },
  }
  const agents = (document['agents'] as Entry[]).map((agent) => ({
    ...agent,
    ...forgiving[String(agent['client_id'])],
  }))
  await plain.close()
  world = await startWorld({ registry: { agents } })
})
afterAll(() => world.close())

const asserted = (client: string, claims: Entry = {}): Params => ({
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: world.assertion(client, claims),
})
const ask = (path: string, authentication: Params) =>
  path === '/token'
    ? world.post(path, { grant_type: 'client_credentials', resource: `${world.issuer}/api`, ...authentication })
    : world.post(path, { token: world.idToken(), ...authentication })
const paths = ['/token', '/introspect', '/revoke']
/** The record of the last request of a client. */
const lastOf = async (client: string) => (await world.audit(500)).find(({ by }) => by === `agent:${client}`)

describe('legacy_assertion_audience', () => {
  test('accepts the issuer, the token endpoint and the endpoint asked, alone each, and records which were legacy', async () => {
    for (const path of paths) {
      const { issuer } = world
      for (const aud of [issuer, `${issuer}/`, `${issuer}/token`, [`${issuer}/token`], issuer + path]) {
        const answer = await ask(path, asserted('orchestrator', { aud }))
        expect([path, aud, answer.status], JSON.stringify(answer.body)).toEqual([path, aud, 200])
        if (path !== '/token') continue
        const { client_auth: auth } = await lastOf('orchestrator')
        expect(auth).toEqual({
          method: 'private_key_jwt',
          credential: 'orchestrator-key',
          ...(aud === issuer ? {} : { legacy_audience: true }),
        })
      }
    }
  })

  const refused: Readonly<Record<string, (issuer: string) => unknown>> = {
    'another endpoint of ours': (issuer) => `${issuer}/introspect`,
    'the issuer and the token endpoint': (issuer) => [issuer, `${issuer}/token`],
    'the token endpoint and another server': (issuer) => [`${issuer}/token`, 'https://other.example'],
    'another server’s token endpoint': () => 'https://other.example/token',
    'the token endpoint in another case': (issuer) => `${issuer}/TOKEN`,
    'the token endpoint with a query': (issuer) => `${issuer}/token?x=1`,
    'a path alone': () => '/token',
    nothing: () => undefined,
  }
  test.each(Object.keys(refused))('rfc7523bis §4: does not accept %s', async (name) => {
    const make = () => ask('/token', asserted('orchestrator', { aud: refused[name]?.(world.issuer) }))
    await expectRefused(world, make, invalidClient('client_assertion_audience'))
  })

  test('is of the client that is registered for it, and says nothing about reuse', async () => {
    const other = () => ask('/token', asserted('researcher', { aud: `${world.issuer}/token` }))
    await expectRefused(world, other, invalidClient('client_assertion_audience'))
    const once = asserted('orchestrator', { aud: `${world.issuer}/token` })
    expect((await ask('/token', once)).status).toBe(200)
    await expectRefused(world, () => ask('/token', once), invalidClient('client_assertion_replayed'))
  })
})

describe('assertion_reuse: until_exp', () => {
  test('lets one assertion be presented until it expires, and every record names it', async () => {
    const authentication = asserted('researcher', { jti: 'static-1', exp: world.now() + 120 })
    for (let round = 0; round < 3; round += 1) {
      expect((await ask('/token', authentication)).status).toBe(200)
      expect((await lastOf('researcher')).client_auth).toEqual({
        method: 'private_key_jwt',
        credential: 'researcher-key',
        reusable_assertion: sha256('static-1'),
      })
    }
    expect((await ask('/introspect', authentication)).status).toBe(200)
    await world.advance(120 + 30)
    await expectRefused(world, () => ask('/token', authentication), invalidClient('client_assertion_expired'))
  })

  test('does not lengthen its life: five minutes from when it says it was made, and it must say', async () => {
    const now = world.now()
    const long = () => ask('/token', asserted('researcher', { iat: now - 200, exp: now + 101 }))
    await expectRefused(world, long, invalidClient('client_assertion_lifetime'))
    const ageless = () => ask('/token', asserted('researcher', { iat: undefined, exp: now + 60 }))
    await expectRefused(world, ageless, invalidClient('client_assertion_claims'))
    const nameless = () => ask('/token', asserted('researcher', { jti: undefined }))
    await expectRefused(world, nameless, invalidClient('client_assertion_claims'))
  })

  test('is of the client that is registered for it, and says nothing about the audience', async () => {
    const other = () => ask('/token', asserted('researcher', { aud: `${world.issuer}/token` }))
    await expectRefused(world, other, invalidClient('client_assertion_audience'))
    const both = asserted('orchestrator-twin', { aud: `${world.issuer}/token` })
    for (let round = 0; round < 2; round += 1) expect((await ask('/token', both)).status).toBe(200)
    expect((await lastOf('orchestrator-twin')).client_auth).toMatchObject({
      legacy_audience: true,
      reusable_assertion: expect.any(String),
    })
  })

  test('one JWT fills one slot all the same: the assertion is not an actor token as well', async () => {
    const authentication = asserted('researcher')
    const request = () =>
      world.post('/token', {
        ...authentication,
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: world.idToken({ aud: 'researcher-at-idp' }),
        subject_token_type: TYPE.id,
        requested_token_type: TYPE.session,
        authorization_details: JSON.stringify(INTENT),
        actor_token: authentication['client_assertion'],
        actor_token_type: TYPE.jwt,
      })
    await expectRefused(world, request, invalidRequest('actor_token_unacceptable'))
  })

  test('a stranger’s copy under another key is still a stranger’s', async () => {
    const forged = world.assertion('orchestrator', { iss: 'researcher', sub: 'researcher' }, { kid: 'researcher-key' })
    const request = () =>
      world.post('/token', {
        grant_type: 'client_credentials',
        resource: WIKI,
        ...asserted('researcher'),
        client_assertion: forged,
      })
    await expectRefused(world, request, invalidClient('client_assertion_signature'))
  })
})
