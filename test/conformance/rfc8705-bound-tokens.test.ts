/**
 * Certificate-bound tokens (RFC 8705 §3): what binds them, how the binding goes on through sessions and delegations, and that
 * the broker, its introspection and its verifier believe them with their certificate only.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createVerifier } from '../../src/sdk/verify/verifier.ts'
import { type IssuedCertificate, selfSigned } from '../support/authorities.ts'
import { holderKey, jktOf, proving } from '../support/dpop.ts'
import { expectRefused, invalidRequest } from '../support/refusal.ts'
import {
  ORCHESTRATOR,
  RESEARCHER,
  type SvidWorld,
  shown,
  startSvidWorld,
  WAREHOUSE_SERVER,
} from '../support/svid-world.ts'
import { type Answer, claimsOf, DELEGATED, INTENT, type Params, TYPE, WAREHOUSE, WIKI } from '../support/world.ts'

type Members = Record<string, unknown>
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** The wiki takes bound tokens only; the researcher wants none but bound ones. */
function bound(document: Members): Members {
  const change = (section: string, name: string, id: string, more: Members) =>
    (document[section] as Members[]).map((entry) => (entry[name] === id ? { ...entry, ...more } : entry))
  return {
    ...document,
    resources: change('resources', 'id', 'wiki', { sender_constraint: 'required' }),
    agents: change('agents', 'client_id', 'orchestrator', {}).map((entry) =>
      entry['client_id'] === 'researcher' ? { ...entry, tls_client_certificate_bound_access_tokens: true } : entry,
    ),
  }
}

let svids: SvidWorld
let orchestrator: IssuedCertificate
let researcher: IssuedCertificate
beforeAll(async () => {
  svids = await startSvidWorld({ registry: bound })
  orchestrator = await svids.root.issue({ uris: [ORCHESTRATOR] })
  researcher = await svids.root.issue({ uris: [RESEARCHER] })
})
afterAll(() => svids.close())
beforeEach(() => {
  svids.identity = undefined
})

const x5t = ({ thumbprint }: IssuedCertificate) => ({ 'x5t#S256': thumbprint })
const cnfOf = (answer: Answer) => claimsOf(answer.body.access_token)['cnf']

/** With its X.509-SVID, and whatever certificate the connection shows. */
const post = (client: string, own: IssuedCertificate | undefined, params: Params): Promise<Answer> => {
  svids.identity = own === undefined ? undefined : shown(own)
  const authentication = own === undefined ? svids.world.authentication(client) : { client_id: client }
  return svids.world.post('/token', { ...authentication, ...params })
}
const autonomous = (client: string, own: IssuedCertificate | undefined, resource: string, more: Params = {}) =>
  post(client, own, { grant_type: 'client_credentials', resource, ...more })
const exchange = (client: string, own: IssuedCertificate | undefined, params: Params) =>
  post(client, own, { grant_type: EXCHANGE, ...params })

const granted = async (answer: Promise<Answer>): Promise<Answer> => {
  const { status, body } = await answer
  expect(status, JSON.stringify(body)).toBe(200)
  return await answer
}
const open = (client: string, own: IssuedCertificate | undefined, more: Params = {}) =>
  exchange(client, own, {
    subject_token: svids.world.idToken({ aud: `${client}-at-idp` }),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: JSON.stringify(client === 'researcher' ? INTENT.slice(0, 2) : INTENT),
    ...more,
  })
const goOn = (client: string, own: IssuedCertificate | undefined, session: string, more: Params = {}) =>
  exchange(client, own, { subject_token: session, subject_token_type: TYPE.session, resource: WAREHOUSE, ...more })

