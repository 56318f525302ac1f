/**
 * GitLab CI/CD ID tokens.
 *
 * Source: docs.gitlab.com, "OpenID Connect (OIDC) Authentication Using ID Tokens" (Token payload; `job_project_id` and its
 * like since 18.4, because `project_id` names the fork in a fork's merge request pipeline). RS256; ids are strings, except
 * `runner_id`; `nbf` lies five seconds before `iat`; five minutes of life where the job names no timeout.
 */
import { newJti, type PlatformFixture } from './platform.ts'

export const gitlab: PlatformFixture = {
  platform: 'gitlab',
  issuer: 'https://gitlab.example.com',
  alg: 'RS256',
  kid: '4i3sFE7sxqNPOT7FdvcGA1ZVGGI_r-tsDXnEuYT4ZqE',
  header: { typ: 'JWT' },
  lifetime: 300,
  notBefore: 5,
  claims: () => ({
    jti: newJti(),
    sub: 'project_path:my-group/my-project:ref_type:branch:ref:main',
    namespace_id: '72',
    namespace_path: 'my-group',
    project_id: '20',
    project_path: 'my-group/my-project',
    user_id: '1',
    user_login: 'sample-user',
    user_email: 'sample-user@example.com',
    user_access_level: 'developer',
    pipeline_id: '574',
    pipeline_source: 'schedule',
    job_id: '302',
    job_project_id: '20',
    job_project_path: 'my-group/my-project',
    job_namespace_id: '72',
    job_namespace_path: 'my-group',
    ref: 'main',
    ref_type: 'branch',
    ref_path: 'refs/heads/main',
    ref_protected: 'true',
    runner_id: 1,
    runner_environment: 'self-hosted',
    sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
    project_visibility: 'private',
    ci_config_ref_uri: 'gitlab.example.com/my-group/my-project//.gitlab-ci.yml@refs/heads/main',
    ci_config_sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
  }),
}
