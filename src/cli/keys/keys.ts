/** `errand keys`: the broker's signing keys by class and state. */

import { configPath, loadConfig } from '../../config/load-config.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { loadKeys } from '../../keys/key-files.ts'
import { type KeyDescription, KeyRing } from '../../keys/key-ring.ts'
import { KEY_CLASSES } from '../../keys/ring-view.ts'
import type { CommandBody } from '../command.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import type { Styles } from '../terminal.ts'
import { time } from '../terminal.ts'

/** Enough to tell keys apart; `--json` has the whole. */
export const KID_CHARS = 12

export const keysCommand: CommandBody = {
  arguments: [],
  options: { ...CONFIG_OPTION, ...JSON_OPTION },
  examples: ['errand keys', 'errand keys --json'],
  notes: [
    'next: published, not signing yet. active: signs. retired: verifies until its last token has expired. gone: its file may be deleted. A kid is cut to its beginning here; --json has the whole.',
  ],
  run: async (args, io) => {
    const { keys, development } = loadConfig(configPath(args.text('config')))
    const ring = new KeyRing(await loadKeys(keys.directory, { development }))
    const described = ring.describe(epochSeconds(systemClock))
    if (args.flag('json')) writeJson({ keys: described.map(toJson) }, io)
    else
      io.out(
        described.length === 0
          ? `no keys in ${keys.directory}: errand serve makes them\n`
          : table(described, io.styles),
      )
    return 0
  },
}

function toJson(key: KeyDescription) {
  const { class: cls, alg, kid, state, activateAt, createdAt, goneAt, development } = key
  return { class: cls, alg, kid, state, activate_at: activateAt, created_at: createdAt, gone_at: goneAt, development }
}

function table(keys: readonly KeyDescription[], styles: Styles): string {
  const byClass = keys.toSorted((a, b) => KEY_CLASSES.indexOf(a.class) - KEY_CLASSES.indexOf(b.class))
  const rows = byClass.map((key) => [
    key.class,
    key.alg,
    key.state,
    time(key.activateAt),
    key.goneAt === undefined ? 'until it has a successor' : `until ${time(key.goneAt)}`,
    `${key.kid.slice(0, KID_CHARS)}${key.development ? '  dev' : ''}`,
  ])
  const heads = ['class', 'alg', 'state', 'signs since', 'verifies', 'kid']
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const text = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return `${[styles.dim(text(heads)), ...rows.map(text)].join('\n')}\n`
}
