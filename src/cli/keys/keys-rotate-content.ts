/** `errand keys rotate-content`: a key-encryption key for what the audit captures. */
import { configPath, loadConfig } from '../../config/load-config.ts'
import { systemClock } from '../../kernel/clock.ts'
import { createKeyEncryptionKey, KeyEncryptionKeys } from '../../keys/key-encryption-keys.ts'
import type { CommandBody } from '../command.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'

export const keysRotateContentCommand: CommandBody = {
  arguments: [],
  options: { ...CONFIG_OPTION, ...JSON_OPTION },
  examples: ['errand keys rotate-content'],
  notes: [
    'Brokers that share a store and not this directory need a copy of the file before errand audit rekey is run. Keep an offline copy: without it nobody reads what was captured.',
  ],
  run: async (args, io) => {
    const { keys } = loadConfig(configPath(args.text('config')))
    const before = await KeyEncryptionKeys.open(keys.directory)
    const { id } = await createKeyEncryptionKey(keys.directory, systemClock.nowMs())
    if (args.flag('json')) {
      writeJson({ id, before: before.ids }, io)
      return 0
    }
    io.out(`${io.styles.bold('made')}: key-encryption key ${id}, content-${id}.kek.json in ${keys.directory}\n`)
    if (before.newest === undefined) io.out('  A broker that starts with audit.capture seals with it.\n')
    else io.out('  errand audit rekey wraps what there is under it; brokers seal under it from then on.\n')
    return 0
  },
}
