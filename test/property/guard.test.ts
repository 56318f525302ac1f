/** Whatever is posted: what reaches the server behind the guard is only what the token opens, told by other means than the guard's. */
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { guarded } from '../../src/sdk/verify/guard/web.ts'
import { createVerifier } from '../../src/sdk/verify/verifier.ts'
import { Door, ISSUER, ManualClock, newKey, RESOURCE, token } from '../unit/sdk/verify/issuing.ts'

const key = newKey('k1')
let bearer: string
let behind: unknown[]
let handle: (request: Request) => Promise<Response>

beforeAll(async () => {
  bearer = await token(key)
  const verifier = createVerifier({
    issuer: ISSUER,
    resource: RESOURCE,
    door: new Door([key]).open,
    clock: new ManualClock(),
  })
  const tools = { query: 'mcp:tools:read', list_tables: 'mcp:tools:read', drop_table: 'mcp:tools:destructive' }
  handle = guarded({ verifier, tools, baseScope: 'mcp:tools:read' }, async (_request, { parsedBody }) => {
    behind.push(parsedBody)
    return new Response(null)
  })
})

const oneOf = <T>(...values: T[]) => fc.constantFrom(...values)
const OPEN = [
  'ping',
  'tools/list',
  'initialize',
  'server/discover',
  'notifications/cancelled',
  'notifications/initialized',
]
const args = fc.oneof(
  fc.record({
    table: oneOf<unknown>('revenue', 'salaries', ['revenue'], null),
    limit: oneOf<unknown>(1, 5, 6, '1', null),
  }),
  fc.record({ table: fc.constant('revenue'), limit: fc.constant(2) }),
  oneOf<unknown>({}, null, [], 'revenue', { table: 'revenue' }, { table: 'revenue', limit: 1, where: '1=1' }),
)
const name = oneOf<unknown>('query', 'list_tables', 'drop_table', 'Query', 'query ', '__proto__', '', null, ['query'])
const message = fc.record(
  {
    jsonrpc: fc.oneof(
      { weight: 9, arbitrary: oneOf<unknown>('2.0') },
      { weight: 1, arbitrary: oneOf<unknown>('1.0', 2) },
    ),
    id: oneOf<unknown>(1, 2, '1', 'a', null, {}, 1.5),
    method: oneOf<unknown>(
      ...OPEN,
      'tools/call',
      'tools/call',
      'tools/call',
      'TOOLS/CALL',
      'resources/read',
      '',
      null,
      7,
    ),
    params: fc.oneof(fc.record({ name, arguments: args }, { requiredKeys: [] }), oneOf<unknown>(null, [], 'query')),
    result: fc.constant({}),
  },
  { requiredKeys: ['jsonrpc'] },
)
/** Nothing about it is odd but what it asks for: chance alone hardly ever leaves the rest in order. */
const call = fc.record({
  jsonrpc: fc.constant('2.0'),
  id: oneOf<unknown>(1, 'a'),
  method: fc.constant('tools/call'),
  params: fc.record({ name: oneOf('query', 'list_tables', 'drop_table'), arguments: args }),
})
const body = fc.oneof(
  call,
  message,
  fc.array(message, { maxLength: 4 }),
  fc.array(fc.array(message, { maxLength: 1 }), { maxLength: 2 }),
)

test('only open methods and calls within the intent reach the server, whatever is around them', async () => {
  let passed = 0
  await fc.assert(
    fc.asyncProperty(body, async (posted) => {
      behind = []
      const headers = { authorization: `Bearer ${bearer}` }
      const answer = await handle(new Request(RESOURCE, { method: 'POST', body: JSON.stringify(posted), headers }))
      if (behind.length === 0) {
        expect(answer.status).toBeGreaterThanOrEqual(400)
        return
      }
      passed += 1
      expect(behind).toEqual([posted])
      for (const one of [behind[0]].flat() as Record<string, unknown>[]) {
        expect(one['jsonrpc']).toBe('2.0')
        if (one['method'] === undefined) expect(one['result']).toEqual({})
        else if (one['method'] !== 'tools/call') expect(OPEN).toContain(one['method'])
        else {
          const { name: tool, arguments: given } = one['params'] as { name: string; arguments: Record<string, unknown> }
          expect([tool, given['table']]).toEqual(['query', 'revenue'])
          expect(given['limit'] as number).toBeLessThanOrEqual(5)
          expect([Object.keys(given).sort(), typeof given['limit']]).toEqual([['limit', 'table'], 'number'])
        }
      }
    }),
    { numRuns: 2_000 },
  )
  expect(passed).toBeGreaterThan(50)
})
