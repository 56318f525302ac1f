/**
 * An agent that a command is for somebody else's client: its tokens are made by `errand/agent`, and are in memory only. As
 * itself, by its standing intent, or in a session that was opened elsewhere.
 */
import { urlProblem } from '../../registry/url-rules.ts'
import { AgentError, createAgent, privateKeyJwt } from '../../sdk/agent/agent.ts'
import { type Fetch, formOverHttp, jsonOverHttp } from '../../sdk/broker/http.ts'
import type { Args } from '../args.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import type { Io } from '../io.ts'
import type { OptionSpecs } from '../options.ts'
import { CLIENT_OPTIONS, clientFacts } from './client-identity.ts'
import { SessionFile } from './session-file.ts'

export const HOLDER_OPTIONS: OptionSpecs = {
  resource: { value: 'URL', help: 'the MCP server, as the broker has it registered' },
  ...CLIENT_OPTIONS,
  'session-token-file': {
    value: 'FILE',
    help: 'a session of this agent, of errand exchange --want session; - reads it from a pipe. Without one it works by itself',
  },
}

export interface Holder {
  readonly resource: string
  /** With a fresh token for `resource`, and for nothing else. */
  readonly fetch: Fetch
  headers(): Promise<Readonly<Record<string, string>>>
  /** Whether there is a token to be had. */
  ready(): Promise<unknown>
}

/** @throws UsageError, CommandFailure, ConfigurationError */
export async function holderOf(args: Args, io: Io): Promise<Holder> {
  const resource = args.require('resource')
  const problem = urlProblem(resource)
  if (problem !== undefined) throw new UsageError(`--resource ${problem}`)
  const { clientId, issuer, base, certificate, key } = await clientFacts(args)
  // On this machine the broker is spoken to directly, under its own name; one with a certificate of its own only by that name.
  const reached = (url: string) =>
    certificate === undefined && url.startsWith(`${issuer}/`)
      ? `${base.replace(/\/$/, '')}${url.slice(issuer.length)}`
      : url
  const agent = createAgent({
    broker: issuer,
    credential: privateKeyJwt({ clientId, ...key }),
    dpop: args.flag('dpop'),
    resources: [resource],
    door: (request) => jsonOverHttp({ ...request, url: reached(request.url) }),
    forms: (request) => formOverHttp({ ...request, url: reached(request.url) }),
  })
  const file = args.text('session-token-file')
  if (file === undefined) {
    const { fetch } = agent
    return { resource, fetch, headers: () => agent.headers(resource), ready: () => agent.token({ resource }) }
  }
  const session = await SessionFile.open(agent, resource, file, io)
  const { fetch, resource: spelled } = session
  return { resource: spelled, fetch, headers: () => session.headers(), ready: () => session.token() }
}

/** What the agent library says, as a command says it: without a stack, and without a token. */
export function agentFailure(fault: unknown): unknown {
  return fault instanceof AgentError ? new CommandFailure(fault.message, fault) : fault
}
