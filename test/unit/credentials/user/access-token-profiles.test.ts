/** Access tokens of identity providers whose profile is older than RFC 9068, as their documentation shows them. */
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { verifyUserEvidence } from '../../../../src/credentials/user/user-evidence.ts'
import type { Issuer } from '../../../../src/model/issuer.ts'
import { createGuardedFetch } from '../../../../src/net/guarded-fetch.ts'
import { IssuerKeys } from '../../../../src/net/issuer-keys.ts'
import { decodeRegistryDocuments } from '../../../../src/registry/load-registry.ts'
import { parseYamlText } from '../../../../src/registry/strict-document.ts'
import { startIssuer, type TestIssuer } from '../../../support/issuer.ts'
import { readmeBlock } from '../../../support/readme.ts'
import { agent, BROKER, NOW, refusal, registry, user } from '../fixtures.ts'

const MINE = 'idp-orchestrator'
const TIMES = { iat: NOW - 10, exp: NOW + 600 }
/** The entries that the README says to paste, as they are decoded. */
const PASTED = pasted()
const API = '6e74172b-be56-4843-9ff4-e66a39bb12e3'
const USERINFO = 'https://corp.eu.auth0.com/userinfo'

function pasted(): ReadonlyMap<string, Issuer> {
  const yaml = readmeBlock('### Users: any OpenID provider', 'yaml')
  const { issuers } = decodeRegistryDocuments([{ document: parseYamlText(yaml, 'README'), sourceName: 'README' }], {
    issuer: BROKER,
  })
  return new Map(issuers.map((issuer) => [issuer.slug, issuer]))
}

/** By the slug of its entry in the README: its header's `typ`, and its claims. */
const PROFILES: Readonly<Record<string, { typ: string | undefined; claims: Record<string, unknown> }>> = {
  // https://www.keycloak.org/docs/latest/server_admin/ (with an audience mapper for the broker)
  keycloak: {
    typ: 'JWT',
    claims: { typ: 'Bearer', azp: MINE, aud: [BROKER, 'account'], scope: 'openid read', sid: 's', acr: '1' },
  },
  // https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
  entra: {
    typ: 'JWT',
    claims: { aud: API, azp: MINE, azpacr: '1', scp: 'read', oid: 'o', tid: 't', ver: '2.0', nbf: NOW - 10 },
  },
  // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/
  okta: {
    typ: undefined,
    claims: { ver: 1, jti: 'AT.x', aud: 'api://errand', cid: MINE, scp: ['openid', 'read'], auth_time: NOW - 20 },
  },
  // https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles
  auth0: { typ: 'JWT', claims: { aud: [BROKER, USERINFO], azp: MINE, scope: 'openid read' } },
}
/** https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html */
const COGNITO = {
  typ: undefined,
  claims: { token_use: 'access', client_id: MINE, aud: BROKER, scope: 'read', auth_time: NOW - 20, version: 2 },
}

let idp: TestIssuer
let keys: IssuerKeys
beforeAll(async () => {
  idp = await startIssuer()
  keys = new IssuerKeys({ fetchJson: createGuardedFetch({ allowLoopback: true }), clock: { nowMs: () => NOW * 1000 } })
})
afterAll(() => idp.close())

function verify(claims: Record<string, unknown>, typ: string | undefined, entry: Partial<Issuer> = {}) {
  const issuers = [{ ...idp.record, accessTokenTyp: 'jwt' as const, ...entry }]
  const deps = { registry: registry({ issuers, users: [user('alice')] }), keys, issuer: BROKER, now: NOW }
  const token = idp.sign({ sub: 'alice', ...TIMES, ...claims }, { typ })
  return verifyUserEvidence(token, 'access_token', agent('orchestrator'), deps)
}
const refused = (claims: Record<string, unknown>, typ: string | undefined, entry: Partial<Issuer> = {}) =>
  refusal(verify(claims, typ, entry))

