/** `errand assertion`: a client assertion (private_key_jwt) for one request, for use with curl. */

import type { CommandBody } from '../command.ts'
import { writeToken } from '../output.ts'
import { CLIENT_OPTIONS, identify } from './client-identity.ts'

export const assertionCommand: CommandBody = {
  arguments: [],
  options: CLIENT_OPTIONS,
  examples: [
    'errand assertion --client report-agent | curl -s http://127.0.0.1:4400/token --data-urlencode client_assertion@- -d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer -d grant_type=client_credentials -d resource=https://mcp.example/mcp',
  ],
  notes: ['Good for one request within a minute. It goes to standard output, so that it can be piped.'],
  run: async (args, io) => {
    const identity = await identify(args)
    writeToken(await identity.assertion(), io)
    return 0
  },
}
