/**
 * Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): agents whose client id is the URL of a document
 * that has their keys, over real HTTP. A registry entry owns each of them; a URL that no entry names costs nothing.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { JWKS_COOLDOWN_MS, JWKS_FRESH_MS, JWKS_STALE_MS_MAX } from '../../src/kernel/outbound-limits.ts'
import { type ClientDocuments, startClientDocuments } from '../support/client-documents.ts'
import { kill } from '../support/hops.ts'
import { publicJwk, sign, type TestKey, testKey } from '../support/keys.ts'
import { aWhile } from '../support/patience.ts'
import { expectRefused, invalidClient, invalidRequest } from '../support/refusal.ts'
import {
  type Answer,
  claimsOf,
  registryDocument,
  startWorld,
  TYPE,
  WAREHOUSE,
  WIKI,
  type World,
} from '../support/world.ts'

type Entry = Record<string, unknown>

let host: ClientDocuments
let world: World
let client: string

beforeEach(async () => {
  host = await startClientDocuments()
  client = host.client
  const first = await startWorld()
  const agents = registryDocument(first.idp)['agents'] as Entry[]
  const own = {
    client_id: client,
    client_metadata: { version: '9' },
    owner: 'partner-team@corp.example',
    environment: 'development',
    grant_types: ['client_credentials', 'token-exchange'],
    manifest: [
      { server: 'wiki', category: 'read' },
      { server: 'warehouse', category: 'read' },
    ],
    standing_intent: { purpose: 'Read the wiki', tools: { wiki: { search: {}, read_page: {} } } },
  }
  const [orchestrator, ...others] = agents
  const delegating = { ...orchestrator, delegates: [client, 'researcher'] }
  world = await startWorld({ issuer: first.idp, registry: { agents: [delegating, ...others, own] } })
  await first.broker.close()
})
afterEach(async () => {
  await world.close()
  await Promise.all([host.close(), world.idp.close()])
})

function authentication(key: TestKey = host.key, claims: Entry = {}, header: Entry = {}) {
  const now = world.now()
  const made = { iss: client, sub: client, aud: world.issuer, iat: now, exp: now + 60, jti: crypto.randomUUID() }
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: sign({ key, header, claims: { ...made, ...claims } }).reveal(),
  }
}
const ask = (key?: TestKey, claims?: Entry, more: Entry = {}): Promise<Answer> =>
  world.post('/token', { grant_type: 'client_credentials', resource: WIKI, ...authentication(key, claims), ...more })
const accepted = async (key?: TestKey): Promise<Answer> => {
  const answer = await ask(key)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer
}
/** A refresh in the background has ended. */
const settled = () => aWhile(60)

