/** What each platform's rules may ask for: who a workload is for good, spelled as the platform writes it. */
import { describe, expect, test } from 'vitest'
import { PLATFORM_NAMES } from '../../../src/model/workload.ts'
import { PLATFORMS as FIXTURES } from '../../support/platforms/all.ts'
import { AWS_CLAIMS } from '../../support/platforms/aws.ts'
import { AZURE_OBJECT, AZURE_TENANT } from '../../support/platforms/azure.ts'
import { KUBERNETES_ACCOUNT, KUBERNETES_POD } from '../../support/platforms/kubernetes.ts'
import { problemsAfter, type Raw, registryAfter } from './document.ts'

type Match = Readonly<Record<string, string | number | boolean>>

const ISSUERS: Readonly<Record<string, string>> = {
  kubernetes: 'https://kubernetes.default.svc.cluster.local',
  github_actions: 'https://token.actions.githubusercontent.com',
  gitlab: 'https://gitlab.example.com',
  aws: 'https://a1b2c3d4-5678-90ab-cdef-111122223333.tokens.sts.global.api.aws',
  gcp: 'https://accounts.google.com',
  azure: `https://login.microsoftonline.com/${AZURE_TENANT}/v2.0`,
  oidc: 'https://workloads.example',
}
const ACCOUNT = '/https:~1~1sts.amazonaws.com~1/aws_account'
const UID = '/kubernetes.io/serviceaccount/uid'

const registered =
  (platform: string, match: Match, over: object = {}) =>
  (document: Raw): void => {
    const jwks_uri = 'https://keys.example/jwks'
    document.workload_issuers = [{ issuer: ISSUERS[platform], slug: 'platform', platform, jwks_uri, ...over }]
    document.agents[0].workloads = [{ issuer: 'platform', match, version: '1' }]
  }
const problems = (platform: string, match: Match, over: object = {}): readonly string[] => {
  return problemsAfter(registered(platform, match, over)).map((line) =>
    line.replace(/^registry\.yaml: (agents\[0\]\.workloads\[0\]\.match|workload_issuers\[0\])\.?/, ''),
  )
}

/** The least that says who it is, with what usually belongs beside it. */
const IDENTITIES: readonly [string, Match][] = [
  ['kubernetes', { sub: 'system:serviceaccount:agents:report-agent' }],
  ['kubernetes', { sub: 'system:serviceaccount:agents:report-agent', [UID]: KUBERNETES_ACCOUNT.uid }],
  ['github_actions', { repository_id: '456789', repository_owner_id: '123456' }],
  ['github_actions', { sub: 'repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main' }],
  ['github_actions', { repository_id: '456789', repository_owner_id: '123456', repository: 'octo-org/octo-repo' }],
  ['github_actions', { repository_id: '456789', repository_owner_id: '123456', repo_property_tier: 'gold' }],
  ['gitlab', { project_id: '20', namespace_id: '72', ref_protected: 'true' }],
  ['aws', { sub: 'arn:aws:iam::123456789012:role/ReportAgent', [ACCOUNT]: '123456789012' }],
  ['gcp', { sub: '107517467455664443765', '/google/compute_engine/project_number': 739419398126 }],
  ['azure', { oid: AZURE_OBJECT, tid: AZURE_TENANT }],
  ['oidc', { sub: 'batch/nightly-report' }],
]

test.each(IDENTITIES)('%s: %j says who a workload is, and finds its token', (platform, match) => {
  const registry = registryAfter(registered(platform, match))
  const [issuer] = registry.workloadIssuers
  const fixture = Object.values(FIXTURES).find((other) => other.platform === platform)
  if (issuer === undefined || fixture === undefined) throw new Error(`no fixture of ${platform}`)
  const claims = { ...fixture.claims(1_795_000_000), repo_property_tier: 'gold' }
  expect(registry.workloads(issuer, claims).map(({ client }) => client.clientId)).toEqual(['orchestrator'])
})

test('every platform has a rule above, and a fixture whose claims are all that it requires', () => {
  expect(new Set(IDENTITIES.map(([platform]) => platform))).toEqual(new Set(PLATFORM_NAMES))
  for (const fixture of Object.values(FIXTURES)) {
    const [, match] = IDENTITIES.find(([platform]) => platform === fixture.platform) ?? ['', {}]
    const over = { issuer: fixture.issuer }
    const registry = registryAfter(registered(fixture.platform, match, over))
    const claims = fixture.claims(1_795_000_000)
    for (const name of registry.workloadIssuers[0]?.requiredClaims ?? []) expect(claims).toHaveProperty([name])
    expect(registry.workloadIssuers[0]?.algorithms).toContain(fixture.alg)
  }
})

