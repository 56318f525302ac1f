/**
 * A token that an agent can get by itself must not speak for a user (DESIGN §1, `user_request` needs user evidence): identity
 * providers give clients tokens about themselves, and some vouch for people and for machines under one name.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { granted } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { expectRefused, invalidRequest } from '../support/refusal.ts'
import { registryDocument, startWorld, TYPE, type World } from '../support/world.ts'

const MINE = 'orchestrator-at-idp'
const SERVICE_ACCOUNT = 'f2a1c5d0-6d0a-4b57-9c3c-6a0f5e1d7b11'

/** What clients and machines get from an issuer that vouches for users, too, as its documentation shows it. */
const NOT_USERS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  // https://www.keycloak.org/docs/latest/server_admin/#_service_accounts
  'a service account of Keycloak': { sub: SERVICE_ACCOUNT, azp: MINE, preferred_username: `service-account-${MINE}` },
  // https://docs.gitlab.com/ci/secrets/id_token_authentication/: its audience is the job's choice
  'a job of GitLab': {
    sub: 'project_path:group/project:ref_type:branch:ref:main',
    project_id: '22',
    namespace_id: '72',
    job_id: '302',
    pipeline_id: '574',
  },
  // https://cloud.google.com/compute/docs/instances/verifying-instance-identity: so is its
  'a service account of Google': { sub: '107517467455664443765', azp: '107517467455664443765' },
  'one that does not say its name': {
    sub: SERVICE_ACCOUNT,
    azp: MINE,
    clientHost: '10.0.0.1',
    clientAddress: '10.0.0.1',
  },
  'a pod': { sub: 'system:serviceaccount:agents:default', 'kubernetes.io': { namespace: 'agents' } },
  'an application of Entra': { sub: SERVICE_ACCOUNT, oid: SERVICE_ACCOUNT, idtyp: 'app' },
  'a machine of Auth0': { sub: `${MINE}@clients`, azp: MINE, gty: 'client-credentials' },
}

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  const document = registryDocument(idp)
  const [issuer] = document['issuers'] as Record<string, unknown>[]
  const accepts = { id_token: true, access_token: 'identity_only' }
  const issuers = [{ ...issuer, users: 'from_issuer', accepts, access_token_typ: 'jwt' }]
  world = await startWorld({ issuer: idp, registry: { ...document, issuers } })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

describe.each(Object.entries(NOT_USERS))('%s', (_who, claims) => {
  const bare = { auth_time: undefined }

  test('is no user by its ID token', async () => {
    const subject_token = world.idToken({ ...bare, ...claims }, { typ: 'JWT' })
    await expectRefused(world, () => world.open({ subject_token }), invalidRequest('subject_token_claims'))
  })

  test('is no user by its access token', async () => {
    const said = { ...bare, typ: 'Bearer', client_id: MINE, ...claims }
    const subject_token = world.idToken(said, { typ: 'JWT' })
    const open = () => world.open({ subject_token, subject_token_type: TYPE.access })
    await expectRefused(world, open, invalidRequest('subject_token_claims'))
  })

  test('sees nobody’s sessions', async () => {
    const answer = await world.bearer('/sessions', world.idToken({ ...bare, aud: 'errand-users', ...claims }))
    expect([answer.status, answer.body.error]).toEqual([401, 'invalid_token'])
  })
})

test.each([
  ['2.0', { azp: MINE, azpacr: '1' }],
  ['1.0', { appid: MINE, appidacr: '1' }],
])('an application of Entra’s that its token %s does not call one is no user either', async (ver, who) => {
  // https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference: client credentials for itself, no idtyp
  const claims = { sub: SERVICE_ACCOUNT, oid: SERVICE_ACCOUNT, roles: ['reader'], auth_time: undefined, ver, ...who }
  const subject_token = world.idToken(claims, { typ: 'JWT' })
  const wrong = invalidRequest('subject_token_wrong_type')
  await expectRefused(world, () => world.open({ subject_token }), wrong)
  await expectRefused(world, () => world.open({ subject_token, subject_token_type: TYPE.access }), wrong)
})

test('a person whose name begins like one of a service account is still a person', async () => {
  const claims = { azp: MINE, preferred_username: 'service-account-holder' }
  await granted(world.open({ subject_token: world.idToken(claims) }))
})
