/** `errand proof`: a DPoP proof for one request with a token that is bound to a key, for use with curl. */
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { writeToken } from '../output.ts'
import { readToken } from '../token-input.ts'
import { proofMaker } from './dpop-key.ts'

export const proofCommand: CommandBody = {
  arguments: [],
  options: {
    'dpop-key': { value: 'FILE', help: 'the key that the token is bound to, as errand exchange has made it' },
    url: { value: 'URL', help: 'where the request goes, as its server knows itself' },
    method: { value: 'METHOD', help: 'of the request (default GET)' },
    'token-file': { value: 'FILE', help: 'the token it goes with; - reads it from a pipe' },
    nonce: { value: 'TEXT', help: 'the DPoP-Nonce that the server has answered with' },
  },
  examples: [
    'errand proof --dpop-key dpop.jwk.json --url https://errand.example/sessions --token-file api.jwt',
    `{ printf 'Authorization: DPoP %s\\nDPoP: ' "$(cat api.jwt)"; errand proof --dpop-key dpop.jwk.json --url https://errand.example/sessions --token-file api.jwt; } | curl -H @- https://errand.example/sessions`,
  ],
  notes: [
    'Good for one request within a minute: the key stays in its file, and whoever sees the proof has nothing of it.',
  ],
  run: async (args, io) => {
    const token = await readToken(args.require('token-file'), io)
    const url = args.require('url')
    if (!URL.canParse(url)) throw new UsageError('--url must be an absolute URL')
    const make = await proofMaker(args.require('dpop-key'))
    const method = (args.text('method') ?? 'GET').toUpperCase()
    writeToken(await make({ method, url, token, nonce: args.text('nonce') }), io)
    return 0
  },
}
