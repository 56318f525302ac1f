/** `errand doctor` on what platforms and enterprise IdPs issue: the broker's verdict and reason, and the nearest that is registered. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPractice, type Practice } from '../../support/doctor.ts'
import { enterpriseRegistry, idJag, redeem } from '../../support/id-jag.ts'
import { startIssuer, type TestIssuer } from '../../support/issuer.ts'
import { sign, testKey } from '../../support/keys.ts'
import { startTrustDomain, type TestTrustDomain } from '../../support/trust-domain.ts'
import { REPORTER, requestsOf, tokensOf, withWorkloads } from '../../support/workloads.ts'
import { type Answer, WAREHOUSE, WIKI, type World } from '../../support/world.ts'

type Entry = Record<string, unknown>

let practice: Practice
let world: World
let domain: TestTrustDomain
let cluster: TestIssuer
let ci: TestIssuer

beforeAll(async () => {
  domain = await startTrustDomain('example.org')
  cluster = await startIssuer({ slug: 'cluster', alg: 'RS256' })
  ci = await startIssuer({ slug: 'ci' })
  practice = await openPractice((idp) => {
    const document = withWorkloads(enterpriseRegistry(idp), cluster, ci)
    const ids = [{ id: 'spiffe://example.org/orchestrator', version: '3' }]
    const agents = (document['agents'] as Entry[]).map((agent) =>
      agent['client_id'] === 'orchestrator' ? { ...agent, spiffe_ids: ids } : agent,
    )
    return { ...document, agents, trust_domains: [domain.entry] }
  })
  world = practice.world
})
afterAll(async () => {
  await practice.close()
  await Promise.all([domain, cluster, ci].map((server) => server.close()))
})

type Case = readonly [what: string, make: () => string, request: (token: string) => Promise<Answer>, step: string]

function agree(cases: readonly Case[]): void {
  test.each(cases)('of %s', async (_what, make, request, step) => {
    const { refused, accepted } = await practice.examined(make())
    const said = await practice.verdict(await request(make()))
    expect([refused?.reason ?? 'accepted', refused?.step ?? '']).toEqual([said, step])
    expect(accepted).toBe(said === 'accepted')
  })
}

describe('the doctor says what the broker says', () => {
  const jag = (claims: Entry = {}, header: Entry = {}) => idJag(world, claims, header)
  const asGrant = (token: string) => redeem(world, token)
  agree([
    ['a good ID-JAG', () => jag(), asGrant, ''],
    ['an ID-JAG for another server of authorization', () => jag({ aud: 'https://other.example' }), asGrant, 'audience'],
    [
      'an ID-JAG for a resource that is not here',
      () => jag({ resource: 'https://x.example/mcp' }),
      asGrant,
      'resource',
    ],
    ['an ID-JAG that lives an hour', () => jag({ exp: world.now() + 3600 }), asGrant, 'times'],
    ['an ID-JAG without scope', () => jag({ scope: undefined }), asGrant, 'scope, act'],
    ['an ID-JAG about a stranger', () => jag({ sub: 'eve' }), asGrant, 'who it is'],
  ])

  const svid = (claims: Entry = {}, path = '/orchestrator') => domain.svid(path, world.issuer, claims)
  const asSvid = (client_assertion: string) =>
    world.post('/token', {
      grant_type: 'client_credentials',
      resource: WIKI,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion,
    })
  const forged = () => {
    const claims = { sub: domain.id('/orchestrator'), aud: [world.issuer], exp: world.now() + 60 }
    return sign({ key: { ...testKey('forger'), kid: 'authority' }, header: { typ: 'JWT' }, claims }).reveal()
  }
  agree([
    ['a good JWT-SVID', () => svid(), asSvid, ''],
    ['a JWT-SVID for two', () => svid({ aud: [world.issuer, WAREHOUSE] }), asSvid, 'audience'],
    ['a JWT-SVID of a workload that nobody registered', () => svid({}, '/orchestratr'), asSvid, 'client'],
    ['a JWT-SVID of another domain', () => svid({ sub: 'spiffe://other.example/orchestrator' }), asSvid, 'client'],
    ['an expired JWT-SVID', () => svid({ exp: world.now() - 60, iat: world.now() - 600 }), asSvid, 'times'],
    ['a forged JWT-SVID', forged, asSvid, 'signature'],
  ])

  const pod = (claims: Entry = {}, header: Entry = {}) => tokensOf(world, cluster, ci).podToken(claims, header)
  const job = (claims: Entry = {}) => tokensOf(world, cluster, ci).jobToken(claims)
  const asWorkload = (token: string) => requestsOf(world).ask(token)
  agree([
    ['a good pod token', () => pod(), asWorkload, ''],
    ['a pod token for the API server', () => pod({ aud: ['https://kubernetes.default.svc'] }), asWorkload, 'audience'],
    ['a pod token for two', () => pod({ aud: ['errand', 'vault'] }), asWorkload, 'audience'],
    ['a pod token of a key that is not the cluster’s', () => pod({}, { kid: 'x' }), asWorkload, 'key'],
    [
      'a pod token that has ended',
      () => pod({ exp: world.now() - 60, iat: world.now() - 3600, nbf: 1 }),
      asWorkload,
      'times',
    ],
    ['a pod token that lives too long', () => pod({ exp: world.now() + 90_000 }), asWorkload, 'times'],
    ['a delegated pod token', () => pod({ act: { sub: 'x' } }), asWorkload, 'claims'],
    ['another pod’s token', () => pod({ sub: 'system:serviceaccount:agents:other' }), asWorkload, 'client'],
    ['a good job token', () => job(), asWorkload, ''],
    ['a job token of nobody', () => job({ sub: 'job/nobody' }), asWorkload, 'client'],
    ['a job token without end', () => job({ exp: undefined }), asWorkload, 'times'],
  ])
})

test('an ID-JAG is examined as the agent it names, a JWT-SVID as the client that has its SPIFFE ID', async () => {
  const examined = await practice.examined(idJag(world))
  expect(examined).toMatchObject({
    principal: 'user:corp:alice',
    role: 'as the grant of agent orchestrator (jwt-bearer)',
  })
  const other = await practice.examined(idJag(world), { as: 'researcher' })
  expect(other.refused).toMatchObject({ reason: 'assertion_client', step: 'meant for' })
  const workload = await practice.examined(domain.svid('/orchestrator', world.issuer))
  expect(workload).toMatchObject({ principal: 'agent:orchestrator', kind: 'JWT-SVID' })
  expect(workload.notes.join(' ')).toContain('version 3')
  const near = await practice.examined(domain.svid('/orchestratr', world.issuer))
  expect(near.refused?.advice.join(' ')).toContain('The nearest registered is spiffe://example.org/orchestrator')
  expect(near.refused?.advice.join(' ')).not.toContain('trust_domains')
  const foreign = await startTrustDomain('foreign.example')
  const stranger = await practice.examined(foreign.svid('/orchestrator', world.issuer))
  await foreign.close()
  expect(stranger.refused?.advice.join(' ')).toContain('Its trust domain is not under trust_domains')
})

test('a platform’s token is told with the rule that it fulfils, or the one it comes nearest to, claim by claim', async () => {
  const { podToken, jobToken } = tokensOf(world, cluster, ci)
  const good = await practice.examined(podToken())
  expect(good).toMatchObject({ principal: 'agent:reporter', kind: 'workload token of platform cluster (kubernetes)' })
  expect(good.steps.find(({ step }) => step === 'client')?.found).toBe(
    'rule of agent reporter, version 3: all 2 claims fulfilled',
  )
  const near = await practice.examined(podToken({ sub: 'system:serviceaccount:agents:report-agnt' }))
  expect(near.steps.find(({ step }) => step === 'client')?.found).toContain('1 of 2 claims fulfilled')
  expect(near.refused?.advice.join(' ')).toContain(
    `sub is system:serviceaccount:agents:report-agnt, the rule says ${REPORTER}`,
  )
  // MCP Workload Identity Federation wants a jti of a grant.
  const grant = await practice.examined(jobToken({ jti: undefined }))
  expect(grant).toMatchObject({
    accepted: true,
    others: [{ role: 'as assertion of jwt-bearer', ended: expect.stringContaining('jti is required') }],
  })
})
