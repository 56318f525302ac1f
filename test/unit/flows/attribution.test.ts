import { expect, test } from 'vitest'
import { describeAsked, describeIssue, grantedAuthority } from '../../../src/flows/attribution.ts'
import { frameContinue } from '../../../src/flows/frame/continue.ts'
import { sha256 } from '../../../src/kernel/digest.ts'
import type { Jti } from '../../../src/kernel/ids.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import type { SubjectEvidence } from '../../../src/model/evidence.ts'
import type { MintedToken } from '../../../src/model/minted.ts'
import { ALICE, actor, CHILD, NOW, ROOT, SESSION, WAREHOUSE } from '../sessions/fixtures.ts'
import { exchange, handleEvidence, input, issueFor, liveRoot, party, selfEvidence, userEvidence } from './fixtures.ts'

const minted: MintedToken = {
  token: new Secret('eyJ.text.of-the-token'),
  jti: 'jti_minted' as Jti,
  issuedAt: NOW,
  expiresAt: NOW + 300,
  scopes: ['mcp:tools:read', 'mcp:tools:write'],
  confirmation: undefined,
  details: [{ type: 'mcp_tools' }],
}

const asked = (evidence: SubjectEvidence) => describeAsked(evidence, exchange({}), party().verified)

test('a user’s evidence names the user, and the token by its digest only', () => {
  expect(asked(userEvidence())).toEqual({
    on_behalf_of: ALICE,
    subject_token: 'digest-of-evidence',
    origin: 'user_request',
  })
})

test('a handle names user, session, its own node and the whole chain, newest first', () => {
  const evidence = handleEvidence({ path: [ROOT, CHILD], act: actor('researcher', 'orchestrator') })
  expect(asked(evidence)).toEqual({
    on_behalf_of: ALICE,
    session: SESSION,
    node: CHILD,
    chain: ['agent:researcher', 'agent:orchestrator'],
    subject_token: 'digest-of-handle',
  })
})

test('an agent working for itself brings nothing beside its authentication', () => {
  expect(asked(selfEvidence())).toEqual({ origin: 'schedule' })
})

test('what is issued has the five fields of attribution, and the authority by its digest', () => {
  const live = liveRoot()
  const framed = frameContinue(
    input({
      request: exchange({ resources: [WAREHOUSE], instance: 'pod-7' }),
      evidence: handleEvidence(),
      live,
    }),
  )
  const described = describeIssue(issueFor(framed), minted, grantedAuthority(minted).digest)
  expect(described).toEqual({
    agent: { id: 'orchestrator', version: '3', instance: 'pod-7' },
    on_behalf_of: ALICE,
    session: SESSION,
    txn: 'txn_one',
    node: ROOT,
    intent: 'hash-of-intent',
    origin: 'user_request',
    resource: WAREHOUSE,
    server: { id: 'warehouse', name: 'warehouse' },
    service: 'warehouse-server',
    scope: 'mcp:tools:read mcp:tools:write',
    chain: ['agent:orchestrator'],
    jti: 'jti_minted',
    expires_at: NOW + 300,
    authority: sha256(JSON.stringify(minted.details)),
  })
  expect(JSON.stringify(described)).not.toContain('of-the-token')
})

test('an instance that did not describe itself is not made up', () => {
  const framed = frameContinue(
    input({ request: exchange({ resources: [WAREHOUSE] }), evidence: handleEvidence(), live: liveRoot() }),
  )
  expect(describeIssue(issueFor(framed), minted, grantedAuthority(minted).digest).agent).toEqual({
    id: 'orchestrator',
    version: '3',
  })
})
