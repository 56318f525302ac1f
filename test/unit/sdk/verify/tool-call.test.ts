import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseToolConstraints } from '../../../../src/authority/constraints.ts'
import { challengeHeader } from '../../../../src/sdk/verify/challenge.ts'
import { callableTools, type ToolCall, toolCallRefusal } from '../../../../src/sdk/verify/tool-call.ts'
import type { VerifiedToken } from '../../../../src/sdk/verify/verified-token.ts'

const MANIFEST = new Map([
  ['query', 'mcp:tools:read'],
  ['list_tables', 'mcp:tools:read'],
  ['drop_table', 'mcp:tools:destructive'],
])

function tokenWith(changes: Partial<VerifiedToken> = {}): VerifiedToken {
  return {
    subject: 'user:corp:alice',
    clientId: 'report-writer',
    scopes: ['mcp:tools:read'],
    actors: ['agent:report-writer'],
    expiresAt: 1_790_000_300,
    jti: 'jti_1',
    session: 'ses_1',
    revokedTools: new Set(),
    tools: new Map([['query', parseToolConstraints({ table: { const: 'revenue' }, limit: { maximum: 5 } }, 'query')]]),
    limits: {},
    claims: {},
    ...changes,
  }
}

const call = (tool: string, args: unknown = {}): ToolCall => ({ tool, arguments: args as ToolCall['arguments'] })

describe('a tool call', () => {
  test('within scope, intent and constraints is not refused', () => {
    expect(toolCallRefusal(tokenWith(), call('query', { table: 'revenue', limit: 5 }), MANIFEST)).toBeUndefined()
  })

  test('needs the scope that opens the tool, and is told which', () => {
    const tools = new Map([['drop_table', new Map()]])
    expect(toolCallRefusal(tokenWith({ tools }), call('drop_table'), MANIFEST)).toEqual({
      error: 'insufficient_scope',
      description: 'tool drop_table needs scope mcp:tools:destructive',
      scope: 'mcp:tools:destructive',
    })
  })

  test('of a tool that the scope opens but the intent does not contain is refused', () => {
    expect(toolCallRefusal(tokenWith(), call('list_tables'), MANIFEST)).toEqual({
      error: 'outside_intent',
      description: 'the intent of this token does not contain tool list_tables',
      declared: { tools: ['query'] },
    })
  })

  test.each(['', 'Query', 'query ', 'constructor', '__proto__'])('of the unknown tool "%s" is refused', (tool) => {
    const tools = new Map([[tool, new Map()]])
    expect(toolCallRefusal(tokenWith({ tools }), call(tool), MANIFEST)).toEqual({
      error: 'outside_intent',
      description: 'this server has no such tool',
      declared: { tools: [tool] },
    })
  })

  const outside: [string, unknown, string][] = [
    ['another value', { table: 'salaries', limit: 5 }, "argument 'table' must be 'revenue'"],
    ['a larger number', { table: 'revenue', limit: 6 }, "argument 'limit' must be a number of at most 5"],
    ['a number as text', { table: 'revenue', limit: '5' }, "argument 'limit' must be"],
    ['a missing argument', { table: 'revenue' }, "argument 'limit' is missing"],
    ['an argument nobody listed', { table: 'revenue', limit: 5, where: '1=1' }, "argument 'where' is not among"],
    ['a list for arguments', ['revenue'], 'arguments must be an object'],
    ['null for arguments', null, 'arguments must be an object'],
  ]
  test.each(outside)('with %s is refused, saying what was needed', (_title, args, words) => {
    const refusal = toolCallRefusal(tokenWith(), call('query', args), MANIFEST)
    expect(refusal?.error).toBe('outside_intent')
    expect(refusal?.description).toContain(words)
    expect(refusal?.scope).toBeUndefined()
    const constraints = { table: { const: 'revenue' }, limit: { maximum: 5 } }
    expect(refusal?.narrowTo).toEqual({ tool: 'query', constraints })
  })

  test('is refused where the intent limits calls, which takes live mode', () => {
    const refusal = toolCallRefusal(
      tokenWith({ limits: { maxCalls: 3 } }),
      call('query', { table: 'revenue', limit: 1 }),
      MANIFEST,
    )
    expect(refusal).toMatchObject({ error: 'outside_intent', description: expect.stringContaining('live mode') })
  })

  test('with any arguments is never answered with their values, nor with text that leaves the header', () => {
    const args = fc.dictionary(fc.string(), fc.oneof(fc.string({ minLength: 12 }), fc.integer(), fc.constant(null)))
    fc.assert(
      fc.property(args, (given) => {
        const refusal = toolCallRefusal(tokenWith(), call('query', given), MANIFEST)
        expect(refusal?.error).toBe('outside_intent')
        const values = Object.values(given).filter((value) => typeof value === 'string')
        for (const value of values) {
          if (!Object.keys(given).some((name) => name.includes(value)))
            expect(refusal?.description).not.toContain(value)
        }
        const header = challengeHeader({
          error: refusal?.error ?? 'invalid_token',
          description: refusal?.description ?? '',
          scopes: [],
          resourceMetadata: 'https://warehouse.example/.well-known/oauth-protected-resource/mcp',
        })
        expect(header).toMatch(
          /^Bearer error="outside_intent", error_description="[^"\\]*", resource_metadata="https:[^"\\]*"$/,
        )
      }),
    )
  })
})

test('a tool that was cut off since the token was issued is refused, and a new token asked for', () => {
  const token = tokenWith({ tools: new Map(), revokedTools: new Set(['query']) })
  expect(toolCallRefusal(token, call('query'), MANIFEST)).toMatchObject({
    error: 'insufficient_scope',
    scope: 'mcp:tools:read',
    description: expect.stringContaining('revoked'),
  })
})

test("what a token may call is what has its scope, is in its intent and is the server's", () => {
  const tools = new Map(['query', 'drop_table', 'foreign'].map((tool) => [tool, new Map()]))
  expect(callableTools(tokenWith({ tools }), MANIFEST)).toEqual(['query'])
})
