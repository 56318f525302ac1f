/**
 * AWS outbound identity federation: what STS GetWebIdentityToken returns.
 *
 * Source: docs.aws.amazon.com, IAM User Guide, "Understanding token claims" of outbound identity federation (sample token,
 * identity and session claims under `https://sts.amazonaws.com/`) and "Getting started with outbound identity federation"
 * (issuer URL per account; RS256 or ES384).
 */
import { newJti, type PlatformFixture } from './platform.ts'

export const AWS_CLAIMS = 'https://sts.amazonaws.com/'

export const aws: PlatformFixture = {
  platform: 'aws',
  issuer: 'https://a1b2c3d4-5678-90ab-cdef-111122223333.tokens.sts.global.api.aws',
  alg: 'ES384',
  kid: 'EC384_0',
  header: { typ: 'JWT' },
  lifetime: 300,
  claims: () => ({
    jti: newJti(),
    sub: 'arn:aws:iam::123456789012:role/ReportAgent',
    [AWS_CLAIMS]: {
      aws_account: '123456789012',
      source_region: 'eu-central-1',
      org_id: 'o-abc1234567',
      ou_path: 'o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/',
      principal_tags: { team: 'data-engineering' },
      original_session_exp: '2026-11-21T20:00:00Z',
      lambda_source_function_arn: 'arn:aws:lambda:eu-central-1:123456789012:function:nightly-report',
      request_tags: { 'job-id': 'job-2026-001' },
    },
  }),
}

export const awsRs256: PlatformFixture = { ...aws, alg: 'RS256', kid: 'RSA_0', keyWithoutAlg: {} }
