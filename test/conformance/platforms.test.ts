/**
 * Each platform's token, in its published form, at a whole broker: it authenticates the agent whose rule it fulfils and opens a
 * session of its own work; meant for somebody else, about somebody else, or too old, it does not.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Draft, sign, testKey, vary } from '../support/keys.ts'
import { PLATFORMS } from '../support/platforms/all.ts'
import { AWS_CLAIMS, aws } from '../support/platforms/aws.ts'
import {
  AZURE_APPLICATION,
  AZURE_OBJECT,
  AZURE_TENANT,
  AZURE_USER,
  azure,
  azureV1,
} from '../support/platforms/azure.ts'
import { GCP_PERSON, gcp } from '../support/platforms/gcp.ts'
import {
  GITHUB_RECYCLED,
  GITHUB_RENAMED,
  githubActions,
  githubActionsByName,
} from '../support/platforms/github-actions.ts'
import { gitlab } from '../support/platforms/gitlab.ts'
import { type PlatformKeyServer, startPlatformKeys } from '../support/platforms/key-server.ts'
import { KUBERNETES_ACCOUNT, KUBERNETES_API_SERVER, kubernetes } from '../support/platforms/kubernetes.ts'
import { oidc } from '../support/platforms/oidc.ts'
import { type PlatformFixture, platformToken } from '../support/platforms/platform.ts'
import { expectRefused, invalidRequest } from '../support/refusal.ts'
import { type Answer, claimsOf, startWorld, TYPE, WIKI, type World } from '../support/world.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** What of a platform's token is one agent's. */
const AGENTS: Readonly<Record<string, { fixture: PlatformFixture; match: Readonly<Record<string, unknown>> }>> = {
  'on-kubernetes': {
    fixture: kubernetes,
    match: {
      sub: 'system:serviceaccount:agents:report-agent',
      '/kubernetes.io/serviceaccount/uid': KUBERNETES_ACCOUNT.uid,
    },
  },
  'on-github': {
    fixture: githubActions,
    match: { repository_id: '456789', repository_owner_id: '123456', ref: 'refs/heads/main' },
  },
  'on-gitlab': { fixture: gitlab, match: { project_id: '20', namespace_id: '72', ref_protected: 'true' } },
  'on-aws': {
    fixture: aws,
    match: {
      sub: 'arn:aws:iam::123456789012:role/ReportAgent',
      '/https:~1~1sts.amazonaws.com~1/aws_account': '123456789012',
    },
  },
  'on-google': { fixture: gcp, match: { sub: '107517467455664443765' } },
  'on-entra': { fixture: azure, match: { oid: AZURE_OBJECT, tid: AZURE_TENANT } },
  'on-entra-1': { fixture: azureV1, match: { oid: AZURE_OBJECT, tid: AZURE_TENANT, appid: AZURE_APPLICATION } },
  'on-oidc': { fixture: oidc, match: { sub: 'batch/nightly-report' } },
}

let world: World
let keys: PlatformKeyServer

beforeAll(async () => {
  keys = await startPlatformKeys()
  world = await startWorld({ registry: await registry() })
})
afterAll(async () => {
  await world.close()
  await keys.close()
})

async function registry() {
  const agents = Object.entries(AGENTS)
  return {
    workload_issuers: agents.map(([slug, { fixture }]) => ({
      issuer: fixture.issuer,
      slug,
      platform: fixture.platform,
      jwks_uri: keys.jwksUri(fixture),
    })),
    agents: agents.map(([id, { match }]) => ({
      client_id: id,
      owner: 'data-team@corp.example',
      environment: 'development',
      grant_types: ['client_credentials', 'token-exchange', 'jwt-bearer'],
      manifest: [{ server: 'wiki' }],
      standing_intent: { purpose: 'Nightly report', tools: { wiki: { search: {}, read_page: {} } } },
      workloads: [{ issuer: id, match, version: '7' }],
    })),
  }
}

