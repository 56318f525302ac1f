import { beforeAll, describe, expect, test } from 'vitest'
import { grantedApiScopes, mintApiToken } from '../../../src/flows/api-token.ts'
import type { TokenRequest } from '../../../src/flows/token-request.ts'
import { decodeJwt } from '../../../src/jose/decode-jws.ts'
import { API_TOKEN_LIFETIME_S } from '../../../src/kernel/limits.ts'
import type { ProvenKeys } from '../../../src/model/confirmation.ts'
import type { VerifiedClient } from '../../../src/model/evidence.ts'
import { LiveCutoffs } from '../../../src/sessions/live-cutoffs.ts'
import { Minter } from '../../../src/tokens/minter.ts'
import { HandClock, ISSUER, NOW, reasonOf, WAREHOUSE } from '../sessions/fixtures.ts'
import { SETTINGS, testRing } from '../tokens/fixtures.ts'
import { credentials, DELEGATED, details, registry } from './fixtures.ts'

let minter: Minter
beforeAll(async () => {
  minter = new Minter(await testRing(), SETTINGS)
})

const API = `${ISSUER}/api`

async function issue(over: Partial<TokenRequest> = {}, clientId = 'orchestrator', blocked?: string) {
  const cutoffs = new LiveCutoffs(new HandClock())
  if (blocked !== undefined) {
    cutoffs.written(5, [{ entry: 'block', kind: 'agent', id: blocked, seq: 5, atMs: 0, expiresAtMs: null }])
  }
  const verified = { client: registry.client(clientId), version: '1' } as unknown as VerifiedClient
  const request = credentials({ resources: [API], ...over } as never)
  const scopes = grantedApiScopes(request, verified, { cutoffs, nowMs: NOW * 1000 })
  const proven = { keys: [], singleUse: undefined } as unknown as ProvenKeys
  return mintApiToken(minter, verified, scopes, { proven, rv: 41, now: NOW })
}

describe('an API token', () => {
  test('is about the client itself, for the broker alone, for minutes, in no session', async () => {
    const minted = await issue()
    const { claims } = decodeJwt(minted.token)
    expect(claims).toMatchObject({
      sub: 'agent:orchestrator',
      sub_profile: 'ai_agent',
      client_id: 'orchestrator',
      aud: API,
      scope: 'revocations sessions',
      rv: 41,
      exp: NOW + API_TOKEN_LIFETIME_S,
    })
    for (const name of ['sid', 'anc', 'act', 'authorization_details']) expect(claims).not.toHaveProperty(name)
    expect(minted.scopes).toEqual(['revocations', 'sessions'])
  })

  test('of a service is about a service', async () => {
    const { claims } = decodeJwt((await issue({}, 'warehouse-server')).token)
    expect(claims).toMatchObject({ sub: 'service:warehouse-server', sub_profile: 'service', scope: 'revocations' })
  })

  test('carries what is asked for of what the client is registered for', async () => {
    expect((await issue({ scope: ['sessions'] })).scopes).toEqual(['sessions'])
    expect((await issue({ scope: ['evaluate', 'sessions'] })).scopes).toEqual(['sessions'])
  })
})

describe('refused', () => {
  test('where nothing asked for is granted: the description says what would be needed', async () => {
    await expect(issue({ scope: ['sessions'] }, 'warehouse-server')).rejects.toMatchObject({
      reason: 'nothing_granted',
      missing: [expect.stringContaining('warehouse-server')],
    })
    expect(await reasonOf(issue({ scope: ['evaluate'] }))).toBe('nothing_granted')
  })

  test('beside another target', async () => {
    expect(await reasonOf(issue({ resources: [API, WAREHOUSE] }))).toBe('target_ambiguous')
    expect(await reasonOf(issue({ audiences: ['warehouse'] }))).toBe('target_ambiguous')
  })

  test('with details, which it could not carry', async () => {
    expect(await reasonOf(issue({ details: details(DELEGATED) }))).toBe('details_unknown')
  })

  test('to a client that is blocked, and to no other', async () => {
    expect(await reasonOf(issue({}, 'orchestrator', 'orchestrator'))).toBe('principal_blocked')
    expect(await reasonOf(issue({}, 'warehouse-server', 'warehouse-server'))).toBe('principal_blocked')
    await expect(issue({}, 'orchestrator', 'researcher')).resolves.toBeDefined()
  })
})
