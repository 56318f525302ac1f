import { describe, expect, it } from 'vitest'
import { verifyManagementToken } from '../../../src/credentials/management-token.ts'
import { verifyAccessToken, verifyHandle, verifyOwnHandle } from '../../../src/credentials/own-token.ts'
import { sha256 } from '../../../src/kernel/digest.ts'
import {
  ACCESS_TOKEN_LIFETIME_S_MAX,
  ACTOR_DEPTH_MAX,
  CLOCK_SKEW_S,
  MANAGEMENT_TOKEN_LIFETIME_S,
  SESSION_LIFETIME_S_MAX,
} from '../../../src/kernel/limits.ts'
import type { Secret } from '../../../src/kernel/secret.ts'
import { type Change, type Draft, sign, signHmac, swapPayload, testKey, unsigned, vary } from '../../support/keys.ts'
import { agent, BROKER, NOW, refusal, ring } from './fixtures.ts'

const internal = testKey('internal-1')
const access = testKey('access-1')
const accessRsa = testKey('access-rsa', 'RS256')
const deps = {
  ring: ring([
    ['internal', internal],
    ['access', access],
    ['access', accessRsa],
    ['statement', testKey('statement-1')],
  ]),
  issuer: BROKER,
  now: NOW,
}
const A = agent('a')
const B = agent('b')
const ACT = { iss: BROKER, sub: 'agent:a', sub_profile: 'ai_agent' }

const SESSION: Draft = {
  key: internal,
  header: { typ: 'errand-session+jwt' },
  claims: {
    iss: BROKER,
    sub: 'user:idp:alice',
    aud: BROKER,
    client_id: 'a',
    iat: NOW - 5,
    exp: NOW + 900,
    jti: 'jti_1',
    sid: 'ses_1',
    anc: ['nod_1'],
    rv: 17,
    agent: { version: '1' },
    act: ACT,
  },
}
const DELEGATION = vary(SESSION, {
  header: { typ: 'errand-delegation+jwt' },
  claims: { aud: 'b', jti: 'nod_2', exp: NOW + 120 },
})
const RESOURCE = 'https://warehouse.example/mcp'
const ACCESS = vary(SESSION, {
  key: access,
  header: { typ: 'at+jwt' },
  claims: { aud: RESOURCE, exp: NOW + 300, scope: 'query', authorization_details: [{ type: 'mcp_tools' }] },
})
const MANAGEMENT: Draft = {
  key: internal,
  header: { typ: 'errand-management+jwt' },
  claims: {
    iss: BROKER,
    sub: 'operator:ops',
    aud: `${BROKER}/admin`,
    iat: NOW,
    exp: NOW + 600,
    roles: ['viewer'],
    env: 'test',
    jti: 'jti_9',
  },
}

const asSession = (token: Secret, client = A) => verifyHandle(token, 'session', { ...deps, client })
const asDelegation = (token: Secret, client = B) => verifyHandle(token, 'delegation', { ...deps, client })
const asAccess = (token: Secret) => verifyAccessToken(token, deps)
const asManagement = (token: Secret) => verifyManagementToken(token, { ...deps, environment: 'test' })

