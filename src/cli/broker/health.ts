/** `errand health`: asks the broker whether it is ready, for people and for container engines. */
import { configPath, loadConfig } from '../../config/load-config.ts'
import type { Args } from '../args.ts'
import { BrokerClient } from '../broker-client.ts'
import type { CommandBody } from '../command.ts'
import { type JsonObject, jsonObject } from '../json-fields.ts'
import { BROKER_OPTION, brokerAddress } from '../operator.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'

export const healthCommand: CommandBody = {
  arguments: [],
  options: { ...CONFIG_OPTION, ...BROKER_OPTION, ...JSON_OPTION },
  examples: ['errand health', 'errand health --json'],
  notes: ['Exit code 0: ready; 1: not. Needs no key, and changes nothing.'],
  run: async (args, io) => {
    const answer = await readiness(args)
    const isReady = answer['status'] === 'ready'
    if (args.flag('json')) writeJson(answer, io)
    else {
      io.out(`${isReady ? io.styles.good('ready') : io.styles.bad('not ready')}\n`)
      for (const [check, found] of Object.entries(jsonObject(answer['checks'])))
        io.out(`  ${check.padEnd(12)} ${found}\n`)
    }
    return isReady ? 0 : 1
  },
}

async function readiness(args: Args): Promise<JsonObject> {
  const { base, certificate } = brokerAddress(loadConfig(configPath(args.text('config'))), args)
  const { origin } = new URL(base)
  return new BrokerClient(origin, certificate).state('/readyz')
}
