/**
 * `errand scan`: what an MCP server's tools are, of which category each is proposed to be and why; written into the registry and
 * pinned when told to; and, later, what has changed since.
 */
import { basename, resolve } from 'node:path'
import type { Config } from '../../config/config.ts'
import { configPath, loadConfig } from '../../config/load-config.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { dayText } from '../../kernel/time-text.ts'
import type { ToolCategory } from '../../model/resource.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { programName, typedPath } from '../invocation.ts'
import type { Io } from '../io.ts'
import { readText } from '../named-document.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { PUBLIC, replaceFile } from '../private-file.ts'
import { chosenRegistry, REGISTRY_OPTION, registerClient } from '../registry/registry-file.ts'
import { readToken } from '../token-input.ts'
import { McpDoor } from './mcp-door.ts'
import { propose } from './proposal.ts'
import { keptList, listPath, type Registered, registeredIn } from './registered.ts'
import { drawScan, type Scan } from './scan-drawing.ts'
import { addServer, digestOf, repinServer, type ScannedTool } from './scanned-entry.ts'
import { shown, shownJson } from './shown-text.ts'
import { driftOf } from './tool-drift.ts'
import { type Listing, listTools } from './tools-listing.ts'

const CATEGORIES: readonly string[] = ['read', 'write', 'destructive', 'admin'] satisfies ToolCategory[]
/** As MCP 2025-11-25 names tools. */
const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/

