/** `errand inspect`: any Errand token drawn: chain, authority, time left, and what would kill it. */
import { configPath, loadConfig } from '../../config/load-config.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { TOKEN_CHARS_MAX } from '../../kernel/limits.ts'
import { KeyFileError } from '../../keys/key-file.ts'
import { loadKeys } from '../../keys/key-files.ts'
import { KeyRing } from '../../keys/key-ring.ts'
import { KEY_CLASSES } from '../../keys/ring-view.ts'
import { ConfigurationError } from '../../registry/strict-document.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { readNamedFile } from '../private-file.ts'
import { drawToken, inspectToken, isSignedBy } from './inspect-token.ts'

export const inspectCommand: CommandBody = {
  arguments: ['[FILE]'],
  options: {
    verify: { help: 'check its signature with the broker’s own keys' },
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  examples: [
    'errand inspect session.jwt',
    'errand exchange --client report-agent --resource https://mcp.example/mcp --token-only | errand inspect -',
  ],
  notes: [
    'FILE is a file, or - (or nothing) for what is piped in. Without --verify nothing is checked: it only says what the token says.',
  ],
  run: async (args, io) => {
    const [file = '-'] = args.positionals
    if (file === '-' && io.inIsTerminal) throw new UsageError('name a file, or pipe a token in')
    const text = file === '-' ? await io.readAll(TOKEN_CHARS_MAX + 2) : await readNamedFile(file)
    const now = epochSeconds(systemClock)
    let verified = false
    try {
      if (args.flag('verify')) verified = await isOurs(text, args.text('config'), now)
      if (args.flag('json')) writeJson(inspectToken(text, now, verified), io)
      else io.out(drawToken(text, now, verified, io.styles))
    } catch (fault) {
      if (fault instanceof ConfigurationError || fault instanceof KeyFileError) throw fault
      throw new CommandFailure(fault instanceof Error ? fault.message : 'not a token', fault)
    }
    return args.flag('verify') && !verified ? 1 : 0
  },
}

async function isOurs(text: string, config: string | undefined, now: number): Promise<boolean> {
  const { keys, development } = loadConfig(configPath(config))
  const ring = new KeyRing(await loadKeys(keys.directory, { development }))
  for (const cls of KEY_CLASSES) {
    if (await isSignedBy(text, ring.verificationKeys(cls, now))) return true
  }
  return false
}
