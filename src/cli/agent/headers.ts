/**
 * `errand headers`: a fresh token as HTTP headers, for clients that run a command to get them (Claude Code's `headersHelper`).
 * One JSON object on stdout and nothing else; nothing is kept.
 */
import type { CommandBody } from '../command.ts'
import { agentFailure, HOLDER_OPTIONS, holderOf } from './token-holder.ts'

export const headersCommand: CommandBody = {
  arguments: [],
  options: HOLDER_OPTIONS,
  examples: [
    'errand headers --client report-agent --resource https://mcp.example/mcp',
    'errand headers --client report-agent --resource https://mcp.example/mcp --session-token-file session.jwt',
  ],
  notes: [
    'Prints {"Authorization":"Bearer …"}: for a program that runs it, not for eyes. The token lives minutes: a client that does not run the command again when it has ended is better served by errand proxy.',
  ],
  run: async (args, io) => {
    const holder = await holderOf(args, io)
    const headers = await holder.headers().catch((fault: unknown) => Promise.reject(agentFailure(fault)))
    io.out(`${JSON.stringify(headers)}\n`)
    return 0
  },
}
