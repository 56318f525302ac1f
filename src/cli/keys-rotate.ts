/** `errand keys rotate`: the successor of a signing key, announced at once and signing later. */
import { configPath, loadConfig } from '../config/load-config.ts'
import { epochSeconds, systemClock } from '../kernel/clock.ts'
import { loadKeys, rotate } from '../keys/key-files.ts'
import { KEY_ALGORITHMS, KEY_CLASSES, type KeyAlgorithm, type KeyClass, KeyRing } from '../keys/key-ring.ts'
import type { Command } from './command.ts'
import { CommandFailure } from './failures.ts'
import { CONFIG_OPTION, JSON_OPTION } from './options.ts'
import { writeJson } from './output.ts'
import { time } from './session-drawing.ts'
import { durationWords } from './terminal.ts'

export const keysRotateCommand: Command = {
  name: 'keys rotate',
  summary: 'announce the successor of a signing key',
  arguments: [],
  options: {
    class: { value: 'CLASS', help: `which keys: ${KEY_CLASSES.join(', ')}`, oneOf: KEY_CLASSES },
    alg: { value: 'ALG', help: `the algorithm: ${KEY_ALGORITHMS.join(', ')} (default ES256)`, oneOf: KEY_ALGORITHMS },
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  examples: ['errand keys rotate --class access --alg ES256'],
  notes: [
    'The new key is published first, and signs only when every verifier’s cache must have it. Running brokers learn of it by SIGHUP.',
  ],
  run: async (args, io) => {
    const cls = args.require('class') as KeyClass
    const alg = (args.text('alg') ?? 'ES256') as KeyAlgorithm
    const { keys, development } = loadConfig(configPath(args.text('config')))
    const now = epochSeconds(systemClock)
    const announced = new KeyRing(await loadKeys(keys.directory, { development }))
      .describe(now)
      .find((key) => key.class === cls && key.alg === alg && key.state === 'next')
    if (announced !== undefined) {
      throw new CommandFailure(
        `a successor is announced already: ${announced.kid} signs from ${time(announced.activateAt)}`,
      )
    }
    const { kid, activateAt } = await rotate(keys.directory, { class: cls, alg, now, development })
    if (args.flag('json')) {
      writeJson({ class: cls, alg, kid, activate_at: activateAt }, io)
      return 0
    }
    const wait = activateAt - now
    const when = wait <= 0 ? 'at once' : `in ${durationWords(wait)} (${time(activateAt)})`
    io.out(`${io.styles.bold('announced')}: ${cls} key ${kid} (${alg}) signs ${when}\n`)
    io.out(`  Tell every broker before then: kill -HUP <its process id>\n`)
    return 0
  },
}
