/**
 * What is known of the platforms that vouch for workloads: how their tokens are signed, which claims they have, and which of
 * those say for good who a workload is. Data only; the rules that hold on every platform are in `workload-checks.ts`.
 */
import type { PlatformName } from '../../model/workload.ts'
import type { Form, Platform, PlatformClaim } from './platform.ts'

const string: PlatformClaim = { type: 'string' }
const digits: PlatformClaim = {
  type: 'string',
  form: { pattern: /^[0-9]{1,32}$/, says: 'must be the id in digits, in quotes' },
}
const uuid: PlatformClaim = {
  type: 'string',
  form: { pattern: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, says: 'must be a UUID in lower case' },
}
const nameBeside = (...ids: string[]): PlatformClaim => ({ type: 'string', onlyBeside: ids })
const named = (claim: PlatformClaim, names: readonly string[]) => Object.fromEntries(names.map((name) => [name, claim]))
const issuedBy = (pattern: RegExp, says: string): Form => ({ pattern, says: `must be ${says}` })

const SERVICE_ACCOUNT = '/kubernetes.io/serviceaccount'

/** Projected service-account tokens (kubernetes.io, "Managing Service Accounts"). Accounts are made again under old names; uids are not. */
const kubernetes: Platform = {
  // Those that an API server can sign with; which one is its --service-account-signing-key-file.
  algorithms: ['RS256', 'ES256', 'ES384', 'ES512'],
  // What pods hold for the API server, on clusters of the usual names; that of this cluster is its issuer.
  ownAudiences: [
    'https://kubernetes.default.svc.cluster.local',
    'https://kubernetes.default.svc',
    'https://kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes',
    'api',
  ],
  claims: {
    sub: {
      type: 'string',
      form: issuedBy(
        /^system:serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,253}$/,
        'system:serviceaccount:<namespace>:<name>',
      ),
    },
    [`${SERVICE_ACCOUNT}/uid`]: uuid,
    ...named(string, ['/kubernetes.io/namespace', `${SERVICE_ACCOUNT}/name`]),
    ...named(uuid, ['/kubernetes.io/pod/uid', '/kubernetes.io/node/uid']),
    '/kubernetes.io/pod/name': string,
    '/kubernetes.io/node/name': string,
  },
  identities: [['sub']],
  otherClaims: 'refused',
  requiredClaims: ['kubernetes.io'],
  always: {},
  never: [],
  wide: {
    without: [`${SERVICE_ACCOUNT}/uid`],
    says: `whoever may make that service account again is this client: name ${SERVICE_ACCOUNT}/uid as well`,
  },
}

/**
 * GitHub Actions (docs.github.com, "OpenID Connect reference"). Names of owners and repositories go to others once they are
 * free; ids never do. Where the subject holds both (`OWNER@ID/REPO@ID`), it is an identity by itself.
 */
const githubActions: Platform = {
  algorithms: ['RS256'],
  issuer: issuedBy(
    /^https:\/\/(token\.actions\.(githubusercontent\.com|[a-z0-9-]+\.ghe\.com)(\/[A-Za-z0-9-]+)?|[a-z0-9.-]+\/_services\/token)$/,
    'https://token.actions.githubusercontent.com, or that of an enterprise',
  ),
  ownAudiences: [],
  claims: {
    sub: {
      type: 'string',
      form: issuedBy(
        /^repo:[^/:@]+@[0-9]+\/[^/:@]+@[0-9]+:.+$/,
        'the subject with ids, repo:OWNER@ID/REPO@ID:…; names alone can be given to others: name repository_id with repository_owner_id',
      ),
    },
    ...named(digits, ['repository_id', 'repository_owner_id', 'enterprise_id', 'actor_id']),
    repository: nameBeside('repository_id', 'sub'),
    repository_owner: nameBeside('repository_owner_id', 'sub'),
    enterprise: nameBeside('enterprise_id'),
    actor: nameBeside('actor_id'),
    ...named(string, ['ref', 'environment', 'workflow_ref', 'job_workflow_ref', 'event_name', 'runner_environment']),
  },
  identities: [['repository_id', 'repository_owner_id'], ['sub']],
  // Custom properties of an organisation are claims, too.
  otherClaims: 'may_narrow',
  requiredClaims: ['jti', 'repository_id', 'repository_owner_id'],
  always: {},
  never: [],
  wide: {
    without: ['sub', 'ref', 'environment', 'workflow_ref', 'job_workflow_ref'],
    says: 'every workflow on every branch of the repository is this client: name environment, ref or job_workflow_ref as well',
  },
}

/** GitLab CI/CD (docs.gitlab.com, "OpenID Connect (OIDC) Authentication Using ID Tokens"). Paths move, ids stay. */
const gitlab: Platform = {
  algorithms: ['RS256'],
  ownAudiences: [],
  claims: {
    sub: nameBeside('project_id'),
    ...named(digits, ['project_id', 'namespace_id', 'job_project_id', 'job_namespace_id', 'user_id']),
    project_path: nameBeside('project_id'),
    job_project_path: nameBeside('job_project_id'),
    namespace_path: nameBeside('namespace_id'),
    job_namespace_path: nameBeside('job_namespace_id'),
    user_login: nameBeside('user_id'),
    user_email: nameBeside('user_id'),
    ...named(string, ['ref', 'ref_type', 'ref_path', 'pipeline_source', 'environment', 'deployment_tier']),
    ...named({ type: 'string', form: { pattern: /^(true|false)$/, says: 'must be "true" or "false", in quotes' } }, [
      'ref_protected',
      'environment_protected',
    ]),
    ...named(string, ['ci_config_ref_uri', 'ci_config_sha', 'runner_environment', 'project_visibility']),
    ...named(string, ['user_access_level', 'job_source', 'job_config', 'environment_action']),
    runner_id: { type: 'integer' },
  },
  // Not the job's project: a fork's pipeline may run in it, and is the fork's by `project_id` alone.
  identities: [['project_id', 'namespace_id']],
  otherClaims: 'refused',
  requiredClaims: ['jti', 'project_id', 'namespace_id'],
  always: {},
  never: [],
  wide: {
    without: ['sub', 'ref', 'ref_path', 'ref_protected', 'environment', 'environment_protected', 'ci_config_ref_uri'],
    says: 'every job on every branch of the project is this client: name ref_protected, environment or ref_path as well',
  },
}

