/**
 * #44 A cluster that is asked about its tokens while they are presented: a deleted pod's opens nothing any more, wherever it is
 * presented; a cluster that cannot be asked is never taken for one that has said yes.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TOKEN_REVIEW_KEPT_MS } from '../../src/kernel/outbound-limits.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { answerJson } from '../support/issuer.ts'
import { publicJwk, sign, testKey, vary } from '../support/keys.ts'
import { KUBERNETES_ACCOUNT, KUBERNETES_POD, kubernetes } from '../support/platforms/kubernetes.ts'
import { platformKeys, platformToken } from '../support/platforms/platform.ts'
import { expectRefused, invalidRequest, type Refusal } from '../support/refusal.ts'
import { type Answer, claimsOf, startWorld, TYPE, WIKI, type World } from '../support/world.ts'

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const GRANT = {
  exchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
  jwtBearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
}
const AGENT = 'report-agent'

let directory: string
let cluster: ApiServer
let world: World

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-review-'))
  cluster = await startApiServer(directory)
  const jwksFile = join(directory, 'jwks.json')
  writeFileSync(jwksFile, JSON.stringify(platformKeys(kubernetes)))
  const { url, credentialFile, caFile } = cluster
  world = await startWorld({
    registry: {
      workload_issuers: [
        {
          issuer: kubernetes.issuer,
          slug: 'cluster',
          platform: 'kubernetes',
          jwks_file: jwksFile,
          token_review: { url, credential_file: credentialFile, ca_file: caFile },
        },
      ],
      agents: [
        {
          client_id: AGENT,
          owner: 'data-team@corp.example',
          environment: 'development',
          keys: [{ ...publicJwk(testKey(`${AGENT}-key`)), version: '1' }],
          grant_types: ['client_credentials', 'token-exchange', 'jwt-bearer'],
          manifest: [{ server: 'wiki' }],
          standing_intent: { purpose: 'Nightly report', tools: { wiki: { search: {}, read_page: {} } } },
          workloads: [{ issuer: 'cluster', version: '7', match: { sub: 'system:serviceaccount:agents:report-agent' } }],
        },
      ],
    },
  })
})
beforeEach(() => {
  cluster.pods.add(KUBERNETES_POD.uid)
  cluster.asked.length = 0
})
afterEach(() => cluster.misbehave(undefined))
afterAll(async () => {
  await world.close()
  await cluster.close()
  rmSync(directory, { recursive: true, force: true })
})

const projected = (claims: Readonly<Record<string, unknown>> = {}): string =>
  sign(vary(platformToken(kubernetes, world.issuer, world.now()), { claims })).reveal()

/** Every place where a workload's token can be presented. */
const PLACES: Readonly<Record<string, (token: string) => Promise<Answer>>> = {
  client_assertion: (token) =>
    world.post('/token', {
      grant_type: 'client_credentials',
      resource: WIKI,
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: token,
    }),
  assertion: (token) => world.post('/token', { grant_type: GRANT.jwtBearer, resource: WIKI, assertion: token }),
  subject_token: (token) =>
    world.exchange(AGENT, { subject_token: token, subject_token_type: TYPE.jwt, requested_token_type: TYPE.session }),
  actor_token: async (token) => {
    const { body } = await world.exchange(AGENT, {
      subject_token: projected(),
      subject_token_type: TYPE.jwt,
      requested_token_type: TYPE.session,
    })
    return world.exchange(AGENT, {
      subject_token: body.access_token,
      subject_token_type: TYPE.session,
      resource: WIKI,
      actor_token: token,
      actor_token_type: TYPE.jwt,
    })
  },
  introspection: (token) =>
    world.post('/introspect', { client_assertion_type: ASSERTION_TYPE, client_assertion: token, token: 'x' }),
}

const BAD_CLIENT = { status: 401, error: 'invalid_client', stranger: true } as const
const REVOKED: Readonly<Record<string, Refusal>> = {
  client_assertion: { ...BAD_CLIENT, reason: 'client_assertion_revoked' },
  assertion: { status: 400, error: 'invalid_grant', reason: 'assertion_revoked', stranger: true },
  subject_token: invalidRequest('subject_token_revoked'),
  introspection: { ...BAD_CLIENT, reason: 'client_assertion_revoked' },
}

