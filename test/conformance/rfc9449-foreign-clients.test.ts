/**
 * DPoP clients that nobody here wrote, over a real socket, at a broker that asks for nonces (RFC 9449 §5, §8): openid-client
 * and oauth4webapi, as their own documentation uses them.
 */
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { freePort } from '../support/free-port.ts'
import { privateJwk, testKey } from '../support/keys.ts'
import { claimsOf, INTENT, patient, TYPE, WAREHOUSE } from '../support/world.ts'

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

let fleet: Fleet
let broker: BrokerProcess
let clientKey: oauth.CryptoKey
beforeAll(async () => {
  const port = await freePort()
  fleet = await startFleet((directory) => ({
    store: { kind: 'embedded', directory: `${directory}/store` },
    settings: { issuer: `http://127.0.0.1:${port}` },
    dpop: { nonce: 'required' },
  }))
  broker = patient(await fleet.start({ port }))
  const jwk = privateJwk(testKey('orchestrator-key'))
  clientKey = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
})
afterAll(() => fleet?.close())

const subject = () => ({
  subject_token: broker.idToken(),
  subject_token_type: TYPE.id,
  authorization_details: JSON.stringify(INTENT),
})

test.each([
  'ES256',
  'Ed25519',
  'PS256',
])('openid-client opens and continues a session bound to its key of %s, repeating for the nonce by itself', async (algorithm) => {
  const authentication = openid.PrivateKeyJwt({ key: clientKey, kid: 'orchestrator-key' })
  const insecure = { execute: [openid.allowInsecureRequests] }
  const config = await openid.discovery(new URL(fleet.issuer), 'orchestrator', undefined, authentication, insecure)
  expect(config.serverMetadata().dpop_signing_alg_values_supported).toContain(algorithm)
  const handle = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair(algorithm))
  const jkt = await handle.calculateThumbprint()
  const request = (params: Record<string, string>) =>
    openid.genericGrantRequest(config, TOKEN_EXCHANGE, params, { DPoP: handle })
  const session = await request({ ...subject(), requested_token_type: TYPE.session })
  const access = await request({
    subject_token: session.access_token,
    subject_token_type: TYPE.session,
    resource: WAREHOUSE,
  })
  expect(access.token_type).toBe('dpop')
  expect(claimsOf(access.access_token)['cnf']).toEqual({ jkt })
  const api = await openid.clientCredentialsGrant(
    config,
    { resource: `${fleet.issuer}/api`, scope: 'sessions' },
    { DPoP: handle },
  )
  const listed = await openid.fetchProtectedResource(
    config,
    api.access_token,
    new URL(`${fleet.issuer}/sessions`),
    'GET',
    undefined,
    undefined,
    { DPoP: handle },
  )
  const { sessions } = (await listed.json()) as { sessions: { session: string }[] }
  expect([listed.status, sessions.length > 0]).toEqual([200, true])
})

test('oauth4webapi is told to use a nonce, and is granted with it', async () => {
  const as: oauth.AuthorizationServer = { issuer: fleet.issuer, token_endpoint: `${fleet.issuer}/token` }
  const client: oauth.Client = { client_id: 'orchestrator' }
  const handle = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
  const request = () =>
    oauth.genericTokenEndpointRequest(
      as,
      client,
      oauth.PrivateKeyJwt({ key: clientKey, kid: 'orchestrator-key' }),
      TOKEN_EXCHANGE,
      { ...subject(), resource: WAREHOUSE },
      { DPoP: handle, [oauth.allowInsecureRequests]: true },
    )
  const answered = async () => oauth.processGenericTokenEndpointResponse(as, client, await request())
  const first = await answered().catch((error: unknown) => error)
  expect(oauth.isDPoPNonceError(first), String(first)).toBe(true)
  const granted = await answered()
  expect(granted.token_type).toBe('dpop')
  expect(claimsOf(granted.access_token)['cnf']).toEqual({ jkt: await handle.calculateThumbprint() })
})