describe('a session or delegation token', () => {
  it("is a node's handle, from its own agent", async () => {
    const token = sign(SESSION)
    const evidence = await asSession(token)
    expect(evidence).toEqual({
      kind: 'session',
      jti: 'jti_1',
      kid: 'internal-1',
      session: 'ses_1',
      path: ['nod_1'],
      clientId: 'a',
      subject: 'user:idp:alice',
      act: ACT,
      versions: ['a|1'],
      rv: 17,
      issuedAt: NOW - 5,
      expiresAt: NOW + 900,
      signingInputHash: sha256(token.reveal().split('.').slice(0, 2).join('.')),
      digest: token.fingerprint(),
      claims: SESSION.claims,
    })
  })

  it('names the builds that it hangs from; one that does not say which is nobody’s', async () => {
    const via = (agent: unknown) => asSession(sign(vary(SESSION, { claims: { agent } })))
    expect((await via({ version: '2', instance: 'pod', via: ['root|7'] })).versions).toEqual(['a|2', 'root|7'])
    const long = Array.from({ length: 17 }, (_, index) => `a|${index}`)
    for (const odd of [undefined, 'x', [], {}, { version: 2 }, { version: '' }]) {
      expect(await refusal(via(odd)), JSON.stringify(odd)).toBe('subject_token_claims')
    }
    for (const odd of ['root|7', [7], [''], ['x'.repeat(257)], long]) {
      expect(await refusal(via({ version: '2', via: odd })), JSON.stringify(odd).slice(0, 40)).toBe(
        'subject_token_claims',
      )
    }
  })

  it('has no act where the agent works for itself', async () => {
    expect((await asSession(sign(vary(SESSION, { claims: { act: undefined } })))).act).toBeUndefined()
  })

  it('is worthless to any other client: theft needs the key of the agent it was made for', async () => {
    expect(await refusal(asSession(sign(SESSION), B))).toBe('subject_token_presenter')
    expect((await asDelegation(sign(DELEGATION))).clientId).toBe('a')
    expect(await refusal(asDelegation(sign(DELEGATION), A))).toBe('subject_token_presenter')
    expect(await refusal(asDelegation(sign(vary(DELEGATION, { claims: { aud: 'B' } }))))).toBe(
      'subject_token_presenter',
    )
    expect((await asDelegation(sign(vary(DELEGATION, { claims: { aud: ['b'] } })))).kind).toBe('delegation')
  })

  it('can be read by the broker whoever presents it, for revoking and inspecting', async () => {
    expect((await verifyOwnHandle(sign(SESSION), 'session', deps)).clientId).toBe('a')
    expect((await verifyOwnHandle(sign(DELEGATION), 'delegation', deps)).jti).toBe('nod_2')
    expect(await refusal(verifyOwnHandle(sign(DELEGATION), 'session', deps))).toBe('subject_token_wrong_type')
  })

  it.each([
    [['b', 'c']],
    [['b', BROKER]],
    [[]],
    [undefined],
  ])('for a delegation has one audience: not %j', async (aud) => {
    expect(await refusal(asDelegation(sign(vary(DELEGATION, { claims: { aud } }))))).toBe('subject_token_audience')
  })

  it.each([
    `${BROKER}/`,
    [BROKER, 'a'],
    'a',
    RESOURCE,
    undefined,
  ])('for a session has the issuer as audience: not %j', async (aud) => {
    expect(await refusal(asSession(sign(vary(SESSION, { claims: { aud } }))))).toBe('subject_token_audience')
  })

  it.each([
    [{ iss: 'https://other.example' }, 'subject_issuer_unknown'],
    [{ exp: NOW }, 'subject_token_expired'],
    [{ exp: NOW + SESSION_LIFETIME_S_MAX + 1 }, 'subject_token_claims'],
    [{ iat: NOW + CLOCK_SKEW_S + 1 }, 'subject_token_not_yet_valid'],
    [{ iat: undefined }, 'subject_token_claims'],
    [{ sub: undefined }, 'subject_token_claims'],
    [{ jti: undefined }, 'subject_token_claims'],
    [{ jti: 'a:b' }, 'subject_token_claims'],
    [{ sid: undefined }, 'subject_token_claims'],
    [{ sid: 'ses 1' }, 'subject_token_claims'],
    [{ sid: ['ses_1'] }, 'subject_token_claims'],
    [{ client_id: undefined }, 'subject_token_claims'],
    [{ client_id: 7 }, 'subject_token_claims'],
    [{ rv: undefined }, 'subject_token_claims'],
    [{ rv: '17' }, 'subject_token_claims'],
    [{ rv: -1 }, 'subject_token_claims'],
    [{ rv: 1.5 }, 'subject_token_claims'],
    [{ anc: undefined }, 'subject_token_claims'],
    [{ anc: [] }, 'subject_token_claims'],
    [{ anc: 'nod_1' }, 'subject_token_claims'],
    [{ anc: ['nod_1', 7] }, 'subject_token_claims'],
    [{ anc: ['nod_1', 'no d'] }, 'subject_token_claims'],
    [{ anc: Array.from({ length: ACTOR_DEPTH_MAX + 2 }, (_, index) => `nod_${index}`) }, 'subject_token_claims'],
    [{ act: null }, 'actor_chain_malformed'],
    [{ act: { sub: 'agent:a' } }, 'actor_chain_malformed'],
  ])('is refused with %j', async (claims, reason) => {
    expect(await refusal(asSession(sign(vary(SESSION, { claims }))))).toBe(reason)
  })

  it('expires on the second, without tolerance, but may come from a broker whose clock is a little ahead', async () => {
    expect((await asSession(sign(vary(SESSION, { claims: { exp: NOW + 1 } })))).expiresAt).toBe(NOW + 1)
    expect((await asSession(sign(vary(SESSION, { claims: { iat: NOW + 2 } })))).issuedAt).toBe(NOW + 2)
  })
})