describe('#45 what can be given to somebody else is no identity', () => {
  test.each<[string, Match]>([
    ['kubernetes', { '/kubernetes.io/namespace': 'agents' }],
    ['kubernetes', { '/kubernetes.io/pod/uid': KUBERNETES_POD.uid }],
    ['github_actions', { repository_id: '456789' }],
    ['github_actions', { repository_owner_id: '123456', environment: 'production' }],
    ['github_actions', { job_workflow_ref: 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main' }],
    ['gitlab', { project_id: '20' }],
    ['gitlab', { namespace_id: '72', ref: 'main' }],
    ['gitlab', { job_project_id: '20', job_namespace_id: '72' }],
    ['aws', { sub: 'arn:aws:iam::123456789012:role/ReportAgent' }],
    ['aws', { [ACCOUNT]: '123456789012' }],
    ['gcp', { '/google/compute_engine/project_number': 739419398126 }],
    ['azure', { tid: AZURE_TENANT }],
    ['azure', { oid: AZURE_OBJECT }],
    ['azure', { azp: AZURE_OBJECT, tid: AZURE_TENANT }],
  ])('%s: %j', (platform, match) => {
    expect(problems(platform, match).join()).toMatch(/does not say who the workload is: name /)
  })

  test.each<[string, Match, string]>([
    ['github_actions', { repository: 'octo-org/octo-repo', repository_owner: 'octo-org' }, 'repository'],
    ['github_actions', { repository_id: '4', repository_owner_id: '1', actor: 'octocat' }, 'actor'],
    ['gitlab', { project_path: 'my-group/my-project', namespace_path: 'my-group' }, 'project_path'],
    ['gitlab', { sub: 'project_path:my-group/my-project:ref_type:branch:ref:main' }, 'sub'],
    ['gcp', { email: 'report-agent@my-project.iam.gserviceaccount.com' }, 'email'],
    ['azure', { xms_mirid: '/subscriptions/x' }, 'xms_mirid'],
  ])('%s: %j is a name that goes to others', (platform, match, claim) => {
    const found = problems(platform, match)
    expect(found.some((line) => line.startsWith(`${claim}: can be given to somebody else`))).toBe(true)
  })

  test("GitHub's subject by names is refused even beside ids: it ends, or starts, with a rename", () => {
    const ids = { repository_id: '456789', repository_owner_id: '123456' }
    for (const sub of ['repo:octo-org/octo-repo:ref:refs/heads/main', 'repo:octo-org@1/octo-repo:ref:x', 'repo:*']) {
      expect(problems('github_actions', { ...ids, sub }).join()).toMatch(/^sub: must be the subject with ids/)
    }
  })
})

describe('values are spelled as the platform writes them', () => {
  test.each<[string, Match, RegExp]>([
    ['github_actions', { repository_id: 456789, repository_owner_id: '1' }, /^repository_id: must be a string/],
    [
      'github_actions',
      { repository_id: 'octo-repo', repository_owner_id: '1' },
      /^repository_id: must be the id in digits/,
    ],
    ['kubernetes', { sub: 'agents:report-agent' }, /^sub: must be system:serviceaccount/],
    ['kubernetes', { sub: 'system:serviceaccount:agents:*' }, /^sub: must be system:serviceaccount/],
    ['kubernetes', { sub: 'system:serviceaccount:agents:r', [UID]: 'report-agent' }, /uid: must be a UUID/],
    ['kubernetes', { sub: 'system:serviceaccount:agents:r', namespace: 'agents' }, /^namespace: not a claim/],
    ['gitlab', { project_id: '20', namespace_id: '72', ref_protected: true }, /^ref_protected: must be a string/],
    ['gitlab', { project_id: '20', namespace_id: '72', ref_protected: 'yes' }, /^ref_protected: must be "true"/],
    ['aws', { sub: 'arn:aws:sts::123456789012:assumed-role/R/s', [ACCOUNT]: '123456789012' }, /^sub: must be the ARN/],
    ['aws', { sub: 'arn:aws:iam::123456789012:role/R', [ACCOUNT]: '1234' }, /aws_account: must be the account id/],
    ['gcp', { sub: 'report-agent@my-project.iam.gserviceaccount.com' }, /^sub: must be the id in digits/],
    ['azure', { oid: AZURE_OBJECT.toUpperCase(), tid: AZURE_TENANT }, /^oid: must be a UUID/],
  ])('%s: %j', (platform, match, problem) => {
    expect(problems(platform, match).some((line) => problem.test(line))).toBe(true)
  })
})

describe('issuers', () => {
  const [, match] = ['', Object.fromEntries(IDENTITIES)] as const

  test.each([
    ['github_actions', 'https://token.actions.githubusercontent.com/octocorp'],
    ['github_actions', 'https://token.actions.octocorp.ghe.com'],
    ['github_actions', 'https://github.corp.example/_services/token'],
    ['aws', 'https://abc123-def456-ghi789-jkl012.tokens.sts.global.api.aws'],
    ['azure', `https://sts.windows.net/${AZURE_TENANT}/`],
    ['azure', `https://login.microsoftonline.us/${AZURE_TENANT}/v2.0`],
    ['kubernetes', 'https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE'],
  ])('%s: %s', (platform, issuer) => {
    expect(() => registryAfter(registered(platform, match[platform] ?? {}, { issuer }))).not.toThrow()
  })

  test.each([
    ['github_actions', 'https://github.com/octo-org'],
    ['github_actions', 'https://token.actions.githubusercontent.com.attacker.example'],
    ['aws', 'https://sts.amazonaws.com'],
    ['aws', 'https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE'],
    ['gcp', 'https://accounts.google.com/'],
    ['azure', 'https://login.microsoftonline.com/common/v2.0'],
    ['azure', 'https://login.microsoftonline.com/organizations/v2.0'],
    ['azure', `https://sts.windows.net/${AZURE_TENANT}`],
  ])('%s: not %s', (platform, issuer) => {
    expect(problems(platform, match[platform] ?? {}, { issuer }).join()).toMatch(/^issuer: must be /)
  })

  test.each([
    ['kubernetes', 'https://kubernetes.default.svc.cluster.local'],
    ['kubernetes', 'https://kubernetes.default.svc'],
    ['aws', 'sts.amazonaws.com'],
    ['azure', 'https://management.azure.com/'],
    ['oidc', 'https://workloads.example'],
  ])('#44 %s: a token for %s was not meant for this broker', (platform, audience) => {
    expect(problems(platform, match[platform] ?? {}, { audiences: ['errand', audience] })).toEqual([
      `audiences: ${audience} is the platform itself, not this broker`,
    ])
  })
})

test('claims of AWS are named through the URL they lie under', () => {
  expect(ACCOUNT).toBe(`/${AWS_CLAIMS.replaceAll('/', '~1')}/aws_account`)
})
