/** `errand restore`: a store made of a backup, in which everything issued before is dead. */
import { resolve } from 'node:path'
import { configPath, loadConfig } from '../../config/load-config.ts'
import { systemClock } from '../../kernel/clock.ts'
import { FIELD } from '../../sessions/session-record.ts'
import { restoreEmbedded } from '../../store/embedded-backup.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { CONFIG_OPTION } from '../options.ts'
import { explained, NOT_EMBEDDED } from './backup.ts'

export const restoreCommand: CommandBody = {
  arguments: ['FILE'],
  options: { ...CONFIG_OPTION },
  examples: ['errand restore /backup/errand-2026-11-21.mdb'],
  notes: [
    'Stop the broker, and move its old store away first. Blocks set after the backup are not in it: set them again before you start the broker to others.',
  ],
  run: async (args, io) => {
    const { store, org } = loadConfig(configPath(args.text('config')))
    if (store.kind !== 'embedded') throw new UsageError(NOT_EMBEDDED)
    const [file = ''] = args.positionals
    const endedFields = new Map([[FIELD.state, 'revoked']])
    const options = { directory: store.directory, org, clock: systemClock, endedFields }
    const { sessions, seq } = await explained(restoreEmbedded(resolve(file), options))
    const last = seq === 0 ? 'no revocation is in it' : `its last revocation is of ${new Date(seq).toISOString()}`
    io.out(
      `${io.styles.bold('restored')}: ${sessions} sessions, all ended; ${last}\n` +
        '  nothing issued before now is good for anything; people sign in anew\n' +
        '  set again the blocks that are younger than the backup: errand blocks lists those it holds\n',
    )
    return 0
  },
}
