/** A key ring in a directory of its own, and an order for a token of the researcher's node. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SigningKey } from '../../../src/jose/sign-jwt.ts'
import type { Jti } from '../../../src/kernel/ids.ts'
import { ensureKeys } from '../../../src/keys/key-files.ts'
import { KeyRing } from '../../../src/keys/key-ring.ts'
import { NOTHING_CAPTURED } from '../../../src/model/captured.ts'
import type { BrokerSettings } from '../../../src/model/settings.ts'
import type { ApiOrder, MintOrder } from '../../../src/tokens/claims.ts'
import { testKey } from '../../support/keys.ts'
import { authority, CHILD, child, ISSUER, NOW, ROOT, sessionFacts, WAREHOUSE } from '../sessions/fixtures.ts'

export const SETTINGS: BrokerSettings = {
  issuer: ISSUER,
  environment: 'development',
  accessTokenSeconds: 300,
  sessionSeconds: 3600,
  delegationAcceptSeconds: 120,
  strictlyNarrower: true,
  approvalSeconds: 300,
  approvalPendingSeconds: 900,
  maxChainDepth: 5,
  apiKeys: false,
  suspendOverdue: false,
  callOutcomeSeconds: 60,
  drift: { contractAfter: 5, haltAfter: 10, windowSeconds: 3600 },
  capture: NOTHING_CAPTURED,
  requireCorrelation: false,
  publicLog: false,
  orphanGraceSeconds: 0,
  clientSecretBasic: false,
}
export const JTI = 'jti_minted' as Jti
export const FIXED = { issuer: ISSUER, environment: 'development', jti: JTI }

export function order(over: Partial<MintOrder> = {}): MintOrder {
  return {
    holder: { session: sessionFacts(), node: child(), above: [], path: [ROOT, CHILD] },
    authority: authority({ table: { const: 'revenue' } }),
    audience: WAREHOUSE,
    rv: 41,
    parentHash: 'hash-of-parent',
    confirmation: undefined,
    agentVersion: '1',
    instance: 'pod-7',
    now: NOW,
    expiresAt: NOW + 300,
    ...over,
  }
}

export function apiOrder(over: Partial<ApiOrder> = {}): ApiOrder {
  return {
    subject: 'agent:orchestrator' as ApiOrder['subject'],
    profile: 'ai_agent',
    clientId: 'orchestrator' as ApiOrder['clientId'],
    agentVersion: '1',
    scopes: ['revocations', 'sessions'],
    confirmation: undefined,
    rv: 41,
    now: NOW,
    expiresAt: NOW + 300,
    ...over,
  }
}

export const signingKey = (kid = 'key-1'): SigningKey => ({ kid, alg: 'ES256', key: testKey(kid).privateKey })

export async function testRing(algs: readonly ('ES256' | 'RS256')[] = ['ES256']): Promise<KeyRing> {
  const directory = mkdtempSync(join(tmpdir(), 'errand-keys-'))
  try {
    return new KeyRing(await ensureKeys(directory, { development: true, now: NOW, algs: [...algs] }))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
