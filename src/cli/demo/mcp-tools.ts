/** The tools of the demo's two MCP servers: small, in memory, and honest about who called. */
import { z } from 'zod'

export interface DemoTool {
  readonly name: string
  readonly description: string
  /** The scope that opens it. */
  readonly scope: string
  readonly category: 'read' | 'write' | 'destructive'
  readonly input: z.ZodObject
  run(input: Readonly<Record<string, unknown>>): unknown
}

const READ = 'mcp:tools:read'
const WRITE = 'mcp:tools:write'
const DESTRUCTIVE = 'mcp:tools:destructive'

/** Q3 as the warehouse knows it. */
export function warehouseTools(): readonly DemoTool[] {
  const tables = new Map<string, readonly unknown[]>([
    [
      'revenue',
      [
        { month: 'July', eur: 412_000 },
        { month: 'August', eur: 398_500 },
        { month: 'September', eur: 455_250 },
      ],
    ],
    ['costs', [{ month: 'Q3', eur: 901_300 }]],
    ['salaries', [{ name: 'alice', eur: 71_000 }]],
  ])
  return [
    {
      name: 'query',
      description: 'Rows of one table',
      scope: READ,
      category: 'read',
      input: z.object({ table: z.string(), limit: z.number().int().positive() }),
      run: ({ table, limit }) => (tables.get(String(table)) ?? []).slice(0, Number(limit)),
    },
    {
      name: 'list_tables',
      description: 'Names of all tables',
      scope: READ,
      category: 'read',
      input: z.object({}),
      run: () => [...tables.keys()],
    },
    {
      name: 'customers.update',
      description: 'Changes customers’ records',
      scope: WRITE,
      category: 'write',
      input: z.object({ customer: z.string(), tier: z.string() }),
      run: ({ customer }) => ({ updated: customer }),
    },
    {
      name: 'drop_table',
      description: 'Deletes one table',
      scope: DESTRUCTIVE,
      category: 'destructive',
      input: z.object({ table: z.string() }),
      run: ({ table }) => ({ dropped: tables.delete(String(table)) }),
    },
  ]
}

export function slackTools(): readonly DemoTool[] {
  const messages: unknown[] = []
  return [
    {
      name: 'post_message',
      description: 'Posts a message to a channel',
      scope: WRITE,
      category: 'write',
      input: z.object({ channel: z.string(), text: z.string() }),
      run: ({ channel, text }) => ({ posted: messages.push({ channel, text }), channel }),
    },
  ]
}