describe('an access token of ours', () => {
  it('is read with its session and chain', async () => {
    for (const key of [access, accessRsa]) {
      expect(await asAccess(sign(vary(ACCESS, { key })))).toMatchObject({
        kind: 'access',
        audience: RESOURCE,
        session: 'ses_1',
        path: ['nod_1'],
        clientId: 'a',
        scope: 'query',
        act: ACT,
        rv: 17,
        kid: key.kid,
      })
    }
  })

  it('has neither session nor path when it is an API token, but never only one of them', async () => {
    const api = vary(ACCESS, { claims: { aud: `${BROKER}/api`, sid: undefined, anc: undefined, act: undefined } })
    expect(await asAccess(sign(api))).toMatchObject({ session: undefined, path: [], audience: `${BROKER}/api` })
    expect(await refusal(asAccess(sign(vary(ACCESS, { claims: { sid: undefined } }))))).toBe('bearer_invalid')
    expect(await refusal(asAccess(sign(vary(ACCESS, { claims: { anc: undefined } }))))).toBe('bearer_invalid')
  })

  it.each([
    { aud: [RESOURCE, 'https://other.example'] },
    { aud: undefined },
    { exp: NOW },
    { exp: NOW + ACCESS_TOKEN_LIFETIME_S_MAX + 1 },
    { iss: `${BROKER}/` },
    { jti: undefined },
    { client_id: undefined },
    { rv: undefined },
    { scope: ['query'] },
    { act: 'agent:a' },
  ])('is refused with %j', async (claims) => {
    const reason = await refusal(asAccess(sign(vary(ACCESS, { claims }))))
    expect(reason).toBe('act' in claims ? 'actor_chain_malformed' : 'bearer_invalid')
  })
})

describe('a management token', () => {
  it('names its operator', async () => {
    expect(await asManagement(sign(MANAGEMENT))).toEqual({
      operator: 'operator:ops',
      roles: ['viewer'],
      signIn: undefined,
      confirmation: undefined,
      jti: 'jti_9',
      expiresAt: NOW + 600,
    })
  })

  it.each([
    { sub: 'user:idp:alice' },
    { sub: 'user:idp:alice', auth_time: NOW },
    { sub: 'user:idp:alice', evidence: 'digest' },
    { sub: 'user:idp:', auth_time: NOW, evidence: 'digest' },
    { sub: 'agent:idp', auth_time: NOW, evidence: 'digest' },
    { roles: undefined },
    { roles: [] },
    { roles: 'viewer' },
    { roles: ['viewer', 'root'] },
    { cnf: {} },
    { sub: 'operator:' },
    { sub: 'ops' },
    { sub: undefined },
    { aud: BROKER },
    { aud: `${BROKER}/api` },
    { aud: [`${BROKER}/admin`, BROKER] },
    { exp: NOW },
    { exp: NOW + MANAGEMENT_TOKEN_LIFETIME_S + 1 },
    { jti: undefined },
    { env: 'production' },
    { env: '' },
    { env: undefined },
    { iss: 'https://other.example' },
  ])('is refused with %j', async (claims) => {
    expect(await refusal(asManagement(sign(vary(MANAGEMENT, { claims }))))).toBe('bearer_invalid')
  })
})

describe('no kind of token passes for another (RFC 8725 section 3.12)', () => {
  const verifiers = { session: asSession, delegation: asDelegation, access: asAccess, management: asManagement }
  const drafts = { session: SESSION, delegation: DELEGATION, access: ACCESS, management: MANAGEMENT }

  it('each verifier accepts its own kind and no other', async () => {
    for (const [expected, verify] of Object.entries(verifiers)) {
      for (const [kind, draft] of Object.entries(drafts)) {
        const outcome = await verify(sign(draft)).then(
          () => 'accepted',
          () => 'refused',
        )
        expect([expected, kind, outcome]).toEqual([expected, kind, expected === kind ? 'accepted' : 'refused'])
      }
    }
  })

  it('not even when everything but the key class is right', async () => {
    for (const [kind, verify] of Object.entries(verifiers)) {
      const draft = drafts[kind as keyof typeof drafts]
      for (const key of [internal, access, testKey('statement-1'), testKey('unknown')]) {
        if (key === draft.key) continue
        await expect(verify(sign(vary(draft, { key })))).rejects.toThrow()
        await expect(verify(sign(vary(draft, { key, header: { kid: draft.key.kid } })))).rejects.toThrow()
      }
    }
  })

  it('not even when everything but the typ is right', async () => {
    for (const [kind, verify] of Object.entries(verifiers)) {
      const draft = drafts[kind as keyof typeof drafts]
      const others = [undefined, 'JWT', ...Object.values(drafts).map((other) => other.header['typ'])]
      for (const typ of others.filter((other) => other !== draft.header['typ'])) {
        await expect(verify(sign(vary(draft, { header: { typ } })))).rejects.toThrow()
      }
      const change: Change = { header: { typ: `application/${String(draft.header['typ'])}` } }
      await expect(verify(sign(vary(draft, change)))).resolves.toBeDefined()
    }
  })

  it('nor does an unsigned, HMAC-signed or changed one', async () => {
    for (const [kind, verify] of Object.entries(verifiers)) {
      const draft = drafts[kind as keyof typeof drafts]
      const pem = draft.key.publicKey.export({ format: 'pem', type: 'spki' })
      for (const forged of [
        unsigned(draft),
        signHmac(draft, pem),
        swapPayload(sign(draft), { ...draft.claims, exp: NOW + 200 }),
      ]) {
        expect(['subject_token_signature', 'bearer_invalid']).toContain(await refusal(verify(forged)))
      }
    }
  })
})
