/** `errand init`: a few questions, and a broker's files that pass `check` as they are. Never writes over anything. */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { decodeConfig } from '../../config/load-config.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { ensureKeys } from '../../keys/key-files.ts'
import { parseRegistryText } from '../../registry/load-registry.ts'
import { parseYamlText } from '../../registry/strict-document.ts'
import { clientKeyPath, newClientKey } from '../agent/client-key.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { programName, shellWord, typedPath } from '../invocation.ts'
import type { Io } from '../io.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { createFile, PRIVATE, PUBLIC } from '../private-file.ts'
import { chooseEverything, INIT_OPTIONS } from './init-questions.ts'
import { type Choices, configText, registryText } from './scaffold.ts'

const IGNORED = '# What must never be committed: private keys and state.\nkeys/\nagents/\ndata/\n'

export const initCommand: CommandBody = {
  arguments: [],
  options: {
    directory: { value: 'DIR', help: 'where to write (default: here)' },
    yes: { help: 'ask nothing: what no option says gets its default' },
    ...INIT_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand init --directory broker',
    'errand init --directory broker --yes --agent report-agent --owner alice@corp.example --server https://warehouse.example/mcp --tools query:read,insert_rows:write',
  ],
  notes: [
    'Writes errand.yaml, registry.yaml, the broker’s keys and the first agent’s key pair. What is there already is never written over.',
  ],
  run: async (args, io) => {
    // Questions go where the answer goes.
    if (args.flag('json') && !args.flag('yes')) throw new UsageError('--json needs --yes: it asks nothing')
    const directory = resolve(args.text('directory') ?? '.')
    const configFile = join(directory, 'errand.yaml')
    const registryFile = join(directory, 'registry.yaml')
    refuseExisting([configFile, registryFile])
    const choices = await chooseEverything(args, io)
    const keyFile = clientKeyPath(directory, choices.agent.clientId)
    refuseExisting([keyFile])
    const key = newClientKey(choices.agent.clientId)
    const texts = { config: configText(choices), registry: registryText(choices, key.registered) }
    const config = assertRight(texts, directory)
    await mkdir(directory, { recursive: true })
    await createFile(keyFile, key.privateText.reveal(), PRIVATE)
    await createFile(registryFile, texts.registry, PUBLIC)
    await createFile(configFile, texts.config, PUBLIC)
    const ignoreFile = join(directory, '.gitignore')
    if (!existsSync(ignoreFile)) await createFile(ignoreFile, IGNORED, PUBLIC)
    await ensureKeys(config.keys.directory, { development: config.development, now: epochSeconds(systemClock) })
    const written = { directory, configFile, registryFile, keyFile }
    if (args.flag('json')) writeJson(asJson(written, choices), io)
    else tell(written, choices, io)
    return 0
  },
}

/** @throws UsageError */
function refuseExisting(paths: readonly string[]): void {
  const present = paths.find((path) => existsSync(path))
  if (present !== undefined) throw new UsageError(`${present} exists already, and is left as it is`)
}

/** Judged exactly as `serve` will judge them, before anything is written. @throws ConfigurationError */
function assertRight(texts: { readonly config: string; readonly registry: string }, directory: string) {
  const config = decodeConfig(parseYamlText(texts.config, 'errand.yaml'), 'errand.yaml', directory)
  const { issuer, accessTokenSeconds } = config.settings
  parseRegistryText(texts.registry, 'registry.yaml', { issuer, accessTokenSeconds })
  return config
}

interface Written {
  readonly directory: string
  readonly configFile: string
  readonly registryFile: string
  readonly keyFile: string
}

function asJson({ directory, configFile, registryFile, keyFile }: Written, { agent, server }: Choices) {
  return {
    directory,
    config_file: configFile,
    registry_file: registryFile,
    client: agent.clientId,
    key_file: keyFile,
    resource: server.id,
  }
}

function tell({ directory, configFile, keyFile }: Written, choices: Choices, io: Io): void {
  const { bold, dim } = io.styles
  const config = typedPath(configFile)
  const { agent, server } = choices
  const files: (readonly [string, string])[] = [
    ['errand.yaml', 'the broker’s configuration'],
    ['registry.yaml', 'who exists, and who may do what'],
    [relative(directory, keyFile), `the private key of ${agent.clientId} (0600): for the agent, and nobody else`],
    ['keys/', 'the broker’s signing keys (0600)'],
  ]
  const width = Math.max(...files.map(([name]) => name.length))
  io.out(
    [
      '',
      `${bold('written')} in ${directory}`,
      ...files.map(([name, words]) => `  ${name.padEnd(width)}  ${dim(words)}`),
      '',
      bold('next'),
      `  ${programName()} check --config ${config}`,
      `  ${programName()} serve --config ${config}`,
      dim('and in another shell, a first token as the agent gets it:'),
      `  ${programName()} exchange --config ${config} --client ${shellWord(agent.clientId)} --resource ${shellWord(server.url)}`,
      dim('and for the MCP server itself, to introspect its tokens, a client of its own:'),
      `  ${programName()} service add ${shellWord(`${server.id}-server`)} --config ${config} --resource ${shellWord(server.id)}`,
      '',
    ].join('\n'),
  )
}
