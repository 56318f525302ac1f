/**
 * What the types refuse. The file is held by `npm run typecheck`: each `@ts-expect-error` that would compile is an error there.
 * Nothing here is called.
 */
import type * as v2 from '@modelcontextprotocol/client'
import type * as v1 from '@modelcontextprotocol/sdk/client/auth.js'
import { describe, expectTypeOf, test } from 'vitest'
import type {
  Agent,
  Credential,
  Delegation,
  Intent,
  Session,
  ToolArguments,
  Tools,
} from '../../../../src/sdk/agent/agent.ts'
import type { McpAuthProvider, McpOAuthProvider } from '../../../../src/sdk/agent/mcp.ts'

const WAREHOUSE = 'https://warehouse.example/mcp'
const SLACK = 'https://slack.example/mcp'

const TOOLS = {
  [WAREHOUSE]: { query: { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } }, list_tables: {} },
  [SLACK]: { post_message: { channel: { const: '#finance' }, '*': {} } },
} as const
type Declared = typeof TOOLS

declare const agent: Agent
declare const session: Session<Declared>
const by = { to: 'researcher', purpose: 'Find the figures' } as const

/** Compiled, never run. */
function never(_: () => unknown): void {}

describe('what an intent may say', () => {
  test('a rule of one kind, of the vocabulary', () => {
    const rules: ToolArguments[] = [{}, { a: {} }, { a: { const: 1 } }, { a: { minimum: 1, maximum: 2 } }]
    // @ts-expect-error no such rule
    rules.push({ a: { pattern: '.*' } })
    // @ts-expect-error a number and a text at once
    rules.push({ a: { minimum: 1, prefix: 'x' } })
    // @ts-expect-error two lists of values
    rules.push({ a: { const: 1, enum: [1] } })
    // @ts-expect-error an object is no value
    rules.push({ a: { const: {} } })
  })

  test('an origin that an agent may claim', () => {
    const intent: Intent<Tools> = { purpose: 'x', tools: {}, origin: { type: 'schedule' } }
    // @ts-expect-error the broker writes this one
    never(() => ({ ...intent, origin: { type: 'upstream_agent' } }) satisfies Intent<Tools>)
  })

  test('and what was declared is known of the session, without `as const`', () => {
    never(async () => {
      const opened = await agent.openSession({
        intent: { purpose: 'x', tools: { [WAREHOUSE]: { query: {} } } },
        onBehalfOf: 'x',
      })
      await opened.token({ resource: WAREHOUSE })
      // @ts-expect-error not declared
      await opened.token({ resource: SLACK })
      // @ts-expect-error not declared
      await opened.delegate({ ...by, tools: ['list_tables'] })
      const intent = { purpose: 'x', tools: { [WAREHOUSE]: { query: {} } } } as const
      // @ts-expect-error nothing is declared there
      await agent.openSession({ intent, onBehalfOf: 'x', startWith: { [SLACK]: 'read' } })
    })
  })
})

describe('what a session may pass on', () => {
  test('tools and resources that were declared', () => {
    never(() => session.delegate({ ...by, tools: ['query', 'post_message'], resources: [WAREHOUSE] }))
    // @ts-expect-error not declared
    never(() => session.delegate({ ...by, tools: ['drop_table'] }))
    // @ts-expect-error not declared
    never(() => session.delegate({ ...by, tools: ['query'], resources: ['https://wiki.example/mcp'] }))
    // @ts-expect-error for whom
    never(() => session.delegate({ purpose: 'x', tools: ['query'] }))
  })

  test('constraints of tools that are passed on, on arguments that were declared', () => {
    never(() => session.delegate({ ...by, tools: ['query'], constraints: { query: { table: { const: 'revenue' } } } }))
    never(() =>
      session.delegate({ ...by, tools: ['list_tables'], constraints: { list_tables: { any: { maximum: 1 } } } }),
    )
    never(() =>
      session.delegate({ ...by, tools: ['post_message'], constraints: { post_message: { text: { maxLength: 9 } } } }),
    )
    // @ts-expect-error that tool is not passed on
    never(() => session.delegate({ ...by, tools: ['query'], constraints: { list_tables: { any: {} } } }))
    // @ts-expect-error its arguments are closed, and this is none of them
    never(() => session.delegate({ ...by, tools: ['query'], constraints: { query: { where: {} } } }))
    // @ts-expect-error no such rule
    never(() => session.delegate({ ...by, tools: ['query'], constraints: { query: { limit: { max: 1 } } } }))
  })

  test('the delegate holds those and no others, in this process', () => {
    never(async () => {
      const delegation = await session.delegate({ ...by, tools: ['query'] })
      const child = await delegation.acceptAs(agent)
      expectTypeOf(child.token).parameter(0).toEqualTypeOf<{
        readonly resource: typeof WAREHOUSE
        readonly scope?: string
      }>()
      await child.delegate({ ...by, tools: ['query'], constraints: { query: { limit: { maximum: 1 } } } })
      // @ts-expect-error not passed on
      await child.delegate({ ...by, tools: ['list_tables'] })
      // @ts-expect-error nothing of it was passed on
      await child.headers(SLACK)
    })
  })

  test('of another process nothing is known but that it is a session', () => {
    expectTypeOf<Agent['accept']>().returns.resolves.toEqualTypeOf<Session<Tools>>()
    expectTypeOf<Delegation<Session<Declared>>>().toHaveProperty('token')
  })
})

test('an enterprise’s user comes by an ID token and its provider, or by ID-JAGs: one of the two', () => {
  const idp = { issuer: 'https://idp.example', credential: {} as Credential }
  never(() => agent.enterpriseUser({ idp, idToken: 'text' }))
  never(() => agent.enterpriseUser({ idJag: async ({ audience, resource }) => `${audience} ${resource}` }))
  // @ts-expect-error neither
  never(() => agent.enterpriseUser({}))
  // @ts-expect-error both
  never(() => agent.enterpriseUser({ idp, idToken: 'text', idJag: () => 'text' }))
  // @ts-expect-error of which provider
  never(() => agent.enterpriseUser({ idToken: 'text' }))
})

test('the providers are what the SDKs ask for', () => {
  // The SDKs were not compiled with exactOptionalPropertyTypes; what they call is what counts.
  expectTypeOf<McpAuthProvider>().toExtend<v2.AuthProvider>()
  expectTypeOf<McpOAuthProvider>().toExtend<v2.OAuthClientProvider>()
  expectTypeOf<McpOAuthProvider>().toExtend<v1.OAuthClientProvider>()
})
