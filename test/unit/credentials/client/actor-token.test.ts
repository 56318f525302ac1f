import { beforeAll, describe, expect, it } from 'vitest'
import { verifyActorToken } from '../../../../src/credentials/client/actor-token.ts'
import { prepareAuthentication } from '../../../../src/credentials/client/client-authentication.ts'
import { sha256 } from '../../../../src/kernel/digest.ts'
import type { Secret } from '../../../../src/kernel/secret.ts'
import type { ProvenKeys } from '../../../../src/model/confirmation.ts'
import type { VerifiedClient } from '../../../../src/model/evidence.ts'
import type { Registry } from '../../../../src/model/registry.ts'
import { CLIENT_ASSERTION_TYPE_JWT, TOKEN_TYPE } from '../../../../src/protocol/oauth.ts'
import { type Change, type Draft, sign, testKey, unsigned, vary } from '../../../support/keys.ts'
import {
  agent,
  BROKER,
  NO_KEY_SETS,
  NO_PLATFORM_KEYS,
  NO_REVIEWS,
  NO_SVIDS,
  NOW,
  refusal,
  registry,
} from '../fixtures.ts'

const ASSERTION: Draft = {
  key: testKey('orchestrator-key'),
  header: {},
  claims: { iss: 'orchestrator', sub: 'orchestrator', aud: BROKER, iat: NOW, exp: NOW + 60, jti: 'assertion-1' },
}
const VALID = vary(ASSERTION, { claims: { jti: 'actor-1' } })
const assertion = sign(ASSERTION)
const NO_PROOF = { keys: [], singleUse: undefined } as unknown as ProvenKeys
let caller: VerifiedClient
let known: Registry

beforeAll(async () => {
  known = registry({ clients: [agent('orchestrator'), agent('other')] })
  const authenticate = await prepareAuthentication(
    { clientId: undefined, assertion, assertionType: CLIENT_ASSERTION_TYPE_JWT, basic: undefined, otherMethods: [] },
    {
      registry: known,
      clientKeys: NO_KEY_SETS,
      ...NO_SVIDS,
      keys: NO_PLATFORM_KEYS,
      issuer: BROKER,
      apiKeys: false,
      clientSecretBasic: false,
      endpoint: '/token',
      now: NOW,
    },
  )
  caller = await authenticate()
})

const verify = (token: Secret, type: string = TOKEN_TYPE.jwt) =>
  verifyActorToken(
    token,
    type,
    { verified: caller, proven: NO_PROOF },
    {
      registry: known,
      keys: NO_PLATFORM_KEYS,
      reviews: NO_REVIEWS,
      clientKeys: NO_KEY_SETS,
      ...NO_SVIDS,
      issuer: BROKER,
      now: NOW,
    },
  )
const broken = (change: Change) => refusal(verify(sign(vary(VALID, change))))

describe('actor_token (RFC 8693 section 2.1)', () => {
  it("accepts the authenticated client's own JWT, to be used once", async () => {
    expect(await verify(sign(VALID))).toEqual({
      key: `assertion:orchestrator:${sha256('actor-1')}`,
      slot: 'actor_token',
      issuedAtMs: NOW * 1000,
      expiresAtMs: expect.any(Number),
    })
  })

  it.each([
    TOKEN_TYPE.accessToken,
    TOKEN_TYPE.idToken,
    TOKEN_TYPE.session,
    'jwt',
    '',
  ])('refuses the type %j', async (type) => {
    expect(await refusal(verify(sign(VALID), type))).toBe('actor_token_unacceptable')
  })

  it('refuses the client assertion itself: one JWT fills one slot', async () => {
    expect(await refusal(verify(assertion))).toBe('actor_token_unacceptable')
  })

  it('refuses the claims of the client assertion under another signature', async () => {
    const resigned = sign(ASSERTION)
    expect(resigned.reveal()).not.toBe(assertion.reveal())
    expect(await refusal(verify(resigned))).toBe('actor_token_unacceptable')
  })

  it('refuses one that carries act', async () => {
    expect(await broken({ claims: { act: { iss: BROKER, sub: 'agent:other' } } })).toBe('actor_token_unacceptable')
    expect(await broken({ claims: { act: null } })).toBe('actor_token_unacceptable')
  })

  it('refuses one about another client, by whoever it is signed (actor replay)', async () => {
    const ofOther = vary(VALID, { key: testKey('other-key'), claims: { iss: 'other', sub: 'other' } })
    expect(await refusal(verify(sign(ofOther)))).toBe('actor_mismatch')
    expect(await broken({ claims: { sub: 'other' } })).toBe('actor_mismatch')
    expect(await broken({ claims: { iss: 'https://idp.example', sub: 'alice' } })).toBe('actor_mismatch')
  })

  it.each([
    { key: testKey('other-key') },
    { key: testKey('other-key'), header: { kid: 'orchestrator-key' } },
    { header: { typ: 'client-authentication+jwt' } },
    { header: { typ: 'at+jwt' } },
    { header: { typ: 'oauth-id-jag+jwt' } },
    { claims: { aud: [BROKER, 'https://elsewhere.example'] } },
    { claims: { aud: `${BROKER}/token` } },
    { claims: { exp: NOW - 60 } },
    { claims: { exp: undefined } },
    { claims: { exp: NOW + 3600 } },
    { claims: { jti: undefined } },
    { claims: { nbf: NOW + 600 } },
  ] satisfies Change[])('refuses it broken by %j', async (change) => {
    expect(await broken(change)).toBe('actor_token_unacceptable')
  })

  it('refuses it unsigned', async () => {
    expect(await refusal(verify(unsigned(VALID)))).toBe('actor_token_unacceptable')
  })
})
