/** Client authentication at every endpoint that asks for it: standards.md §8, section B (10–18). */

import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { publicJwk, sign, signHmac, testKey, unsigned } from '../support/keys.ts'
import { expectRefused, invalidClient, invalidRequest, toStranger } from '../support/refusal.ts'
import { type Answer, INTENT, type Params, registryDocument, startWorld, TYPE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** One valid request per endpoint, without its client authentication. */
const endpoints: Record<string, () => Params> = {
  '/token': () => ({
    grant_type: EXCHANGE,
    subject_token: world.idToken(),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: JSON.stringify(INTENT),
  }),
  '/introspect': () => ({ token: world.idToken() }),
  '/revoke': () => ({ token: world.idToken() }),
}
const paths = Object.keys(endpoints)

const ask = (path: string, authentication: Params, headers: Record<string, string> = {}): Promise<Answer> =>
  world.post(path, { ...endpoints[path]?.(), ...authentication }, headers)

const asserted = (assertion: string): Params => ({ client_assertion_type: ASSERTION_TYPE, client_assertion: assertion })

/** The orchestrator's assertion with claims or header changed, at every endpoint. */
const claimed = (claims: Record<string, unknown>, header: Record<string, unknown> = {}) =>
  asserted(world.assertion('orchestrator', claims, header))

async function expectAccepted(make: () => Params): Promise<void> {
  for (const path of paths) {
    const answer = await ask(path, make())
    expect([path, answer.status, answer.body], JSON.stringify(answer.body)).toMatchObject([path, 200, {}])
  }
}

/** Refused everywhere, in the same words whatever the reason: they would tell which clients and keys exist. */
async function expectImpostor(make: () => Params, reason: RejectionReason): Promise<void> {
  for (const path of paths) {
    const { answer } = await expectRefused(world, () => ask(path, make()), invalidClient(reason))
    expect(answer.body).toEqual({
      error: 'invalid_client',
      error_description:
        'client authentication failed: the credential must be one of this client and still good; a JWT fresh, with the issuer as its only audience',
    })
    expect(answer.headers.get('www-authenticate')).toBeNull()
  }
}

describe('10: no client authentication', () => {
  test('RFC 8693 §5: nothing is answered to a client that does not authenticate', async () => {
    await expectImpostor(() => ({}), 'client_authentication_missing')
  })

  test('RFC 6749 §2.3: naming oneself is not authenticating', async () => {
    await expectImpostor(() => ({ client_id: 'orchestrator' }), 'client_authentication_missing')
    await expectImpostor(() => ({ client_assertion_type: ASSERTION_TYPE }), 'client_authentication_missing')
  })

  test('OAuth 2.1 §2.4: a client secret in the body is not supported, and the refusal says so', async () => {
    for (const path of paths) {
      const secret = { client_id: 'orchestrator', client_secret: 'guess-0123456789' }
      const refused = invalidClient('client_authentication_unsupported')
      const { answer } = await expectRefused(world, () => ask(path, secret), refused)
      expect(answer.body.error_description).toMatch(/client_secret_post never is/)
    }
  })

  test('RFC 6749 §5.2: a failed attempt with the Authorization header is answered in its scheme', async () => {
    const basic = `Basic ${Buffer.from('orchestrator:guess-0123456789').toString('base64')}`
    const cases = [
      [basic, /^Basic realm="errand"$/],
      ['Bearer abcdefghijklmnop', /^Bearer/],
      ['Digest abcdefghijklmnop', /^Bearer/],
    ] as const
    for (const path of paths) {
      for (const [authorization, challenge] of cases) {
        const request = () => ask(path, {}, { Authorization: authorization })
        const { answer } = await expectRefused(world, request, invalidClient('client_authentication_unsupported'))
        expect(answer.headers.get('www-authenticate')).toMatch(challenge)
        expect(answer.body.error_description).toMatch(/use private_key_jwt/)
      }
    }
  })
})

describe('11: two methods at once', () => {
  test('RFC 6749 §2.3: a valid assertion beside any other method is refused, not preferred', async () => {
    const refusal = toStranger(invalidRequest('client_authentication_ambiguous'))
    const basic = { Authorization: `Basic ${Buffer.from('orchestrator:guess-0123456789').toString('base64')}` }
    for (const path of paths) {
      const assertion = () => claimed({})
      await expectRefused(world, () => ask(path, assertion(), basic), refusal)
      await expectRefused(world, () => ask(path, assertion(), { Authorization: 'Bearer abcdefghijklmnop' }), refusal)
      await expectRefused(world, () => ask(path, { ...assertion(), client_secret: 'guess-0123456789' }), refusal)
      await expectRefused(world, () => ask(path, { client_secret: 'guess-0123456789' }, basic), refusal)
    }
  })

  test('RFC 7521 §4.2: an assertion of another or unnamed type is refused', async () => {
    const assertion = () => world.assertion('orchestrator')
    const types = ['urn:ietf:params:oauth:client-assertion-type:saml2-bearer', `${ASSERTION_TYPE} `, 'jwt', '']
    for (const type of types) {
      const make = () => ({ client_assertion: assertion(), client_assertion_type: type })
      await expectImpostor(make, 'client_assertion_type_unsupported')
    }
    await expectImpostor(() => ({ client_assertion: assertion() }), 'client_assertion_type_unsupported')
  })
})

describe('12 and 13: the audience of an assertion', () => {
  test('rfc7523bis §4: the issuer alone is accepted, as a string or as a list of one', async () => {
    await expectAccepted(() => claimed({ aud: world.issuer }))
    await expectAccepted(() => claimed({ aud: [world.issuer] }))
  })

  const audiences: Record<string, (issuer: string) => unknown> = {
    'the token endpoint': (issuer) => `${issuer}/token`,
    'the endpoint asked (introspection)': (issuer) => `${issuer}/introspect`,
    'the issuer with a slash': (issuer) => `${issuer}/`,
    'the issuer in another case': (issuer) => issuer.replace('http', 'HTTP'),
    'the issuer and another server': (issuer) => [issuer, 'https://other.example'],
    'the issuer and the token endpoint': (issuer) => [issuer, `${issuer}/token`],
    'the issuer twice': (issuer) => [issuer, issuer],
    'a text that contains the issuer': (issuer) => `${issuer} https://other.example`,
    'another server': () => 'https://other.example',
    'an empty list': () => [],
    'an empty string': () => '',
    'a number': () => 1,
    'an object': (issuer) => ({ [issuer]: true }),
    nothing: () => undefined,
  }
  test.each(Object.keys(audiences))('rfc7523bis §4: an assertion for %s is refused', async (name) => {
    await expectImpostor(() => claimed({ aud: audiences[name]?.(world.issuer) }), 'client_assertion_audience')
  })
})

describe('14: the typ of an assertion', () => {
  test.each([
    undefined,
    'JWT',
    'jwt',
    'client-authentication+jwt',
    'application/client-authentication+jwt',
  ])('rfc7523bis §4: typ %s is accepted', async (typ) => {
    await expectAccepted(() => claimed({}, { typ }))
  })

  test.each([
    'at+jwt',
    'application/at+jwt',
    'dpop+jwt',
    'oauth-id-jag+jwt',
    'secevent+jwt',
    'logout+jwt',
    'errand-session+jwt',
    'application/jwt/client-authentication+jwt',
    'client-authentication',
  ])('RFC 8725 §3.11: typ %s is another kind of token, and refused', async (typ) => {
    await expectImpostor(() => claimed({}, { typ }), 'client_assertion_claims')
  })
})

describe('15: who the assertion is about', () => {
  test('RFC 7523 §3: iss and sub must both be the client', async () => {
    await expectImpostor(() => claimed({ sub: 'researcher' }), 'client_assertion_claims')
    await expectImpostor(() => claimed({ sub: undefined }), 'client_assertion_claims')
    await expectImpostor(() => claimed({ sub: ['orchestrator'] }), 'client_assertion_claims')
    for (const iss of [undefined, '', 7, ['orchestrator']]) {
      await expectImpostor(() => claimed({ iss }), 'client_assertion_claims')
    }
    await expectImpostor(() => claimed({ iss: 'researcher' }), 'client_assertion_signature')
    await expectImpostor(() => claimed({ iss: 'nobody', sub: 'nobody' }), 'client_unknown')
  })

  test('RFC 7521 §4.2: a client_id parameter must name the same client', async () => {
    await expectAccepted(() => ({ ...claimed({}), client_id: 'orchestrator' }))
    for (const client_id of ['researcher', 'Orchestrator', 'orchestrator ', 'agent:orchestrator']) {
      await expectImpostor(() => ({ ...claimed({}), client_id }), 'client_assertion_claims')
    }
  })
})

describe('16: the times of an assertion', () => {
  test('RFC 7523 §3: expired, without end, not yet valid, or living over five minutes', async () => {
    const now = world.now()
    const cases: [Record<string, unknown>, RejectionReason][] = [
      [{ exp: undefined }, 'client_assertion_claims'],
      [{ exp: now - 31, iat: now - 60 }, 'client_assertion_expired'],
      [{ exp: 0, iat: undefined }, 'client_assertion_expired'],
      [{ exp: `${now + 60}` }, 'client_assertion_claims'],
      [{ exp: now + 60.5 }, 'client_assertion_claims'],
      [{ exp: -1 }, 'client_assertion_claims'],
      [{ exp: now + 331 }, 'client_assertion_lifetime'],
      [{ exp: now + 331, iat: now + 30 }, 'client_assertion_lifetime'],
      [{ exp: now + 10, iat: now - 3600 }, 'client_assertion_lifetime'],
      [{ exp: now + 86_400, iat: undefined }, 'client_assertion_lifetime'],
      [{ exp: 2 ** 53 }, 'client_assertion_malformed'],
      [{ nbf: now + 31 }, 'client_assertion_claims'],
      [{ iat: now + 31 }, 'client_assertion_claims'],
      [{ nbf: 'yesterday' }, 'client_assertion_claims'],
      [{ jti: undefined }, 'client_assertion_claims'],
      [{ jti: '' }, 'client_assertion_claims'],
      [{ jti: 'x'.repeat(300) }, 'client_assertion_claims'],
    ]
    for (const [claims, reason] of cases) await expectImpostor(() => claimed(claims), reason)
  })

  test('RFC 7523 §3: a difference of clocks of half a minute is forgiven', async () => {
    const now = world.now()
    await expectAccepted(() => claimed({ exp: now - 29, iat: now - 60 }))
    await expectAccepted(() => claimed({ nbf: now + 30, iat: now + 30 }))
    await expectAccepted(() => claimed({ exp: now + 300, iat: undefined }))
  })
})

describe('17: an assertion is for one request', () => {
  test('RFC 7523 §3: presented again, at the same endpoint or at another, it is a stranger’s', async () => {
    for (const first of paths) {
      for (const second of paths) {
        const authentication = claimed({})
        expect((await ask(first, authentication)).status).toBe(200)
        const replay = () => ask(second, authentication)
        const { record } = await expectRefused(world, replay, invalidClient('client_assertion_replayed'))
        expect(JSON.stringify(record)).not.toContain('orchestrator')
      }
    }
  })

  test('RFC 7523 §3: the same jti under a new signature, or with other claims, is the same assertion', async () => {
    const jti = 'one-id-two-assertions'
    expect((await ask('/token', claimed({ jti }))).status).toBe(200)
    const again = () => ask('/token', claimed({ jti, exp: world.now() + 120 }))
    await expectRefused(world, again, invalidClient('client_assertion_replayed'))
    // Another client may use the same id: ids are the client's own.
    const other = asserted(world.assertion('warehouse-server', { jti }))
    expect((await ask('/introspect', other)).status).toBe(200)
  })

  test('RFC 7523 §3: a refused request has used its assertion up', async () => {
    const authentication = claimed({})
    const bad = { ...authentication, subject_token: world.idToken({ aud: 'another-client' }) }
    await expectRefused(world, () => ask('/token', bad), invalidRequest('subject_token_audience'))
    await expectRefused(world, () => ask('/token', authentication), invalidClient('client_assertion_replayed'))
  })

  test('RFC 7523 §3: a replay is a stranger’s whatever else is wrong with the request', async () => {
    const authentication = claimed({})
    expect((await ask('/token', authentication)).status).toBe(200)
    const spoilt: Params[] = [
      { subject_token: world.idToken({ aud: 'another-client' }) },
      { subject_token: world.idToken({ iss: 'https://nowhere.example' }) },
      { requested_token_type: TYPE.delegation },
      { resource: 'https://nowhere.example/mcp' },
      { scope: 'admin' },
    ]
    for (const params of spoilt) {
      const replay = () => ask('/token', { ...authentication, ...params })
      await expectRefused(world, replay, invalidClient('client_assertion_replayed'))
    }
  })

  test('RFC 7523 §3: fifty presentations at once give one token (H59)', async () => {
    const authentication = claimed({})
    const before = new Set((await world.audit(1_000)).map(({ id }) => id))
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask('/token', authentication)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    const others = answers.filter(({ status }) => status !== 200)
    expect(new Set(others.map(({ body }) => body.error))).toEqual(new Set(['invalid_client']))
    await world.broker.flushAudit()
    const added = (await world.audit(1_000)).filter(({ id }) => !before.has(id))
    const counts = added.flatMap(({ strangers = [] }) => strangers)
    expect(counts).toEqual([['client_assertion_replayed', 'unknown', 49]])
    expect(added.filter(({ outcome }) => outcome === 'granted')).toHaveLength(1)
  })

  test('RFC 7523 §3: a stranger cannot use up the assertion id of a client', async () => {
    const jti = 'contested'
    const forged = () => asserted(sign({ key: testKey('mallory-key'), header: {}, claims: base({ jti }) }).reveal())
    await expectRefused(world, () => ask('/token', forged()), invalidClient('client_assertion_signature'))
    expect((await ask('/token', claimed({ jti }))).status).toBe(200)
  })
})

describe('clients that are no longer active', () => {
  test('RFC 6749 §5.2: they are told so once they have proved who they are, and nobody else is', async () => {
    type Entry = Record<string, unknown>
    const suspend = (entries: unknown, id: string) =>
      (entries as Entry[]).map((entry) => (entry['client_id'] === id ? { ...entry, state: 'suspended' } : entry))
    const { agents, services } = registryDocument(world.idp)
    const registry = { agents: suspend(agents, 'orchestrator'), services: suspend(services, 'warehouse-server') }
    const own = await startWorld({ issuer: world.idp, registry })
    const inactive = invalidRequest('agent_inactive')
    await expectRefused(own, () => own.open(), inactive)
    await expectRefused(own, () => own.clientCredentials('orchestrator', { resource: `${own.issuer}/api` }), inactive)
    await expectRefused(own, () => own.revoke(world.idToken()), inactive)
    await expectRefused(own, () => own.introspect(world.idToken()), invalidRequest('service_inactive'))
    const forged = () => asserted(sign({ key: testKey('mallory-key'), header: {}, claims: base() }).reveal())
    const impostor = () => own.post('/token', { ...endpoints['/token']?.(), ...forged() })
    await expectRefused(own, impostor, invalidClient('client_assertion_signature'))
    await own.close()
  })
})

/** Claims that only lack the right signature. */
function base(claims: Record<string, unknown> = {}): Record<string, unknown> {
  const now = world.now()
  const id = `forged-${Math.trunc(performance.now() * 1000)}`
  return { iss: 'orchestrator', sub: 'orchestrator', aud: world.issuer, iat: now, exp: now + 60, jti: id, ...claims }
}

describe('18: algorithms and keys', () => {
  test('RFC 8725 §3.1: none, HMAC under the public key, and the algorithms of other keys are refused (H01–H03)', async () => {
    const key = testKey('orchestrator-key')
    const draft = () => ({ key, header: {}, claims: base() })
    for (const alg of ['none', 'None', 'nOnE', 'HS256', 'ES384', 'RS256', 'PS256', 'EdDSA', 'ES256K', '']) {
      await expectImpostor(() => asserted(sign({ ...draft(), header: { alg } }).reveal()), 'client_assertion_signature')
    }
    const publicForms = [
      key.publicKey.export({ type: 'spki', format: 'der' }),
      key.publicKey.export({ type: 'spki', format: 'pem' }),
      JSON.stringify(publicJwk(key)),
    ]
    for (const form of publicForms) {
      await expectImpostor(() => asserted(signHmac(draft(), form).reveal()), 'client_assertion_signature')
    }
    const bare = () => ask('/token', asserted(unsigned(draft()).reveal()))
    await expectRefused(world, bare, toStranger(invalidRequest('token_malformed')))
  })

  test('RFC 7515 §4.1: keys that come with the assertion are not used, and nothing is fetched (H04, H05)', async () => {
    const connections = await countingServer()
    const attacker = testKey('attacker-key')
    const url = `http://127.0.0.1:${connections.port}/keys`
    const headers: Record<string, unknown>[] = [
      { jwk: publicJwk(attacker) },
      { jku: url },
      { x5u: url },
      { x5c: ['AAAA'] },
      { jku: url, jwk: publicJwk(attacker), kid: 'orchestrator-key' },
      { crit: ['b64'], b64: false },
      { crit: ['x'] },
      { b64: true },
      { zip: 'DEF' },
      { cty: 'JWT' },
    ]
    const keyRequests = world.idp.countRequests()
    for (const header of headers) {
      for (const key of [attacker, testKey('orchestrator-key')]) {
        const make = () => asserted(sign({ key, header, claims: base() }).reveal())
        await expectImpostor(make, 'client_assertion_malformed')
      }
    }
    expect(connections.count()).toBe(0)
    expect(world.idp.countRequests()).toBe(keyRequests)
    await connections.close()
  })

  test('RFC 7515 §4.1.4: only the key that the kid names is tried, and only the client’s own', async () => {
    const draft = { key: testKey('orchestrator-key'), header: {}, claims: {} }
    for (const kid of ['researcher-key', 'unknown', 'ORCHESTRATOR-KEY', '../orchestrator-key', '__proto__']) {
      const make = () => asserted(sign({ ...draft, header: { kid }, claims: base() }).reveal())
      await expectImpostor(make, 'client_assertion_signature')
    }
    const another = () => asserted(sign({ ...draft, key: testKey('researcher-key'), claims: base() }).reveal())
    await expectImpostor(another, 'client_assertion_signature')
    for (const kid of ['', 7, 'x'.repeat(300), 'a\nb']) {
      const make = () => asserted(sign({ ...draft, header: { kid }, claims: base() }).reveal())
      await expectImpostor(make, 'client_assertion_malformed')
    }
  })

  test('RFC 7515 §5.2: one changed bit of header, claims or signature is enough', async () => {
    for (const part of [0, 1, 2]) {
      const make = () => {
        const parts = world.assertion('orchestrator').split('.')
        const text = parts[part] ?? ''
        const at = Math.floor(text.length / 2)
        parts[part] = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
        return asserted(parts.join('.'))
      }
      for (const path of paths) {
        const answer = await ask(path, make())
        expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client'])
      }
    }
  })
})

async function countingServer() {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { port, count: () => connections, close: () => new Promise<void>((done) => server.close(() => done())) }
}
