/** `errand keys rotate`: the successor of a signing key, announced at once and signing later. */
import { configPath, loadConfig } from '../../config/load-config.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { loadKeys, rotate } from '../../keys/key-files.ts'
import { KeyRing } from '../../keys/key-ring.ts'
import { KEY_ALGORITHMS, KEY_CLASSES, type KeyAlgorithm, type KeyClass } from '../../keys/ring-view.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure } from '../failures.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { durationWords, time } from '../terminal.ts'
import { KID_CHARS } from './keys.ts'

export const keysRotateCommand: CommandBody = {
  arguments: [],
  options: {
    class: { value: 'CLASS', help: `which keys: ${KEY_CLASSES.join(', ')}`, oneOf: KEY_CLASSES },
    alg: { value: 'ALG', help: `the algorithm: ${KEY_ALGORITHMS.join(', ')} (default ES256)`, oneOf: KEY_ALGORITHMS },
    now: { help: 'sign at once: for a group of keys that has none left to sign with' },
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  examples: ['errand keys rotate --class access --alg ES256'],
  notes: [
    'The new key is published first, and signs only when every verifier’s cache must have it: an internal one, which only brokers read, after a minute. Brokers on this key directory find it by themselves; other machines need a copy of its file before then.',
  ],
  run: async (args, io) => {
    const cls = args.require('class') as KeyClass
    const alg = (args.text('alg') ?? 'ES256') as KeyAlgorithm
    const config = loadConfig(configPath(args.text('config')))
    const { keys, development } = config
    const now = epochSeconds(systemClock)
    const announced = new KeyRing(await loadKeys(keys.directory, { development }))
      .describe(now)
      .find((key) => key.class === cls && key.alg === alg && key.state === 'next')
    if (announced !== undefined) {
      throw new CommandFailure(
        `a successor is announced already: ${announced.kid} signs from ${time(announced.activateAt)}`,
      )
    }
    const wanted = { class: cls, alg, now, development, ...(args.flag('now') ? { publishSeconds: 0 } : {}) }
    const { kid, activateAt } = await rotate(keys.directory, wanted)
    if (args.flag('json')) {
      writeJson({ class: cls, alg, kid, activate_at: activateAt }, io)
      return 0
    }
    const wait = activateAt - now
    const when = `in ${durationWords(wait)} (${time(activateAt)})`
    io.out(`${io.styles.bold('announced')}: ${cls} key ${kid.slice(0, KID_CHARS)} (${alg}) signs ${when}\n`)
    io.out(`  Brokers on ${keys.directory} find it by themselves; every other machine needs its file by then.\n`)
    return 0
  },
}
