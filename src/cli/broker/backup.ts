/** `errand backup`: a consistent copy of the embedded store, taken while the broker runs. */
import { resolve } from 'node:path'
import { configPath, loadConfig } from '../../config/load-config.ts'
import { backupEmbedded } from '../../store/embedded-backup.ts'
import { StoreUnavailable } from '../../store/ports.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { CONFIG_OPTION } from '../options.ts'

export const backupCommand: CommandBody = {
  arguments: [],
  options: { out: { value: 'FILE', help: 'the file to write, which must not exist' }, ...CONFIG_OPTION },
  examples: ['errand backup --out /backup/errand-2026-11-21.mdb'],
  notes: [
    'One consistent reading: complete, synced, readable by its owner alone. It holds no signing keys: back those up by themselves, encrypted.',
  ],
  run: async (args, io) => {
    const { store, org } = loadConfig(configPath(args.text('config')))
    if (store.kind !== 'embedded') throw new UsageError(NOT_EMBEDDED)
    const to = resolve(args.require('out'))
    const { bytes, sessions } = await explained(backupEmbedded(store.directory, org, to))
    io.out(`${io.styles.bold('backed up')}: ${to}, ${bytes} bytes, ${sessions} sessions\n`)
    return 0
  },
}

export const NOT_EMBEDDED = 'this configuration names a Redis store: back it up by Redis’ own means (see the README)'

export async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (fault) {
    throw fault instanceof StoreUnavailable ? new CommandFailure(fault.message, fault) : fault
  }
}
