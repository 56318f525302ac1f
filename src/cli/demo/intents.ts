/** What alice asked for, and the narrower thing that is passed on: RFC 9396 details as agents send them. */
import type { World } from './world.ts'

type Details = readonly Readonly<Record<string, unknown>>[]

export const PURPOSE = 'Summarise Q3 revenue and post it to #finance'

export function wholeIntent({ warehouse, slack }: World): Details {
  return [
    {
      type: 'agent_intent',
      purpose: PURPOSE,
      origin: { type: 'user_request', ref: 'msg-7731' },
      expires_in: 900,
      max_depth: 1,
    },
    {
      type: 'mcp_tools',
      locations: [warehouse.url],
      tools: { query: { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } } },
    },
    {
      type: 'mcp_tools',
      locations: [slack.url],
      tools: { post_message: { channel: { const: '#finance' }, text: {} } },
    },
  ]
}

export function narrowerIntent({ warehouse }: World): Details {
  return [
    {
      type: 'agent_intent',
      purpose: 'Fetch the monthly revenue of Q3',
      origin: { type: 'agent_plan', ref: 'step-1' },
      expires_in: 300,
    },
    {
      type: 'mcp_tools',
      locations: [warehouse.url],
      tools: { query: { table: { const: 'revenue' }, limit: { maximum: 10 } } },
    },
  ]
}