describe('what binds a token to the certificate', () => {
  test('a resource that demands it: a Bearer token with x5t#S256, in the record too', async () => {
    const answer = await granted(autonomous('orchestrator', orchestrator, WIKI))
    expect(cnfOf(answer)).toEqual(x5t(orchestrator))
    expect(answer.body.token_type).toBe('Bearer')
    const [record] = await svids.world.audit(1)
    expect(record.bound_to).toBe(`x5t#S256:${orchestrator.thumbprint}`)
  })

  test('however its client has authenticated: the handshake has proven the key, whoever issued it', async () => {
    const own = await selfSigned({ subject: 'CN=anybody' })
    svids.identity = shown(own)
    const answer = await granted(svids.world.clientCredentials('orchestrator', { resource: WIKI }))
    expect(cnfOf(answer)).toEqual(x5t(own))
  })

  test('no certificate, no token for it; and none is bound where nobody asked', async () => {
    const request = () => autonomous('orchestrator', undefined, WIKI)
    await expectRefused(svids.world, request, invalidRequest('sender_constraint_required'))
    const session = (await granted(open('orchestrator', orchestrator))).body.access_token
    expect(claimsOf(session)['cnf']).toBeUndefined()
    expect(cnfOf(await granted(goOn('orchestrator', orchestrator, session)))).toBeUndefined()
    expect(cnfOf(await granted(goOn('orchestrator', undefined, session)))).toBeUndefined()
  })

  test('a client that is registered for it, at every resource; without its certificate it gets none at all', async () => {
    const session = (await granted(open('researcher', researcher))).body.access_token
    expect(cnfOf(await granted(goOn('researcher', researcher, session)))).toEqual(x5t(researcher))
    const api = { resource: `${svids.world.issuer}/api`, scope: 'sessions' }
    for (const request of [
      () => open('researcher', undefined),
      () => autonomous('researcher', undefined, `${svids.world.issuer}/api`, api),
    ]) {
      await expectRefused(svids.world, request, invalidRequest('sender_constraint_required'))
    }
  })
})

describe('a session that was opened with a certificate', () => {
  test('outlives it: the next one of the same workload binds what comes next, and none at all nothing', async () => {
    const session = (await granted(open('researcher', researcher))).body.access_token
    expect(claimsOf(session)['cnf'], 'a session token is for its own client alone').toBeUndefined()
    const renewed = await svids.root.issue({ uris: [RESEARCHER] })
    expect(cnfOf(await granted(goOn('researcher', renewed, session)))).toEqual(x5t(renewed))
    const bare = () => goOn('researcher', undefined, session)
    await expectRefused(svids.world, bare, invalidRequest('subject_token_unproven'))
  })

  test('hands on to nobody who has no key of their own', async () => {
    // The researcher's client entry demands its certificate anyway: the session's demand is seen where it delegates further.
    const session = (await granted(open('researcher', researcher))).body.access_token
    const delegation = await granted(
      exchange('researcher', researcher, {
        subject_token: session,
        subject_token_type: TYPE.session,
        requested_token_type: TYPE.delegation,
        audience: 'scribe',
        authorization_details: JSON.stringify(DELEGATED),
      }),
    )
    expect(claimsOf(delegation.body.access_token)['cnf']).toBeUndefined()
    const accept = () =>
      svids.world.exchange('scribe', {
        subject_token: delegation.body.access_token,
        subject_token_type: TYPE.delegation,
        requested_token_type: TYPE.access,
        resource: WAREHOUSE,
      })
    svids.identity = undefined
    await expectRefused(svids.world, accept, invalidRequest('subject_token_unproven'))
    const own = await selfSigned({ subject: 'CN=scribe' })
    svids.identity = shown(own)
    expect(cnfOf(await granted(accept()))).toEqual(x5t(own))
  })
})

describe('a DPoP proof beside a certificate', () => {
  const key = holderKey()
  const withProof = (params: Params) => {
    svids.identity = shown(researcher)
    const proof = proving(svids.world, key)
    return svids.world.post('/token', { client_id: 'researcher', ...params }, proof)
  }

  test('goes first, and what it has bound no certificate opens again', async () => {
    const opened = await granted(
      withProof({
        grant_type: EXCHANGE,
        subject_token: svids.world.idToken({ aud: 'researcher-at-idp' }),
        subject_token_type: TYPE.id,
        requested_token_type: TYPE.session,
        authorization_details: JSON.stringify(INTENT.slice(0, 2)),
      }),
    )
    expect(cnfOf(opened)).toEqual({ jkt: jktOf(key) })
    const session = opened.body.access_token
    const byCertificate = () => goOn('researcher', researcher, session)
    await expectRefused(svids.world, byCertificate, invalidRequest('subject_token_unproven'))
    const onward = {
      grant_type: EXCHANGE,
      subject_token: session,
      subject_token_type: TYPE.session,
      resource: WAREHOUSE,
    }
    expect(cnfOf(await granted(withProof(onward)))).toEqual({ jkt: jktOf(key) })
  })

  test('serves a session that was opened with a certificate: bound is bound', async () => {
    const session = (await granted(open('researcher', researcher))).body.access_token
    const onward = {
      grant_type: EXCHANGE,
      subject_token: session,
      subject_token_type: TYPE.session,
      resource: WAREHOUSE,
    }
    expect(cnfOf(await granted(withProof(onward)))).toEqual({ jkt: jktOf(key) })
  })
})