const agentOf = (platform: PlatformFixture): string => {
  const found = Object.entries(AGENTS).find(([, { fixture }]) => fixture.issuer === platform.issuer)
  if (found === undefined) throw new Error(`no agent on ${platform.platform}`)
  return found[0]
}

/** A fresh token; `claims` replaces some, `undefined` removes one. */
const draft = (fixture: PlatformFixture, claims: Readonly<Record<string, unknown>> = {}): Draft => {
  const made = platformToken(fixture, world.issuer, world.now())
  return vary(made, { claims: { jti: crypto.randomUUID(), ...claims } })
}
const token = (fixture: PlatformFixture, claims?: Readonly<Record<string, unknown>>): string =>
  sign(draft(fixture, claims)).reveal()

const authenticate = (assertion: string): Promise<Answer> =>
  world.post('/token', {
    grant_type: 'client_credentials',
    resource: WIKI,
    client_assertion_type: JWT_BEARER,
    client_assertion: assertion,
  })

const openSession = (fixture: PlatformFixture, subject: string): Promise<Answer> =>
  world.post('/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    client_assertion_type: JWT_BEARER,
    client_assertion: token(fixture),
    subject_token: subject,
    subject_token_type: TYPE.jwt,
    requested_token_type: TYPE.session,
  })

describe.each(Object.entries(PLATFORMS).filter(([name]) => name !== 'AWS, RS256'))('%s', (_name, fixture) => {
  test('authenticates its agent, in the version its rule is for', async () => {
    const answer = await authenticate(token(fixture))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    const claims = claimsOf(answer.body.access_token)
    expect(claims).toMatchObject({ sub: `agent:${agentOf(fixture)}`, client_id: agentOf(fixture), aud: WIKI })
    expect(claims['agent']).toMatchObject({ version: '7' })
    expect(claims).not.toHaveProperty('act')
  })

  test('opens a session of its own work', async () => {
    const answer = await openSession(fixture, token(fixture))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(claimsOf(answer.body.access_token)['sub']).toBe(`agent:${agentOf(fixture)}`)
  })

  test('may be shown again: files are read again', async () => {
    const assertion = token(fixture)
    expect((await authenticate(assertion)).status).toBe(200)
    expect((await authenticate(assertion)).status).toBe(200)
  })

  test.each([
    ["for the platform's own API", () => ({ aud: fixture.issuer }), 'audience'],
    ['for us and another', () => ({ aud: [world.issuer, 'https://other.example'] }), 'audience'],
    ['without a life', () => ({ exp: undefined }), 'claims'],
    ['from yesterday', () => ({ iat: world.now() - 90_000, nbf: undefined, exp: world.now() - 60 }), 'expired'],
    ['of another subject', () => ({ sub: undefined }), 'claims'],
  ] as const)('#44 %s: authenticates nobody, and opens nothing', async (_title, change, what) => {
    const bad = token(fixture, change())
    await expectRefused(world, () => authenticate(bad), {
      status: 401,
      error: 'invalid_client',
      reason: `client_assertion_${what}`,
      stranger: true,
    })
    await expectRefused(world, () => openSession(fixture, bad), invalidRequest(`subject_token_${what}`))
  })

  test('signed by somebody else with the same kid', async () => {
    const forged = sign({ ...draft(fixture), key: { ...testKey('forger', fixture.alg), kid: fixture.kid } }).reveal()
    await expectRefused(world, () => authenticate(forged), {
      status: 401,
      error: 'invalid_client',
      reason: 'client_assertion_signature',
      stranger: true,
    })
  })
})