test('the README has an entry for each, and all of its entries are found by discovery', () => {
  expect([...PASTED.keys()]).toEqual([...Object.keys(PROFILES), 'google', 'opaque'])
  for (const { jwksUri, algorithms } of PASTED.values()) expect([jwksUri, algorithms]).toEqual([undefined, undefined])
  expect(PASTED.get('google')?.otherHosts).toEqual(['www.googleapis.com'])
  expect(PASTED.get('opaque')?.introspection).toMatchObject({ clientId: 'errand', method: 'client_secret_basic' })
})

describe.each(Object.entries(PROFILES))('an access token of %s', (slug, { typ, claims }) => {
  const { accessTokenTyp, brokerAudience, otherAudiences, accessTokenScope } = PASTED.get(slug) ?? idp.record
  const entry = { accessTokenTyp, brokerAudience, otherAudiences, accessTokenScope }

  it('is evidence where its issuer’s entry says access_token_typ: jwt, with its scope as a ceiling', async () => {
    const { ceiling, principal } = await verify(claims, typ, entry)
    expect(principal).toBe('user:idp:alice')
    expect(ceiling).toMatchObject({ kind: 'scopes', scopes: expect.arrayContaining(['read']) })
  })

  it('is refused where the entry does not say so', async () => {
    expect(await refused(claims, typ, { ...entry, accessTokenTyp: 'at+jwt' })).toBe('subject_token_wrong_type')
  })

  it('is refused when it was issued to another client, or is about a client', async () => {
    const other = Object.fromEntries(
      Object.entries(claims).map(([name, value]) => [name, value === MINE ? 'other' : value]),
    )
    expect(await refused(other, typ, entry)).toBe('subject_token_presenter')
    expect(await refused({ ...claims, sub: MINE }, typ, entry)).toBe('subject_token_claims')
    expect(await refused({ ...claims, gty: 'client-credentials' }, typ, entry)).toBe('subject_token_claims')
    expect(await refused({ ...claims, idtyp: 'app' }, typ, entry)).toBe('subject_token_claims')
  })

  it('is refused when it is for another audience, or for one more', async () => {
    expect(await refused({ ...claims, aud: 'https://other.example' }, typ, entry)).toBe('subject_token_audience')
    expect(await refused({ ...claims, aud: [claims['aud'], 'more'].flat() }, typ, entry)).toBe('subject_token_audience')
  })
})

describe('without a typ of its own', () => {
  const { claims, typ } = COGNITO

  it('a token that says what it is in a claim is an access token', async () => {
    expect((await verify(claims, typ)).ceiling).toEqual({ kind: 'scopes', scopes: ['read'] })
  })

  it.each([
    ['nothing that makes it an access token', { token_use: undefined, scope: undefined }],
    ['a nonce', { nonce: 'n' }],
    ['the hash of an access token', { at_hash: 'h' }],
    ['the hash of a code', { c_hash: 'h' }],
    ['events of a logout', { events: {} }],
    ['the use of an ID token', { token_use: 'id' }],
    ['the type of an ID token', { typ: 'ID' }],
    ['the type of a refresh token', { typ: 'Refresh' }],
  ])('a token with %s is no access token', async (_what, more) => {
    expect(await refused({ ...claims, ...more }, typ)).toBe('subject_token_wrong_type')
  })

  it('a token with scope and scp is refused: they could disagree', async () => {
    expect(await refused({ ...claims, scp: ['write'] }, typ)).toBe('subject_token_claims')
    expect(await refused({ ...claims, scope: undefined, scp: ['read', 7] }, typ)).toBe('subject_token_claims')
    expect(await refused({ ...claims, scope: undefined, scp: [] }, typ)).toBe('subject_token_claims')
  })

  it('other types are other tokens still', async () => {
    for (const other of ['logout+jwt', 'dpop+jwt', 'secevent+jwt', 'oauth-id-jag+jwt']) {
      expect(await refused(claims, other)).toBe('subject_token_wrong_type')
    }
  })
})