describe.each(Object.entries(PLACES))('as %s', (place, present) => {
  test('a living pod is who it says; the cluster is asked for our audience', async () => {
    const answer = await present(projected())
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    if (place !== 'introspection') expect(claimsOf(answer.body.access_token)['sub']).toBe(`agent:${AGENT}`)
    expect(cluster.asked.at(-1)).toMatchObject({ spec: { audiences: [world.issuer] } })
  })

  test('#44 a deleted pod opens nothing, seconds later, though its token has not expired', async () => {
    const token = projected()
    if (place !== 'actor_token') expect((await present(token)).status).toBe(200)
    cluster.pods.delete(KUBERNETES_POD.uid)
    await world.advance(TOKEN_REVIEW_KEPT_MS / 1000)
    const refusal = REVOKED[place]
    if (refusal === undefined) {
      cluster.pods.add(KUBERNETES_POD.uid)
      const gone = projected({
        'kubernetes.io': {
          namespace: 'agents',
          serviceaccount: KUBERNETES_ACCOUNT,
          pod: { name: 'gone', uid: '11111111-1111-1111-1111-111111111111' },
        },
      })
      expect((await present(gone)).body).toMatchObject({ error_reason: 'actor_token_unacceptable' })
    } else await expectRefused(world, () => present(token), refusal)
  })

  test('a cluster that cannot be asked is 503, and nobody in', async () => {
    if (place === 'actor_token') return
    cluster.misbehave((_request, response) => response.writeHead(500).end())
    const answer = await present(projected())
    expect(answer).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(answer.body).not.toHaveProperty('access_token')
  })
})

test('a cluster that cannot be asked: the reason is on the wire, and in the record under the name that was shown', async () => {
  cluster.misbehave((_request, response) => answerJson(response, { kind: 'Status' }))
  const present = PLACES['client_assertion']
  if (present === undefined) throw new Error('no such place')
  const { record } = await expectRefused(world, () => present(projected()), {
    status: 503,
    error: 'temporarily_unavailable',
    reason: 'workload_review_unavailable',
  })
  expect(record).toMatchObject({ agent: { id: AGENT, version: '7' } })
})

test.each([
  ['another account', { username: 'system:serviceaccount:agents:other' }],
  ['the account made again', { uid: '22222222-2222-2222-2222-222222222222' }],
  ['another pod', { extra: { 'authentication.kubernetes.io/pod-uid': ['33333333-3333-3333-3333-333333333333'] } }],
  ['no pod', { extra: {} }],
])('a cluster that says it is %s does not vouch for the token', async (_name, user) => {
  const present = PLACES['client_assertion']
  if (present === undefined) throw new Error('no such place')
  cluster.misbehave((_request, response) =>
    answerJson(response, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      status: {
        authenticated: true,
        audiences: [world.issuer],
        user: {
          username: 'system:serviceaccount:agents:report-agent',
          uid: KUBERNETES_ACCOUNT.uid,
          extra: { 'authentication.kubernetes.io/pod-uid': [KUBERNETES_POD.uid] },
          ...user,
        },
      },
    }),
  )
  await expectRefused(world, () => present(projected()), { ...BAD_CLIENT, reason: 'client_assertion_revoked' })
})

test('only tokens that verify, and match a rule, cost the cluster a question', async () => {
  const present = PLACES['client_assertion']
  if (present === undefined) throw new Error('no such place')
  const forged = sign({
    ...platformToken(kubernetes, world.issuer, world.now()),
    key: { ...testKey('forger', 'RS256'), kid: kubernetes.kid },
  }).reveal()
  for (const token of [
    forged,
    projected({ aud: [kubernetes.issuer] }),
    projected({ exp: world.now() - 60, iat: world.now() - 600, nbf: undefined }),
    projected({ sub: 'system:serviceaccount:default:other' }),
  ]) {
    expect((await present(token)).status).toBe(401)
  }
  expect(cluster.asked).toEqual([])
})

test('a slow cluster keeps nobody else waiting', async () => {
  const present = PLACES['client_assertion']
  if (present === undefined) throw new Error('no such place')
  cluster.misbehave(() => undefined)
  const waiting = Array.from({ length: 20 }, () => present(projected()))
  const startedMs = performance.now()
  const other = await world.clientCredentials(AGENT, { resource: WIKI })
  expect(other.status).toBe(200)
  expect(performance.now() - startedMs).toBeLessThan(2_000)
  expect((await Promise.all(waiting)).every(({ status }) => status === 503)).toBe(true)
})

describe('a workload that ends what it holds', () => {
  async function revokeOwn() {
    const { body } = await world.exchange(AGENT, {
      subject_token: projected(),
      subject_token_type: TYPE.jwt,
      requested_token_type: TYPE.session,
    })
    const continued = () =>
      world.exchange(AGENT, { subject_token: body.access_token, subject_token_type: TYPE.session, resource: WIKI })
    const revoke = () =>
      world.post('/revoke', {
        client_assertion_type: ASSERTION_TYPE,
        client_assertion: projected(),
        token: body.access_token,
      })
    return { continued, revoke }
  }

  test('is not stopped by a cluster that is down', async () => {
    const { continued, revoke } = await revokeOwn()
    expect((await continued()).status).toBe(200)
    cluster.misbehave((_request, response) => response.writeHead(500).end())
    expect((await revoke()).status).toBe(200)
    expect((await continued()).body).toMatchObject({ error: 'invalid_request' })
  })

  test('is stopped by a cluster that no longer knows it', async () => {
    const { continued, revoke } = await revokeOwn()
    cluster.pods.delete(KUBERNETES_POD.uid)
    await world.advance(TOKEN_REVIEW_KEPT_MS / 1000)
    expect((await revoke()).body).toMatchObject({ error: 'invalid_client' })
    expect((await continued()).status).toBe(200)
  })
})
