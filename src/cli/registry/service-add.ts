/** `errand service add`: a client for an MCP server itself, so that it may ask the broker about the tokens it is shown. */
import { basename, dirname, resolve } from 'node:path'
import { configPath, loadConfig } from '../../config/load-config.ts'
import { clientKeyPath, newClientKey } from '../agent/client-key.ts'
import type { CommandBody } from '../command.ts'
import { programName, typedPath } from '../invocation.ts'
import type { Io } from '../io.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { addService } from './registry-edit.ts'
import { chosenRegistry, REGISTRY_OPTION, registerClient } from './registry-file.ts'

export const serviceAddCommand: CommandBody = {
  arguments: ['CLIENT'],
  options: {
    resource: { value: 'RESOURCE', help: 'the id of the MCP server in the registry, whose tokens it may introspect' },
    evaluate: { help: 'let it ask for decisions, too: AuthZEN at /access/v1' },
    follow: { help: 'let it follow the revocations, too: GET /revocations' },
    ...REGISTRY_OPTION,
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  examples: [
    'errand service add warehouse-server --resource warehouse',
    'errand service add warehouse-server --resource warehouse --evaluate',
    'errand service add warehouse-server --resource warehouse --follow',
  ],
  notes: [
    'The registry keeps its comments and layout. Nothing is written unless the whole registry is still right with the new service in it.',
  ],
  run: async (args, io) => {
    const configFile = resolve(configPath(args.text('config')))
    const config = loadConfig(configFile)
    const [clientId = ''] = args.positionals
    const resource = args.require('resource')
    const registryFile = chosenRegistry(config, args)
    const key = newClientKey(clientId)
    const keyFile = clientKeyPath(dirname(configFile), clientId)
    const evaluate = args.flag('evaluate')
    const follow = args.flag('follow')
    const scopes = [...(evaluate ? ['evaluate'] : []), ...(follow ? ['revocations'] : [])]
    const asks = scopes.length === 0 ? {} : { grant_types: ['client_credentials'], api_scopes: scopes }
    const service = { client_id: clientId, keys: [key.registered], ...asks }
    await registerClient(config, { registryFile, file: { path: keyFile, text: key.privateText } }, (text) =>
      addService(text, basename(registryFile), service, resource),
    )
    const files = { key_file: keyFile, registry_file: registryFile }
    if (args.flag('json')) writeJson({ client: clientId, resource, evaluate, follow, ...files }, io)
    else tell({ clientId, resource, evaluate, follow, keyFile, registryFile, configFile }, io)
    return 0
  },
}

interface Added {
  readonly clientId: string
  readonly resource: string
  readonly evaluate: boolean
  readonly follow: boolean
  readonly keyFile: string
  readonly registryFile: string
  readonly configFile: string
}

function tell({ clientId, resource, evaluate, follow, keyFile, registryFile, configFile }: Added, io: Io): void {
  const { bold, dim } = io.styles
  io.out(
    [
      `${bold('added')}: service ${clientId}, which may introspect the tokens of ${resource}${evaluate ? ', and ask for decisions about it' : ''}${follow ? ', and follow the revocations' : ''}`,
      `  ${dim('registry')}     ${registryFile}`,
      `  ${dim('private key')}  ${keyFile} (0600): give it to the MCP server, and to nobody else`,
      '',
      'Next: check it, and publish it:',
      `  ${programName()} check --config ${typedPath(configFile)}`,
      `  ${programName()} policy apply --config ${typedPath(configFile)}`,
      `Once the server does it, say so in the entry of ${resource}: without it Errand takes the server for one that hears of nothing`,
      `  revocation_check: ${follow ? 'feed' : 'introspection'}`,
      '',
    ].join('\n'),
  )
}
