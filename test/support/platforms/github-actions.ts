/**
 * GitHub Actions OIDC tokens, with the subject by names and with the immutable one (repositories created, renamed or
 * transferred since 2026-07-15).
 *
 * Source: docs.github.com, "OpenID Connect" (Understanding the OIDC token: header and claims of the example) and "OpenID
 * Connect reference" (OIDC token claims; Immutable subject claims). Numbers are strings; `nbf` lies ten minutes before `iat`.
 */
import { newJti, type PlatformFixture } from './platform.ts'

const claims = {
  ref: 'refs/heads/main',
  sha: '6f9fcb0a3a2b1d7c3c8f5d9b62f1c6c3d5a0e4f1',
  repository: 'octo-org/octo-repo',
  repository_owner: 'octo-org',
  actor_id: '12',
  repository_visibility: 'private',
  repository_id: '456789',
  repository_owner_id: '123456',
  run_id: '30433642',
  run_number: '10',
  run_attempt: '2',
  check_run_id: '83726450021',
  runner_environment: 'github-hosted',
  actor: 'octocat',
  workflow: 'nightly-report',
  workflow_ref: 'octo-org/octo-repo/.github/workflows/report.yml@refs/heads/main',
  workflow_sha: '6f9fcb0a3a2b1d7c3c8f5d9b62f1c6c3d5a0e4f1',
  head_ref: '',
  base_ref: '',
  event_name: 'schedule',
  ref_type: 'branch',
  ref_protected: 'true',
  job_workflow_ref: 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main',
  job_workflow_sha: '0b7b1b9b5c1d0e3f9a2d4c6b8e1f3a5c7d9e0b2a',
}

export const githubActions: PlatformFixture = {
  platform: 'github_actions',
  issuer: 'https://token.actions.githubusercontent.com',
  alg: 'RS256',
  kid: 'cc413527-173f-5a05-976e-9c52b1d7b431',
  header: { typ: 'JWT', x5t: 'eBZ_cn3sXYAd0ch4THBKHIgOwOE' },
  lifetime: 300,
  notBefore: 600,
  claims: () => ({ jti: newJti(), ...claims, sub: 'repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main' }),
}

/** Of a repository from before 2026-07-15 that has not opted in. */
export const githubActionsByName: PlatformFixture = {
  ...githubActions,
  claims: () => ({ jti: newJti(), ...claims, sub: 'repo:octo-org/octo-repo:ref:refs/heads/main' }),
}

/** What changes when the same repository is renamed: its names and the form of its subject; never its ids. */
export const GITHUB_RENAMED = {
  repository: 'octo-org/reports',
  workflow_ref: 'octo-org/reports/.github/workflows/report.yml@refs/heads/main',
  sub: 'repo:octo-org@123456/reports@456789:ref:refs/heads/main',
}

/** Somebody else's repository under names that have become free: names as they were, other ids. */
export const GITHUB_RECYCLED = {
  repository_id: '998877',
  repository_owner_id: '665544',
  sub: 'repo:octo-org/octo-repo:ref:refs/heads/main',
}