describe('an agent whose client id is a URL', () => {
  test('authenticates with the keys of its document, which is read once; tokens, records and sessions name it by its URL', async () => {
    const answer = await accepted()
    await accepted()
    expect(host.asked()).toEqual(['/agents/report'])
    expect(claimsOf(answer.body.access_token)).toMatchObject({
      sub: `agent:${client}`,
      client_id: client,
      agent: { version: '9' },
    })
    const record = (await world.audit()).find(({ id }) => id === answer.body.decision_id)
    expect(record).toMatchObject({
      by: `agent:${client}`,
      client_auth: { method: 'private_key_jwt', credential: 'document-key' },
    })
  })

  test('does what its entry says and no more, whatever its document says', async () => {
    host.serve('/agents/report', host.document({ scope: 'mcp:tools:admin', grant_types: ['refresh_token'] }))
    expect((await accepted()).body.scope).toBe('mcp:tools:read')
  })

  test('is delegated to, accepts, and is killed by its URL, like any other', async () => {
    const { session } = await world.opened()
    const delegation = await world.delegate(session, { audience: client })
    expect(delegation.status, JSON.stringify(delegation.body)).toBe(200)
    const accept = await world.post('/token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: delegation.body.access_token,
      subject_token_type: TYPE.delegation,
      resource: WAREHOUSE,
      ...authentication(),
    })
    expect(accept.status, JSON.stringify(accept.body)).toBe(200)
    expect(claimsOf(accept.body.access_token)).toMatchObject({
      client_id: client,
      act: { sub: `agent:${client}`, act: { sub: 'agent:orchestrator' } },
    })
    await kill(world, { dimension: 'agent', agent: client, block: true })
    expect((await world.introspect(accept.body.access_token)).body).toEqual({ active: false })
    await expectRefused(world, () => ask(), invalidRequest('principal_blocked'))
  })

  test('may keep its keys at a jwks_uri of the same origin', async () => {
    const other = testKey('elsewhere-key')
    host.serve('/agents/report', host.document({ jwks: undefined, jwks_uri: `${host.origin}/keys.json` }))
    host.serve('/keys.json', { keys: [publicJwk(other)] })
    await accepted(other)
    expect(host.asked()).toEqual(['/agents/report', '/keys.json'])
  })

  test('rotates by changing its document: the new key is taken as soon as it is used, the old one ends with it', async () => {
    await accepted()
    const next = testKey('document-key-2')
    host.serve('/agents/report', host.document({ jwks: { keys: [publicJwk(next)] } }))
    await accepted()
    await world.advance(JWKS_COOLDOWN_MS / 1000)
    await accepted(next)
    await expectRefused(world, () => ask(host.key), invalidClient('client_assertion_signature'))
  })

  test('whose document vanishes is known by its last keys until the hard bound, and then not at all', async () => {
    await accepted()
    host.serve('/agents/report', undefined)
    await world.advance(JWKS_FRESH_MS / 1000)
    await accepted()
    await settled()
    await world.advance((JWKS_STALE_MS_MAX - JWKS_FRESH_MS) / 1000 - 1)
    await accepted()
    await settled()
    await world.advance(1)
    await expectRefused(world, () => ask(), invalidClient('client_metadata_refused'))
  })

  test('costs one request however many come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask()))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(host.asked()).toEqual(['/agents/report'])
  })

  test('section 6: the metadata say that such documents are read, exactly where an entry has one', async () => {
    const path = '/.well-known/oauth-authorization-server'
    expect((await world.request(path)).body.client_id_metadata_document_supported).toBe(true)
    const plain = await startWorld({ issuer: world.idp })
    expect((await plain.request(path)).body).not.toHaveProperty('client_id_metadata_document_supported')
    await plain.close()
  })
})

describe('#21 a URL that no entry names', () => {
  test('is nobody, and nothing is fetched: another path, another spelling, another scheme', async () => {
    const url = new URL(client)
    const spellings = [
      `${host.origin}/agents/other`,
      `${client}/`,
      `${client}?x=1`,
      `${client}#x`,
      `${host.origin}/agents/./report`,
      `${host.origin}/agents/x/../report`,
      `${host.origin}/agents/%72eport`,
      `HTTP://${url.host}/agents/report`,
      `http://user:pass@${url.host}/agents/report`,
      `http://${url.host}`,
      `https://${url.host}/agents/report`,
    ]
    for (const one of spellings) {
      const request = () => ask(host.key, { iss: one, sub: one }, { client_id: one })
      await expectRefused(world, request, invalidClient('client_unknown'))
    }
    expect(host.asked()).toEqual([])
  })

  test('is not reached by naming it in the parameter beside another’s assertion', async () => {
    const request = () => world.clientCredentials('orchestrator', { resource: WIKI, client_id: client })
    await expectRefused(world, request, invalidClient('client_assertion_claims'))
    expect(host.asked()).toEqual([])
  })
})

test('a client assertion of a URL client is used once, for this broker, and says who it is', async () => {
  const once = authentication()
  const form = { grant_type: 'client_credentials', resource: WIKI, ...once }
  expect((await world.post('/token', form)).status).toBe(200)
  await expectRefused(world, () => world.post('/token', form), invalidClient('client_assertion_replayed'))
  const refusals = [
    [{ aud: `${world.issuer}/token` }, 'client_assertion_audience'],
    [{ sub: 'orchestrator' }, 'client_assertion_claims'],
    [{ exp: world.now() + 3600 }, 'client_assertion_lifetime'],
  ] as const
  for (const [claims, reason] of refusals)
    await expectRefused(world, () => ask(host.key, claims), invalidClient(reason))
})
