/** `errand agent add`: a new agent with a key pair of its own; the private half goes into a file, the public into the registry. */
import { readFileSync, realpathSync, statSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import type { Config } from '../config/config.ts'
import { configPath, loadConfig } from '../config/load-config.ts'
import { decodeRegistryDocuments } from '../registry/load-registry.ts'
import { nearestName, parseYamlText } from '../registry/strict-document.ts'
import type { Args } from './args.ts'
import { clientKeyPath, newClientKey } from './client-key.ts'
import type { Command } from './command.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { programName, typedPath } from './invocation.ts'
import type { Io } from './io.ts'
import { CONFIG_OPTION } from './options.ts'
import { codeOf, createFile, PRIVATE, replaceFile } from './private-file.ts'
import { addAgent, type NewAgent } from './registry-edit.ts'

const GRANT_TYPES = ['token-exchange', 'client_credentials'] as const

export const agentAddCommand: Command = {
  name: 'agent add',
  summary: 'register an agent and make its key pair',
  arguments: ['CLIENT'],
  options: {
    owner: { value: 'WHO', help: 'the person or team that answers for it' },
    manifest: { value: 'SERVER[:TOOL],…', help: 'the most it may ever have (default: nothing)' },
    'grant-types': { value: 'TYPE,…', help: `how it asks: ${GRANT_TYPES.join(', ')} (default token-exchange)` },
    upstream: { value: 'SLUG=ID', help: 'its client id at an IdP, for users’ tokens', repeats: true },
    registry: { value: 'FILE', help: 'which registry file, where the configuration names several' },
    ...CONFIG_OPTION,
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
    const text = readFileSync(registryFile, 'utf8')
    const edited = addAgent(text, basename(registryFile), entryOf(clientId, args, config, key.registered))
    assertStillRight(config, registryFile, edited)
    const keyFile = clientKeyPath(dirname(configFile), clientId)
    await createFile(keyFile, key.privateText.reveal(), PRIVATE)
    try {
      if (readFileSync(registryFile, 'utf8') !== text)
        throw new CommandFailure(`${registryFile} was changed meanwhile; try again`)
      await replaceFile(registryFile, edited, statSync(registryFile).mode & 0o777)
    } catch (fault) {
      await unlink(keyFile)
      throw fault
    }
    tell(clientId, { keyFile, registryFile, configFile }, io)
    return 0
  },
}

/** @throws UsageError where the file is not the configuration's, or cannot be known */
function chosenRegistry({ registryPaths }: Config, args: Args): string {
  const given = args.text('registry')
  if (given === undefined) {
    const [only, ...others] = registryPaths
    if (only !== undefined && others.length === 0) return realPath(only)
    throw new UsageError(
      `the configuration names several registry files: choose one with --registry (${registryPaths.join(', ')})`,
    )
  }
  const path = registryPaths.find((one) => resolve(given) === one)
  if (path !== undefined) return realPath(path)
  throw new UsageError(`--registry ${given} is none of the configuration's: ${registryPaths.join(', ')}`)
}

/** What a link leads to: replacing the link itself would cut it. @throws UsageError */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch (fault) {
    throw new UsageError(`${path} cannot be read (${codeOf(fault)})`)
  }
}

function entryOf(clientId: string, args: Args, { settings }: Config, key: Readonly<Record<string, string>>): NewAgent {
  const upstream = Object.fromEntries(args.all('upstream').map(upstreamPair))
  return {
    client_id: clientId,
    owner: args.require('owner'),
    environment: settings.environment,
    keys: [key],
    grant_types: grantTypes(args),
    manifest: args.list('manifest').map(manifestEntry),
    ...(args.flag('upstream') ? { upstream } : {}),
  }
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

/** The whole registry, with the edited file in the place of the old one. @throws ConfigurationError */
function assertStillRight(config: Config, registryFile: string, edited: string): void {
  const documents = config.registryPaths.map((path) => {
    const text = realPath(path) === registryFile ? edited : readFileSync(path, 'utf8')
    return { document: parseYamlText(text, basename(path)), sourceName: basename(path) }
  })
  const { issuer, accessTokenSeconds } = config.settings
  decodeRegistryDocuments(documents, { issuer, accessTokenSeconds })
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
      'Next: see that a grant allows its users what it is to do, start the broker again, and get a token as the agent:',
      `  ${programName()} check --config ${typedPath(configFile)}`,
      `  ${programName()} exchange --config ${typedPath(configFile)} --client ${clientId} --resource <URL of the MCP server>`,
      '',
    ].join('\n'),
  )
}
