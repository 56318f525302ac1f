/** `errand agent add`: a new agent with a key pair of its own; the private half goes into a file, the public into the registry. */
import { basename, dirname, resolve } from 'node:path'
import type { Config } from '../../config/config.ts'
import { configPath, loadConfig } from '../../config/load-config.ts'
import { nearestName } from '../../kernel/nearest-name.ts'
import { clientKeyPath, newClientKey } from '../agent/client-key.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { programName, typedPath } from '../invocation.ts'
import type { Io } from '../io.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { addAgent, type NewAgent } from './registry-edit.ts'
import { chosenRegistry, REGISTRY_OPTION, registerClient } from './registry-file.ts'

/** Nothing begins suspended or retired. */
const FIRST_STATES = ['draft', 'testing', 'active'] as const
const GRANT_TYPES = ['token-exchange', 'client_credentials', 'jwt-bearer'] as const

export const agentAddCommand: CommandBody = {
  arguments: ['CLIENT'],
  options: {
    owner: { value: 'WHO', help: 'who answers for it: user:SLUG:SUB, group:NAME, or a team’s name' },
    state: { value: 'STATE', help: `where its life begins: ${FIRST_STATES.join(', ')} (default active)` },
    manifest: { value: 'SERVER[:TOOL],…', help: 'the most it may ever have (default: nothing)' },
    'grant-types': { value: 'TYPE,…', help: `how it asks: ${GRANT_TYPES.join(', ')} (default token-exchange)` },
    upstream: { value: 'SLUG=ID', help: 'its client id at an IdP, for users’ tokens', repeats: true },
    ...REGISTRY_OPTION,
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  examples: ['errand agent add chart-maker --owner bob@corp.example --manifest warehouse:query,slack'],
  notes: [
    'The registry keeps its comments and layout. Nothing is written unless the whole registry is still right with the new agent in it.',
  ],
  run: async (args, io) => {
    const configFile = resolve(configPath(args.text('config')))
    const config = loadConfig(configFile)
    const [clientId = ''] = args.positionals
    const registryFile = chosenRegistry(config, args)
    const key = newClientKey(clientId)
    const keyFile = clientKeyPath(dirname(configFile), clientId)
    await registerClient(config, { registryFile, file: { path: keyFile, text: key.privateText } }, (text) =>
      addAgent(text, basename(registryFile), entryOf(clientId, args, config, key.registered)),
    )
    if (args.flag('json')) writeJson({ client: clientId, key_file: keyFile, registry_file: registryFile }, io)
    else tell(clientId, { keyFile, registryFile, configFile }, io)
    return 0
  },
}

function entryOf(clientId: string, args: Args, { settings }: Config, key: Readonly<Record<string, string>>): NewAgent {
  const upstream = Object.fromEntries(args.all('upstream').map(upstreamPair))
  return {
    client_id: clientId,
    owner: args.require('owner'),
    environment: settings.environment,
    ...(args.flag('state') ? { state: firstState(args.require('state')) } : {}),
    keys: [key],
    grant_types: grantTypes(args),
    manifest: args.list('manifest').map(manifestEntry),
    ...(args.flag('upstream') ? { upstream } : {}),
  }
}

function firstState(text: string): string {
  if ((FIRST_STATES as readonly string[]).includes(text)) return text
  throw new UsageError(`--state: an agent begins as one of ${FIRST_STATES.join(', ')}`)
}

function grantTypes(args: Args): readonly string[] {
  const named = args.flag('grant-types') ? args.list('grant-types') : ['token-exchange']
  for (const name of named) {
    if ((GRANT_TYPES as readonly string[]).includes(name)) continue
    const nearest = nearestName(name, GRANT_TYPES)
    throw new UsageError(
      `--grant-types: ${name} is unknown${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
    )
  }
  return named
}

function manifestEntry(text: string): Readonly<Record<string, string>> {
  const [server = '', tool, ...rest] = text.split(':')
  if (server === '' || tool === '' || rest.length > 0)
    throw new UsageError('--manifest is written server or server:tool, separated by commas')
  return tool === undefined ? { server } : { server, tool }
}

function upstreamPair(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 1 || at === text.length - 1) throw new UsageError('--upstream is written <issuer slug>=<client id there>')
  return [text.slice(0, at), text.slice(at + 1)]
}

interface Files {
  readonly keyFile: string
  readonly registryFile: string
  readonly configFile: string
}

function tell(clientId: string, { keyFile, registryFile, configFile }: Files, io: Io): void {
  const { bold, dim } = io.styles
  io.out(
    [
      `${bold('added')}: agent ${clientId}`,
      `  ${dim('registry')}     ${registryFile}`,
      `  ${dim('private key')}  ${keyFile} (0600): give it to the agent, and to nobody else`,
      '',
      'Next: see that a grant allows its users what it is to do, publish it, and get a token as the agent:',
      `  ${programName()} check --config ${typedPath(configFile)}`,
      `  ${programName()} policy apply --config ${typedPath(configFile)}`,
      `  ${programName()} exchange --config ${typedPath(configFile)} --client ${clientId} --resource <URL of the MCP server>`,
      '',
    ].join('\n'),
  )
}
