/** `errand apikey list`: which API keys there are, what they open, and how long; from the registry, without a broker. */

import { configPath, loadConfig, loadRegistryFiles } from '../../config/load-config.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import type { ApiKey } from '../../model/client.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { time } from '../terminal.ts'
import { keyWords, opens } from './apikey-drawing.ts'

export const apikeyListCommand: CommandBody = {
  arguments: ['[AGENT]'],
  options: { ...CONFIG_OPTION, ...JSON_OPTION },
  examples: ['errand apikey list'],
  notes: ['An id begins the SHA-256 of its key: of a key that was found, errand doctor says whose it is.'],
  run: async (args, io) => {
    const config = loadConfig(configPath(args.text('config')))
    const registry = loadRegistryFiles(config)
    const [wanted] = args.positionals
    if (wanted !== undefined && registry.client(wanted) === undefined)
      throw new UsageError(`no agent is named ${wanted}`)
    const agents = registry.agents.filter(({ clientId }) => wanted === undefined || clientId === wanted)
    const now = epochSeconds(systemClock)
    const keys = agents.flatMap(({ clientId, apiKeys }) => apiKeys.map((key) => ({ clientId, key })))
    const isOn = config.settings.apiKeys
    if (args.flag('json')) {
      const told = keys.map(({ clientId, key }) => ({ client: clientId, ...keyWords(key), state: stateOf(key, now) }))
      writeJson({ switched_on: isOn, keys: told }, io)
      return 0
    }
    const lines = keys.map(({ clientId, key }) => {
      return `${clientId}  ${key.id}  ${stateOf(key, now)} until ${time(key.expiresAt)}  ${io.styles.dim(opens(key))}`
    })
    const off = 'client_authentication.api_keys is off: none of them opens anything'
    io.out([...lines, ...(keys.length === 0 ? ['no API keys'] : isOn ? [] : [off]), ''].join('\n'))
    return 0
  },
}

function stateOf({ issuedAt, expiresAt }: ApiKey, now: number): 'good' | 'ended' | 'not yet' {
  if (!(now < expiresAt)) return 'ended'
  return issuedAt <= now ? 'good' : 'not yet'
}