describe('about somebody else', () => {
  test.each<[string, PlatformFixture, Readonly<Record<string, unknown>>]>([
    ['another namespace', kubernetes, { sub: 'system:serviceaccount:default:report-agent' }],
    [
      '#44 the same account, made again',
      kubernetes,
      {
        'kubernetes.io': {
          namespace: 'agents',
          serviceaccount: { ...KUBERNETES_ACCOUNT, uid: '00000000-29e2-489a-bd19-ade97031b9db' },
        },
      },
    ],
    ['#45 a repository that took the freed name', githubActions, GITHUB_RECYCLED],
    ['#45 the same in the old format', githubActionsByName, { ...GITHUB_RECYCLED, repository_owner_id: '123456' }],
    ['another branch', githubActions, { ref: 'refs/heads/feature' }],
    ['a pull request', githubActions, { ref: 'refs/pull/7/merge', event_name: 'pull_request' }],
    ['a number where the platform writes text', githubActions, { repository_id: 456789 }],
    ['another project', gitlab, { project_id: '21' }],
    ["a fork's pipeline within the project", gitlab, { project_id: '999', namespace_id: '998', job_project_id: '20' }],
    ['a branch that is not protected', gitlab, { ref_protected: 'false' }],
    ['another role', aws, { sub: 'arn:aws:iam::123456789012:role/Intern' }],
    ['another account', aws, { [AWS_CLAIMS]: { aws_account: '999999999999' } }],
    ['a person', gcp, GCP_PERSON],
    ['another service account', gcp, { sub: '100000000000000000001', azp: '100000000000000000001' }],
    ['another identity', azure, { oid: 'dddddddd-0000-1111-2222-bbbbbbbbbbbb' }],
    ['another tenant', azure, { tid: 'bbbbbbbb-0000-cccc-1111-dddd2222eeee' }],
    ["another tenant's application", azureV1, { appid: '99991111-aaaa-2222-bbbb-3333cccc4444' }],
    ['another job', oidc, { sub: 'batch/nightly-report/2' }],
    ['a job by prefix', oidc, { sub: 'batch/' }],
  ])('%s', async (_name, fixture, claims) => {
    await expectRefused(world, () => authenticate(token(fixture, claims)), {
      status: 401,
      error: 'invalid_client',
      reason: 'client_unknown',
      stranger: true,
    })
    await expectRefused(world, () => openSession(fixture, token(fixture, claims)), invalidRequest('workload_unmatched'))
  })

  test.each<[string, PlatformFixture, string]>([
    ['a legacy token of a secret', kubernetes, 'kubernetes.io'],
    ['no id of the repository', githubActions, 'repository_id'],
    ['no id of the namespace', gitlab, 'namespace_id'],
    ["none of AWS's claims", aws, AWS_CLAIMS],
    ['no object id', azure, 'oid'],
  ])('%s: not what its platform writes', async (_name, fixture, missing) => {
    await expectRefused(
      world,
      () => openSession(fixture, token(fixture, { [missing]: undefined })),
      invalidRequest('subject_token_claims'),
    )
  })

  test("a user's token of the same tenant and API, even where a rule names the user", async () => {
    const asUser = token(azure, { ...AZURE_USER, oid: AZURE_OBJECT })
    await expectRefused(world, () => openSession(azure, asUser), invalidRequest('subject_token_claims'))
  })
})

test('#45 a rule on ids goes on through a rename, in both forms of the subject', async () => {
  for (const claims of [{}, GITHUB_RENAMED, { ...GITHUB_RENAMED, sub: 'repo:octo-org/reports:ref:refs/heads/main' }]) {
    const answer = await authenticate(token(githubActions, claims))
    expect(claimsOf(answer.body.access_token)['sub']).toBe('agent:on-github')
  }
})

test('#44 what a pod holds for the API server opens nothing here', async () => {
  await expectRefused(world, () => authenticate(token(kubernetes, { aud: [KUBERNETES_API_SERVER] })), {
    status: 401,
    error: 'invalid_client',
    reason: 'client_assertion_audience',
    stranger: true,
  })
})

test('#46 the same subject under another issuer is somebody else', async () => {
  const elsewhere = sign(vary(draft(oidc), { claims: { iss: gitlab.issuer } })).reveal()
  await expectRefused(world, () => authenticate(elsewhere), {
    status: 401,
    error: 'invalid_client',
    reason: 'client_assertion_signature',
    stranger: true,
  })
})