test('#52 a subject token that its issuer bound to a certificate is taken over that certificate alone', async () => {
  const other = await svids.root.issue({ uris: [ORCHESTRATOR] })
  const subject = { subject_token: svids.world.idToken({ cnf: x5t(orchestrator) }) }
  for (const own of [undefined, other]) {
    const request = () => open('orchestrator', own, subject)
    await expectRefused(svids.world, request, invalidRequest('subject_token_unproven'))
  }
  expect((await open('orchestrator', orchestrator, subject)).status).toBe(200)
})

describe('who is shown a bound token', () => {
  test('introspection names its certificate', async () => {
    const token = (await granted(autonomous('orchestrator', orchestrator, WIKI))).body.access_token
    const { body } = await svids.world.introspect(token, 'wiki-server')
    expect(body).toMatchObject({ active: true, token_type: 'Bearer', cnf: x5t(orchestrator) })
  })

  test('the broker’s own API takes it over its certificate only', async () => {
    const api = { resource: `${svids.world.issuer}/api`, scope: 'sessions' }
    const token = (await granted(autonomous('researcher', researcher, api.resource, api))).body.access_token
    expect(claimsOf(token)['cnf']).toEqual(x5t(researcher))
    for (const own of [undefined, orchestrator]) {
      svids.identity = own === undefined ? undefined : shown(own)
      const { status, body } = await svids.world.bearer('/sessions', token)
      expect([status, body.error]).toEqual([401, 'invalid_token'])
    }
    await svids.world.broker.flushAudit()
    const [{ strangers }] = await svids.world.audit(1)
    expect(strangers).toEqual([['bearer_bound', '127.0.0.1', 2]])
    svids.identity = shown(researcher)
    expect((await svids.world.bearer('/sessions', token)).status).toBe(200)
  })

  test('the verifier believes it with its certificate’s thumbprint only', async () => {
    const token = (await granted(autonomous('orchestrator', orchestrator, WIKI))).body.access_token
    svids.identity = shown(await svids.root.issue({ uris: [WAREHOUSE_SERVER] }))
    const door = async ({ url }: { url: string }) =>
      JSON.stringify((await svids.world.request(new URL(url).pathname)).body)
    const verifier = createVerifier({ issuer: svids.world.issuer, resource: WIKI, door })
    const held = await verifier.verify(token, { certificateThumbprint: orchestrator.thumbprint })
    expect(held.clientId).toBe('orchestrator')
    const others = [
      {},
      undefined,
      { certificateThumbprint: undefined },
      { certificateThumbprint: researcher.thumbprint },
    ]
    for (const holder of others) {
      await expect(verifier.verify(token, holder)).rejects.toMatchObject({ kind: 'invalid' })
    }
  })
})

test('metadata says that tokens can be bound (§3.3), with which methods (§2.1.1), and where (§5)', async () => {
  const { body } = await svids.world.request('/.well-known/oauth-authorization-server')
  expect(body.tls_client_certificate_bound_access_tokens).toBe(true)
  expect(body.token_endpoint_auth_methods_supported).toEqual(expect.arrayContaining(['spiffe_x509', 'tls_client_auth']))
  expect(body).not.toHaveProperty('mtls_endpoint_aliases')
  const elsewhere = await startSvidWorld({
    world: { settings: { mutualTls: { endpoints: 'https://mtls.errand.example' } } },
  })
  try {
    const { body } = await elsewhere.world.request('/.well-known/oauth-authorization-server')
    expect(body.mtls_endpoint_aliases).toEqual({
      token_endpoint: 'https://mtls.errand.example/token',
      introspection_endpoint: 'https://mtls.errand.example/introspect',
      revocation_endpoint: 'https://mtls.errand.example/revoke',
    })
  } finally {
    await elsewhere.close()
  }
})

test('§5: a DPoP proof may name the URL where certificates are asked for, which is the same endpoint, and is still good once', async () => {
  const settings = { mutualTls: { endpoints: 'https://mtls.errand.example' } }
  const { world, close } = await startSvidWorld({ world: { settings } })
  const at = (path: string, jti?: string) =>
    proving(world, holderKey(), { claims: { htu: `https://mtls.errand.example${path}`, ...(jti && { jti }) } })
  try {
    await granted(world.open({}, at('/token', 'first')))
    const again = proving(world, holderKey(), { claims: { jti: 'first' } })
    const replayed = { status: 400, error: 'invalid_dpop_proof', reason: 'dpop_proof_replayed' } as const
    await expectRefused(world, () => world.open({}, again), replayed)
    const elsewhere = { status: 400, error: 'invalid_dpop_proof', reason: 'dpop_proof_invalid' } as const
    await expectRefused(world, () => world.open({}, at('/introspect')), elsewhere)
  } finally {
    await close()
  }
})
