import { expect, test } from 'vitest'
import { Secret } from '../../../../src/kernel/secret.ts'
import { localJudge } from '../../../../src/sdk/verify/call-judge.ts'
import type { VerifiedToken } from '../../../../src/sdk/verify/verified-token.ts'

const token: VerifiedToken = {
  subject: 'user:corp:alice',
  clientId: 'report-writer',
  scopes: ['mcp:tools:read'],
  actors: ['agent:report-writer'],
  expiresAt: 1_790_000_300,
  jti: 'jti_1',
  session: 'ses_1',
  revokedTools: new Set(),
  tools: new Map([['query', new Map()]]),
  limits: {},
  claims: {},
}
const asked = (tool: string) => ({
  token,
  bearer: new Secret('text'),
  call: { tool, arguments: {} },
  manifest: new Map([
    ['query', 'mcp:tools:read'],
    ['drop_table', 'mcp:tools:destructive'],
  ]),
  id: 'call-0123456789abcdef',
})

test('by the token alone, a call of its tools begins and may be told how it ended', async () => {
  const begun = await localJudge.begin(asked('query'))
  if (!begun.allowed) throw new Error('refused')
  await expect(begun.ended('failure', 'timeout')).resolves.toBeUndefined()
})

test('by the token alone, a call that needs another scope is refused, and told which', async () => {
  const begun = await localJudge.begin(asked('drop_table'))
  expect(begun).toMatchObject({
    allowed: false,
    refusal: { error: 'insufficient_scope', scope: 'mcp:tools:destructive' },
  })
})
