import { expect, test } from 'vitest'
import { logFields } from '../../../../src/sdk/verify/log-fields.ts'
import type { VerifiedToken } from '../../../../src/sdk/verify/verified-token.ts'

const token = (over: Partial<VerifiedToken>): VerifiedToken =>
  ({
    subject: 'user:corp:alice',
    user: 'user:corp:alice',
    clientId: 'slack-server',
    actors: ['service:slack-server', 'service:warehouse-server', 'agent:researcher', 'agent:orchestrator'],
    session: 'ses_1',
    txn: 'txn_1',
    jti: 'jti_1',
    intent: { hash: 'h', origin: { type: 'upstream_agent' } },
    claims: { secret: 'sesame' },
    ...over,
  }) as VerifiedToken

test('R123 the person and the nearest agent stand beside each other, and nothing that is not meant to be there', () => {
  expect(logFields(token({}))).toEqual({
    'enduser.id': 'user:corp:alice',
    'agent.id': 'researcher',
    'client.id': 'slack-server',
    'errand.actors': ['service:slack-server', 'service:warehouse-server', 'agent:researcher', 'agent:orchestrator'],
    'errand.session': 'ses_1',
    'errand.txn': 'txn_1',
    'errand.jti': 'jti_1',
    'errand.origin': 'upstream_agent',
    'errand.intent': 'h',
  })
})

test('an agent’s own work names no person', () => {
  const {
    user: _user,
    intent: _intent,
    ...rest
  } = token({ subject: 'agent:orchestrator', actors: [], clientId: 'orchestrator' })
  expect(logFields(rest)).toEqual({
    'agent.id': 'orchestrator',
    'client.id': 'orchestrator',
    'errand.actors': [],
    'errand.session': 'ses_1',
    'errand.txn': 'txn_1',
    'errand.jti': 'jti_1',
  })
})