/** A claim of AWS lies within one named by a URL (docs.aws.amazon.com, "Understanding token claims"). */
const AWS = '/https:~1~1sts.amazonaws.com~1'

/** AWS outbound identity federation. A role can be made again under its ARN, by the account alone: its issuer is the account's own. */
const aws: Platform = {
  algorithms: ['ES384', 'RS256'],
  issuer: issuedBy(
    /^https:\/\/[a-z0-9-]+\.tokens\.sts\.[a-z0-9.-]+$/,
    "the account's own issuer, as aws iam get-outbound-web-identity-federation-info prints it",
  ),
  ownAudiences: ['sts.amazonaws.com', 'https://sts.amazonaws.com'],
  claims: {
    sub: {
      type: 'string',
      form: issuedBy(/^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)\/[\x21-\x7e]+$/, 'the ARN of a role or user'),
    },
    [`${AWS}/aws_account`]: {
      type: 'string',
      form: { pattern: /^[0-9]{12}$/, says: 'must be the account id of twelve digits, in quotes' },
    },
    ...named(
      string,
      ['org_id', 'ou_path', 'source_region', 'source_identity', 'ec2_source_instance_arn', 'ec2_instance_source_vpc']
        .concat('lambda_source_function_arn', 'federated_provider')
        .map((name) => `${AWS}/${name}`),
    ),
  },
  identities: [['sub', `${AWS}/aws_account`]],
  // Tags of the principal; those of the request are its own choice.
  otherClaims: 'may_narrow',
  requiredClaims: ['jti', 'https://sts.amazonaws.com/'],
  always: {},
  never: [],
}

const GCE = '/google/compute_engine'

/**
 * Google Cloud (cloud.google.com, "Verify the identity of VM instances"). One issuer for everybody's accounts, people's
 * included, so that the audience proves nothing of whose they are; addresses go to others, `sub` does not.
 */
const gcp: Platform = {
  algorithms: ['RS256'],
  issuer: issuedBy(/^https:\/\/accounts\.google\.com$/, 'https://accounts.google.com'),
  ownAudiences: [],
  claims: {
    sub: digits,
    azp: nameBeside('sub'),
    email: nameBeside('sub'),
    email_verified: { type: 'boolean' },
    [`${GCE}/project_number`]: { type: 'integer' },
    [`${GCE}/project_id`]: string,
    [`${GCE}/instance_id`]: digits,
    [`${GCE}/instance_name`]: nameBeside(`${GCE}/instance_id`),
    [`${GCE}/zone`]: string,
    [`${GCE}/instance_creation_timestamp`]: { type: 'integer' },
  },
  identities: [['sub']],
  otherClaims: 'refused',
  requiredClaims: ['azp'],
  always: {},
  never: [],
}

/** Microsoft Entra (learn.microsoft.com, "Access token claims reference"): a tenant's issuer, and the object id of what stands in it. */
const azure: Platform = {
  algorithms: ['RS256'],
  issuer: issuedBy(
    // Not `common`, `organizations` or `consumers`: those vouch for everybody.
    /^https:\/\/((login\.microsoftonline\.(com|us)|login\.partner\.microsoftonline\.cn)\/[0-9a-f-]{36}\/v2\.0|sts\.(windows\.net|chinacloudapi\.cn)\/[0-9a-f-]{36}\/)$/,
    "one tenant's: https://login.microsoftonline.com/<tenant id>/v2.0, or https://sts.windows.net/<tenant id>/ for tokens of version 1.0",
  ),
  ownAudiences: ['https://management.azure.com', 'https://management.azure.com/', 'https://graph.microsoft.com'],
  claims: {
    ...named(uuid, ['oid', 'tid', 'azp', 'appid']),
    sub: string,
    ...named(string, ['ver', 'idtyp', 'azpacr', 'appidacr']),
    xms_mirid: nameBeside('oid'),
  },
  identities: [['oid', 'tid']],
  otherClaims: 'may_narrow',
  requiredClaims: ['oid', 'tid', 'uti'],
  always: {},
  // A user's token for the same API.
  never: ['scp'],
}

/** Any OpenID Connect issuer: nothing is known but that `sub` is never given to another (OpenID Connect Core §2). */
const oidc: Platform = {
  algorithms: ['RS256', 'ES256'],
  ownAudiences: [],
  claims: { sub: string },
  identities: [['sub']],
  otherClaims: 'may_narrow',
  requiredClaims: [],
  always: {},
  never: [],
}

export const PLATFORMS: Readonly<Record<PlatformName, Platform>> = {
  kubernetes,
  github_actions: githubActions,
  gitlab,
  aws,
  gcp,
  azure,
  oidc,
}
