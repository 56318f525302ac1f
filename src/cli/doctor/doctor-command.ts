/**
 * `errand doctor`: who a token would be for this broker, step by step, with the broker's own verification, its registry and the
 * keys it would use. Nothing is issued, used up or written, and no token text is printed.
 */
import { configPath, loadConfig } from '../../config/load-config.ts'
import { systemClock } from '../../kernel/clock.ts'
import { TOKEN_CHARS_MAX } from '../../kernel/limits.ts'
import { Secret } from '../../kernel/secret.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { readNamedFile } from '../private-file.ts'
import { diagnose } from './diagnosis.ts'
import { drawDiagnosis } from './drawing.ts'
import { admit } from './patient.ts'

export const doctorCommand: CommandBody = {
  arguments: ['[FILE]'],
  options: {
    as: { value: 'CLIENT', help: 'examine it as this client’s (default: whoever it would be)' },
    offline: { help: 'fetch no keys; what needs them is refused for want of them' },
    jwks: { value: 'FILE', help: 'take this key set (JWKS) for the issuer’s, instead of fetching one' },
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  examples: ['errand doctor id.jwt --as report-agent', 'cat assertion.jwt | errand doctor --json'],
  notes: [
    'FILE is a file, or - (or nothing) for what is piped in: a user’s ID or access token, a client assertion, a JWT-SVID, a workload’s token, an ID-JAG, a token of this broker, an API key. Exit code 0: accepted, 1: refused. Claims are shown by name, but for issuer, audience, times and whom it is about.',
  ],
  run: async (args, io) => {
    const [file = '-'] = args.positionals
    if (file === '-' && io.inIsTerminal) throw new UsageError('name a file, or pipe a token in')
    const jwksFile = args.text('jwks')
    if (jwksFile !== undefined && args.flag('offline'))
      throw new UsageError('--jwks is offline already: name one of both')
    const config = loadConfig(configPath(args.text('config')))
    const text = (file === '-' ? await io.readAll(TOKEN_CHARS_MAX + 2) : await readNamedFile(file)).trim()
    if (text === '') throw new UsageError('there is no token in it')
    const patient = admit(config, {
      token: new Secret(text),
      clientId: args.text('as'),
      offline: args.flag('offline'),
      jwks: jwksFile === undefined ? undefined : await readNamedFile(jwksFile),
      clock: systemClock,
    })
    const diagnosis = await diagnose(patient)
    if (args.flag('json')) writeJson(diagnosis, io)
    else io.out(drawDiagnosis(diagnosis, io.styles))
    return diagnosis.accepted ? 0 : 1
  },
}
