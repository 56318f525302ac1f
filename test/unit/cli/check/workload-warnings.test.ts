import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { policyWarnings } from '../../../../src/cli/check/policy-warnings.ts'
import { keyFileWarnings, workloadWarnings } from '../../../../src/cli/check/workload-warnings.ts'
import { decodeRegistry } from '../../../../src/registry/load-registry.ts'
import { testSettings, validDocument } from '../policy-document.ts'

const CLUSTER = (jwks_file: string) => ({
  issuer: 'https://cluster.example',
  slug: 'ci',
  platform: 'kubernetes',
  jwks_file,
})
const UID = '/kubernetes.io/serviceaccount/uid'
const IDS = { repository_id: '456789', repository_owner_id: '123456' }

const PLATFORM = { slug: 'ci', jwks_uri: 'https://keys.example/jwks', max_lifetime_seconds: 3600 }

function warningsOf(platform: string, issuer: string, match: Record<string, string>, state = 'active', more = {}) {
  const document = validDocument()
  Object.assign(document, {
    workload_issuers: [{ ...PLATFORM, issuer, platform, ...more }],
  })
  Object.assign(document.agents[0] ?? {}, { state, workloads: [{ issuer: 'ci', match, version: '3' }] })
  return workloadWarnings(decodeRegistry(document, 'registry.yaml', { issuer: testSettings.issuer }))
}

const github = (match: Record<string, string>, state?: string) =>
  warningsOf('github_actions', 'https://token.actions.githubusercontent.com', match, state)
const cluster = (match: Record<string, string>) => warningsOf('kubernetes', 'https://cluster.example', match)

describe('warnings about rules for workloads', () => {
  test('there are none where ids say who, and something says for what', () => {
    expect(github({ ...IDS, environment: 'production' })).toEqual([])
    expect(github({ sub: 'repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main' })).toEqual([])
    expect(cluster({ sub: 'system:serviceaccount:a:b', [UID]: 'a709ef71-30e2-489a-bd19-ade97031b9db' })).toEqual([])
  })

  test('#45 a name beside the ids stops matching with a rename', () => {
    expect(github({ ...IDS, ref: 'refs/heads/main', repository: 'octo-org/octo-repo' })).toEqual([
      expect.stringMatching(/version 3: repository is a name; after a rename/),
    ])
  })

  test('a rule for the whole repository, or for an account by name alone', () => {
    expect(github(IDS)).toEqual([expect.stringMatching(/every workflow on every branch/)])
    expect(cluster({ sub: 'system:serviceaccount:a:b' })).toEqual([
      expect.stringMatching(/whoever may make that service account again/),
    ])
  })

  test('a key file that is not there, or holds a secret key', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'errand-check-'))
    const path = join(directory, 'jwks.json')
    const document = { ...validDocument(), workload_issuers: [CLUSTER(path)] }
    const warned = () => keyFileWarnings(decodeRegistry(document, 'registry.yaml', { issuer: testSettings.issuer }))
    expect(await warned()).toEqual([
      expect.stringMatching(/^workload issuer ci: jwks_file: \S+ cannot be read \(ENOENT\)$/),
    ])
    writeFileSync(path, '{"keys":[{"kty":"oct","k":"AAAA"}]}')
    expect(await warned()).toEqual([expect.stringMatching(/private or symmetric/)])
    writeFileSync(path, '{"keys":[]}')
    expect(await warned()).toEqual([])
    rmSync(directory, { recursive: true })
  })

  test('nothing is said of a client that is retired; a platform that is nobody else’s vouches for nobody', () => {
    expect(github(IDS, 'retired')).toEqual([expect.stringMatching(/^workload issuer ci: .*its tokens are for nobody/)])
  })

  test('a platform whose tokens may live without end, and one whose sessions outlive them', () => {
    const warnings = warningsOf('oidc', 'https://ci.example', { sub: 'job' }, 'active', {
      max_lifetime_seconds: undefined,
      session_may_outlive_subject: true,
    })
    expect(warnings).toEqual([
      expect.stringMatching(/^workload issuer ci: a stolen token is good for as long/),
      expect.stringMatching(/^workload issuer ci: sessions outlive the token/),
    ])
  })

  test('an agent whose credential is its workload’s lacks nothing: no key, no user, no ID-JAG', () => {
    const document = validDocument()
    Object.assign(document, {
      workload_issuers: [{ ...PLATFORM, issuer: 'https://ci.example', platform: 'oidc' }],
      grants: [],
    })
    Object.assign(document.agents[0] ?? {}, {
      keys: [],
      upstream: {},
      grant_types: ['token-exchange', 'jwt-bearer'],
      workloads: [{ issuer: 'ci', match: { sub: 'job' }, version: '3' }],
    })
    const registry = decodeRegistry(document, 'registry.yaml', { issuer: testSettings.issuer })
    const name = `agent ${registry.agents[0]?.clientId}:`
    expect(policyWarnings(registry, testSettings).filter((warning) => warning.startsWith(name))).toEqual([])
  })
})