export const scanCommand: CommandBody = {
  arguments: ['URL'],
  options: {
    'token-file': {
      value: 'FILE',
      help: 'a token that the server accepts, where it wants one; - reads it from a pipe',
    },
    against: { value: 'FILE', help: 'compare with this registry file, and exit with 1 where anything differs' },
    write: { help: 'write what it lists into the configured registry, and pin it' },
    id: { value: 'ID', help: 'the resource’s id (default: the one of this URL; of a new one, the host’s name)' },
    owner: {
      value: 'OWNER',
      help: 'who answers for a server that is new: user:<issuer slug>:<sub>, group:<name> or a team',
    },
    category: { value: 'TOOL=CATEGORY', help: 'what a tool is, whatever the server says of it', repeats: true },
    'trust-annotations': {
      help: 'you answer for this server: where a tool’s name says nothing, its annotations may',
    },
    ...REGISTRY_OPTION,
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  examples: [
    'errand scan https://mcp.example/mcp',
    'errand scan https://mcp.example/mcp --write --owner group:platform',
    'errand scan https://mcp.example/mcp --against registry.yaml --token-file server.jwt',
  ],
  notes: [
    'A category is the worst of what the tool’s name says and what its annotations say: these raise it, and never lower it. A name that says nothing counts as destructive.',
    'With --write, a server that is new is entered in the state testing; of one that is registered, a tool that is new or has changed has no category afterwards, so it counts as admin, unless --category gives it one.',
    'Exit code 1 with --against: the tools are not those that are pinned.',
  ],
  run: async (args, io) => {
    if (args.flag('against') && args.flag('write')) throw new UsageError('--against and --write exclude each other')
    const [url = ''] = args.positionals
    const configFile = resolve(configPath(args.text('config')))
    const config = args.flag('write') ? loadConfig(configFile) : undefined
    const file = config === undefined ? args.text('against') : chosenRegistry(config, args)
    const tokenFile = args.text('token-file')
    const door = new McpDoor(url, tokenFile === undefined ? undefined : await readToken(tokenFile, io))
    const found = file === undefined ? undefined : registeredIn(readText(file), basename(file), url, args.text('id'))
    if (config === undefined && file !== undefined && found === undefined) {
      throw new UsageError(`${file} has no resource ${args.text('id') ?? `with the url ${url}`}`)
    }
    const scan = scanOf(url, await listTools(door), args, { file, found })
    const written =
      config === undefined || file === undefined ? undefined : await write(scan, { config, configFile, file, args })
    if (args.flag('json')) io.out(`${shownJson(jsonOf(scan, written))}\n`)
    else tell(scan, written, io)
    return file === undefined || written !== undefined || isAsPinned(scan) ? 0 : 1
  },
}

interface Place {
  readonly file: string | undefined
  readonly found: Registered | undefined
}

function scanOf(url: string, { protocol, tools: listed }: Listing, args: Args, { file, found }: Place): Scan {
  const usable = listed.filter(({ name }) => typeof name === 'string' && TOOL_NAME.test(name) && name !== '__proto__')
  const names = usable.map(({ name }) => String(name))
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  // Which of the two would be called, and which was looked at, nobody could say.
  if (twice !== undefined) throw new CommandFailure(`${url} lists the tool ${twice} twice`)
  const chosen = chosenCategories(args, names)
  const tools = usable.map((tool): ScannedTool => {
    const name = String(tool['name'])
    const proposal = propose(tool, args.flag('trust-annotations'))
    return { name, listed: tool, proposal, chosen: chosen.get(name) }
  })
  const kept = file === undefined || found === undefined ? [] : keptList(file, found.id)
  return {
    url,
    protocol,
    day: dayText(epochSeconds(systemClock)),
    tools,
    leftOut: listed.filter((tool) => !usable.includes(tool)).map(({ name }) => String(name)),
    digest: digestOf(tools),
    registered: found,
    drift: found === undefined ? [] : driftOf(found.tools, usable, kept),
  }
}

/** @throws UsageError */
function chosenCategories(args: Args, names: readonly string[]): ReadonlyMap<string, ToolCategory> {
  return new Map(
    args.all('category').map((pair) => {
      const [, tool = '', category = ''] = /^([^=]+)=(.+)$/.exec(pair) ?? []
      if (!CATEGORIES.includes(category))
        throw new UsageError(`--category is TOOL=CATEGORY, with one of ${CATEGORIES.join(', ')}`)
      if (!names.includes(tool)) throw new UsageError(`--category: the server lists no tool ${tool}`)
      return [tool, category as ToolCategory]
    }),
  )
}

interface Target {
  readonly config: Config
  readonly configFile: string
  readonly file: string
  readonly args: Args
}

interface Written {
  readonly id: string
  readonly registryFile: string
  readonly listFile: string
  readonly configFile: string
}

/** The registry first: a list that is newer than the pin is not believed. @throws UsageError, ConfigurationError, CommandFailure */
async function write(scan: Scan, { config, configFile, file, args }: Target): Promise<Written> {
  const { registered } = scan
  const id = registered?.id ?? args.text('id') ?? hostName(scan.url)
  const listFile = listPath(file, id)
  const kept = {
    url: scan.url,
    protocol: scan.protocol,
    listed_on: scan.day,
    tools: scan.tools.map((one) => one.listed),
  }
  const owner = registered === undefined ? args.require('owner') : ''
  await registerClient(config, { registryFile: file, file: undefined }, (text) =>
    registered === undefined
      ? addServer(text, basename(file), scan, { id, owner })
      : repinServer(text, registered.at, scan, scan.drift),
  )
  await replaceFile(listFile, `${shownJson(kept)}\n`, PUBLIC)
  return { id, registryFile: file, listFile, configFile }
}

/** `mcp.example` of `https://mcp.example:8443/mcp`. */
function hostName(url: string): string {
  return new URL(url).hostname.replaceAll(/[^A-Za-z0-9._-]/g, '')
}

export function isAsPinned({ registered, drift, digest, leftOut }: Scan): boolean {
  return registered?.pinned === digest && drift.length === 0 && leftOut.length === 0
}

function jsonOf(scan: Scan, written: Written | undefined): object {
  const { url, protocol, registered, digest, tools, leftOut, drift } = scan
  return {
    url,
    protocol,
    resource: written?.id ?? registered?.id ?? null,
    digest,
    pinned: registered?.pinned ?? null,
    ...(registered === undefined ? {} : { as_pinned: isAsPinned(scan) }),
    tools: tools.map(({ name, proposal, chosen }) => {
      const category = chosen ?? proposal.category
      return {
        name,
        category,
        scope: `mcp:tools:${category}`,
        because: chosen === undefined ? proposal.because : ['--category'],
      }
    }),
    left_out: leftOut,
    drift: drift.map(({ isPrivilegeChange, parts, ...rest }) => ({
      ...rest,
      parts: parts ?? null,
      privilege_change: isPrivilegeChange,
    })),
    written: written === undefined ? null : { registry_file: written.registryFile, list_file: written.listFile },
  }
}

function tell(scan: Scan, written: Written | undefined, io: Io): void {
  const lines = drawScan(scan, isAsPinned(scan), io.styles)
  const { good, dim } = io.styles
  const more =
    written === undefined
      ? []
      : [
          `${good('written')}  ${written.id}`,
          `  ${dim('registry')}  ${written.registryFile}`,
          `  ${dim('list')}      ${shown(written.listFile)}`,
          ...nextSteps(scan, written),
        ]
  io.out(`${[...lines, ...more].join('\n')}\n`)
}

/** What is left to a person: nothing that was written is published yet, and what has no category counts as admin. */
function nextSteps({ registered, tools, drift }: Scan, { configFile }: Written): readonly string[] {
  const chosen = new Set(tools.filter((tool) => tool.chosen !== undefined).map(({ name }) => name))
  const open = drift.filter(({ tool, change }) => (change === 'added' || change === 'changed') && !chosen.has(tool))
  return [
    '',
    registered === undefined || open.length === 0
      ? 'Next: look at the entry, check it, and publish it:'
      : 'Next: give each tool that was added or has changed a category (until then it counts as admin), check it, and publish it:',
    `  ${programName()} check --config ${typedPath(configFile)}`,
    `  ${programName()} policy apply --config ${typedPath(configFile)}`,
  ]
}
