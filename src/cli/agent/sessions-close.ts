/** `errand sessions close`: an agent ends what it opened, or what it has passed on, with its own key. */

import { Secret } from '../../kernel/secret.ts'
import { CLIENT_ASSERTION_TYPE_JWT, ENDPOINT, GRANT_TYPE } from '../../protocol/oauth.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { textOf } from '../json-fields.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawKill } from '../sessions/kill-drawing.ts'
import { CLIENT_OPTIONS, type ClientIdentity, identify } from './client-identity.ts'

export const sessionsCloseCommand: CommandBody = {
  arguments: ['SESSION'],
  options: {
    ...CLIENT_OPTIONS,
    node: { value: 'NODE', help: 'only this hop of its own, or below one of its own, and all below it' },
    'sub-agent': { value: 'CLIENT', help: 'only what this sub-agent was given below a hop of its own' },
    ...JSON_OPTION,
  },
  examples: [
    'errand sessions close ses_4VnVzJ0oQm2mXcW3l6y8aA --client report-agent',
    'errand sessions close ses_4VnVzJ0oQm2mXcW3l6y8aA --client report-agent --sub-agent scribe',
  ],
  notes: [
    'What is closed may begin anew, with the same evidence. Whatever is not below a hop of the agent’s own does not exist for it.',
    'The agent needs client_credentials among its grant_types and sessions among its api_scopes; one without them shows its session token to POST /revoke, with node or sub_agent for a part.',
  ],
  run: async (args, io) => {
    const [session = ''] = args.positionals
    const [node, subAgent] = [args.text('node'), args.text('sub-agent')]
    if (node !== undefined && subAgent !== undefined) throw new UsageError('say --node or --sub-agent, not both')
    const identity = await identify(args)
    const path = `/sessions/${encodeURIComponent(session)}${below(node, subAgent)}`
    const answer = await identity.broker.delete(path, await apiToken(identity))
    if (args.flag('json')) writeJson(answer, io)
    else {
      const what = node === undefined && subAgent === undefined ? 'session closed' : `${subAgent ?? 'hop'} ended`
      io.out(drawKill(answer, { what, tokensOnly: false }, io.styles))
    }
    return 0
  },
}

function below(node: string | undefined, subAgent: string | undefined): string {
  if (node !== undefined) return `/nodes/${encodeURIComponent(node)}`
  return subAgent === undefined ? '' : `/agents/${encodeURIComponent(subAgent)}`
}

/** For this one request: the agent needs the API scope `sessions`. */
async function apiToken({ issuer, broker, assertion }: ClientIdentity): Promise<Secret> {
  const form = new URLSearchParams({
    grant_type: GRANT_TYPE.clientCredentials,
    resource: `${issuer}/api`,
    scope: 'sessions',
    client_assertion_type: CLIENT_ASSERTION_TYPE_JWT,
    client_assertion: (await assertion()).reveal(),
  })
  const token = textOf((await broker.postForm(ENDPOINT.token, form))['access_token'])
  if (token === undefined) throw new CommandFailure('the answer has no token in it')
  return new Secret(token)
}
