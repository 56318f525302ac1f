import { expect, test } from 'vitest'
import { tokenResponse } from '../../../src/flows/token-response.ts'
import type { DecisionId, Jti } from '../../../src/kernel/ids.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import type { MintedToken } from '../../../src/model/minted.ts'
import { TOKEN_TYPE } from '../../../src/protocol/oauth.ts'
import { NOW } from '../sessions/fixtures.ts'

const minted: MintedToken = {
  token: new Secret('the.token.text'),
  jti: 'jti_minted' as Jti,
  issuedAt: NOW,
  expiresAt: NOW + 300,
  scopes: ['a', 'b'],
  confirmation: undefined,
  details: [{ type: 'mcp_tools' }],
}
const ID = 'dec_one' as DecisionId

test('a response has exactly these members (RFC 8693 section 2.2.1, RFC 9396 section 7)', () => {
  expect(tokenResponse(minted, 'session', ID)).toEqual({
    access_token: 'the.token.text',
    issued_token_type: TOKEN_TYPE.session,
    token_type: 'N_A',
    expires_in: 300,
    scope: 'a b',
    authorization_details: [{ type: 'mcp_tools' }],
    decision_id: 'dec_one',
  })
})

test('scope is always there, details only where there are any; no refresh token ever', () => {
  const response = tokenResponse({ ...minted, scopes: [], details: [] }, 'access', ID)
  expect(response.scope).toBe('')
  expect(response).not.toHaveProperty('authorization_details')
  expect(response).not.toHaveProperty('refresh_token')
})
