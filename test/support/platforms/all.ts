/** Every fixture of this folder, by the name a test shows for it. */
import { aws, awsRs256 } from './aws.ts'
import { azure, azureV1 } from './azure.ts'
import { gcp, gcpServiceAccount } from './gcp.ts'
import { githubActions, githubActionsByName } from './github-actions.ts'
import { gitlab } from './gitlab.ts'
import { kubernetes } from './kubernetes.ts'
import { oidc } from './oidc.ts'
import type { PlatformFixture } from './platform.ts'

export const PLATFORMS: Readonly<Record<string, PlatformFixture>> = {
  kubernetes,
  'GitHub Actions': githubActions,
  'GitHub Actions, subject by name': githubActionsByName,
  GitLab: gitlab,
  'AWS, ES384': aws,
  'AWS, RS256': awsRs256,
  'Google Cloud, instance': gcp,
  'Google Cloud, service account': gcpServiceAccount,
  'Entra 2.0': azure,
  'Entra 1.0': azureV1,
  'any OpenID provider': oidc,
}
