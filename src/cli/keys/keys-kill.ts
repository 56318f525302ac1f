/** `errand keys kill`: a signing key that others may hold. Everything it signed is dead at once, and it never signs again. */
import { configPath, loadConfig } from '../../config/load-config.ts'
import { loadKeys } from '../../keys/key-files.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import type { Io } from '../io.ts'
import { type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { KID_CHARS } from './keys.ts'

export const keysKillCommand: CommandBody = {
  arguments: ['KID'],
  options: { ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand keys kill 8Zb0yVq3nT1u'],
  notes: [
    'For a key that others may hold. Every broker refuses what it signed within a second, signs with another, and takes it out of /jwks; its file is renamed to …killed. A server that only reads signatures believes it until its copy of /jwks ends, ten minutes at most; one that asks /introspect does not. KID may be its beginning, as errand keys prints it. An internal key takes every session token with it: agents open new sessions.',
  ],
  run: async (args, io) => {
    const kid = await wholeKid(args.positionals[0] ?? '', args.text('config'))
    const operator = await connectOperator(args)
    const answer = await operator.post('/revocations', { dimension: 'key', kid })
    if (args.flag('json')) {
      writeJson(answer, io)
      return 0
    }
    return tellKeyKill(answer, kid, io)
  },
}

/** @returns the exit code: 1 where nothing signs in its place */
export function tellKeyKill(answer: JsonObject, kid: string, io: Io): number {
  const isDryRun = answer['would_revoke'] !== undefined
  const revoked = jsonObject(answer['revoked'] ?? answer['would_revoke'])
  const key = jsonObject(revoked['key'])
  const [cls, alg] = [textOf(key['class']), textOf(key['alg'])]
  const what = cls === undefined ? 'key' : `${cls} key`
  const short = (id: string) => id.slice(0, KID_CHARS)
  if (isDryRun) {
    io.out(`${io.styles.bold('dry run')}: ${what} ${short(kid)} lives; killed, everything it signed would be dead\n`)
    return 0
  }
  io.out(
    `${io.styles.bold('killed')}: ${what} ${short(kid)}: everything it signed is dead (sequence ${revoked['seq']})\n`,
  )
  if (cls === undefined) return 0
  const signs = textOf(key['signs'])
  if (signs === undefined) {
    io.err(`nothing signs ${cls} tokens with ${alg} now: errand keys rotate --class ${cls} --alg ${alg} --now\n`)
    return 1
  }
  io.out(`  ${short(signs)} signs in its place. Every machine of the ring needs its file.\n`)
  return 0
}

/** @throws UsageError where the beginning fits several keys */
export async function wholeKid(given: string, config: string | undefined): Promise<string> {
  const { keys, development } = loadConfig(configPath(config))
  const loaded = await loadKeys(keys.directory, { development })
  const fitting = loaded.filter(({ kid }) => kid.startsWith(given))
  if (fitting.length > 1) throw new UsageError(`several keys begin with ${given}: give more of the kid`)
  // Not here, and yet of the ring, perhaps: the broker knows.
  return fitting[0]?.kid ?? given
}
