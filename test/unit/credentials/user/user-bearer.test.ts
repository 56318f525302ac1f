import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyUserBearer } from '../../../../src/credentials/user/user-bearer.ts'
import { sha256 } from '../../../../src/kernel/digest.ts'
import type { Secret } from '../../../../src/kernel/secret.ts'
import type { Issuer } from '../../../../src/model/issuer.ts'
import { createGuardedFetch } from '../../../../src/net/guarded-fetch.ts'
import { IssuerKeys } from '../../../../src/net/issuer-keys.ts'
import { startIssuer, type TestIssuer } from '../../../support/issuer.ts'
import { sign, testKey, vary } from '../../../support/keys.ts'
import { agent, NOW, refusal, registry, user } from '../fixtures.ts'

const CONSOLE = 'errand-console'
let idp: TestIssuer

beforeAll(async () => {
  idp = await startIssuer()
})
afterAll(() => idp.close())

function verify(token: Secret, over: Partial<Issuer> = {}) {
  const known = registry({
    clients: [agent('orchestrator')],
    issuers: [{ ...idp.record, userAudience: CONSOLE, ...over }],
    users: [user('alice'), user('gone', { active: false })],
  })
  const fetchJson = createGuardedFetch({ allowLoopback: true })
  const keys = new IssuerKeys({ fetchJson, clock: { nowMs: () => NOW * 1000 } })
  return verifyUserBearer(token, { registry: known, keys, now: NOW }, 'sessions')
}

const VALID = { sub: 'alice', aud: CONSOLE, azp: CONSOLE, iat: NOW - 10, exp: NOW + 600, auth_time: NOW - 50 }
const signed = (claims = {}, header = {}) => idp.sign({ ...VALID, ...claims }, header)

describe("a user at the broker's own API", () => {
  it('is known by an ID or access token issued for the broker', async () => {
    const token = signed()
    expect(await verify(token)).toEqual({
      principal: 'user:idp:alice',
      user: user('alice'),
      issuer: { ...idp.record, userAudience: CONSOLE },
      signedInAt: NOW - 50,
      issuedAt: NOW - 10,
      expiresAt: NOW + 600,
      confirmation: undefined,
      digest: sha256(token.reveal().slice(0, token.reveal().lastIndexOf('.'))),
    })
    expect((await verify(signed({ scope: 'x' }, { typ: 'at+jwt' }))).principal).toBe('user:idp:alice')
  })

  it.each([
    { aud: 'idp-orchestrator' },
    { aud: [CONSOLE, 'idp-orchestrator'] },
    { aud: `${CONSOLE}/` },
    { aud: [] },
    { aud: undefined },
    { exp: NOW - 60 },
    { exp: undefined },
    { iat: undefined },
    { sub: 'mallory' },
    { sub: 'gone' },
    { sub: '' },
    { iss: 'https://evil.example' },
    { cnf: { jkt: 'x' } },
    { auth_time: 'yesterday' },
  ])('is refused, coarsely, with %j', async (claims) =>
    expect(await refusal(verify(signed(claims)))).toBe('bearer_invalid'))

  it.each([
    { azp: 'idp-orchestrator' },
    { client_id: 'idp-orchestrator' },
    { act: { iss: 'https://x.example', sub: 'agent:orchestrator' } },
  ])("is not an agent that holds the user's token: %j", async (claims) =>
    expect(await refusal(verify(signed(claims)))).toBe('bearer_invalid'))

  it('is refused where the issuer has no audience for users, even for a token without one', async () => {
    const before = idp.countRequests()
    expect(await refusal(verify(signed(), { userAudience: undefined }))).toBe('bearer_invalid')
    expect(await refusal(verify(signed({ aud: undefined }), { userAudience: undefined }))).toBe('bearer_invalid')
    expect(await refusal(verify(signed({ aud: 'undefined' }), { userAudience: undefined }))).toBe('bearer_invalid')
    expect(idp.countRequests()).toBe(before)
  })

  it('may not use an ID token where the issuer entry does not accept them', async () => {
    expect(await refusal(verify(signed(), { acceptsIdTokens: false }))).toBe('bearer_invalid')
    expect((await verify(signed({}, { typ: 'at+jwt' }), { acceptsIdTokens: false })).principal).toBe('user:idp:alice')
  })

  it.each(['logout+jwt', 'errand-management+jwt', 'errand-session+jwt'])('may not use typ %s', async (typ) => {
    expect(await refusal(verify(signed({}, { typ })))).toBe('bearer_invalid')
  })

  it("is refused with a signature that is not the issuer's own, and told to wait when keys cannot be read", async () => {
    const forged = vary(idp.draft(VALID), { key: testKey('attacker'), header: { kid: 'idp-1' } })
    expect(await refusal(verify(sign(forged)))).toBe('bearer_invalid')
    expect((await verify(sign(vary(forged, { key: idp.key })))).principal).toBe('user:idp:alice')
    idp.misbehave((_request, response) => response.writeHead(503).end())
    try {
      expect(await refusal(verify(signed()))).toBe('subject_issuer_unavailable')
    } finally {
      idp.misbehave(undefined)
    }
  })
})
