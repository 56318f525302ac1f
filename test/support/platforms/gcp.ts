/**
 * Google Cloud identity tokens: of a Compute Engine instance (`format=full`), and of a service account anywhere else.
 *
 * Source: cloud.google.com, Compute Engine, "Verify the identity of VM instances" (Token contents) and "Get an ID token" of
 * Authentication. RS256, one hour, no `jti`, no `nbf`; `azp` = `sub` = the service account's unique id; one issuer for
 * everybody's service accounts, and for people.
 */
import type { PlatformFixture } from './platform.ts'

/** Unique id of the service account: never given to another. */
export const GCP_ACCOUNT = '107517467455664443765'

const account = {
  azp: GCP_ACCOUNT,
  sub: GCP_ACCOUNT,
  email: 'report-agent@my-project.iam.gserviceaccount.com',
  email_verified: true,
}

export const gcp: PlatformFixture = {
  platform: 'gcp',
  issuer: 'https://accounts.google.com',
  alg: 'RS256',
  kid: 'f833e8a7fe3fe4b878948219a1684afa373ca86f',
  header: { typ: 'JWT' },
  lifetime: 3600,
  claims: (now) => ({
    ...account,
    google: {
      compute_engine: {
        instance_creation_timestamp: now - 86_400,
        instance_id: '152986662232938449',
        instance_name: 'report-vm',
        project_id: 'my-project',
        project_number: 739419398126,
        zone: 'europe-west3-c',
      },
    },
  }),
}

/** From Cloud Run, or by `gcloud auth print-identity-token`: the account and nothing of a machine. */
export const gcpServiceAccount: PlatformFixture = { ...gcp, claims: () => account }

/** A person's ID token from the same issuer and keys. */
export const GCP_PERSON = {
  azp: '618104708054-9r9s1c4alg36erliucho9t52n32n6dgq.apps.googleusercontent.com',
  sub: '117655098712345678901',
  email: 'mallory@gmail.com',
  google: undefined,
}
