/** `errand tools pin`: the digest of a server's tools, what has changed since it was pinned, and, when told to, the pin itself. */

import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { configPath, loadConfig } from '../../config/load-config.ts'
import { nearestName } from '../../kernel/nearest-name.ts'
import { manifestDigest } from '../../registry/manifest-digest.ts'
import { parseYamlText } from '../../registry/strict-document.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import type { Io } from '../io.ts'
import { readText } from '../named-document.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { printable } from '../terminal.ts'
import { entries, objectOf } from './registry-edit.ts'
import { chosenRegistry, REGISTRY_OPTION, registerClient } from './registry-file.ts'
import { type ListedTool, parseToolList, type ToolChange, toolChanges } from './tool-list.ts'

type Tools = Readonly<Record<string, { readonly definition?: string; readonly category?: unknown }>>

interface Pin {
  readonly resource: string
  readonly at: number
  readonly listed: readonly ListedTool[] | undefined
  readonly changes: readonly ToolChange[]
  readonly pinned: string | undefined
  readonly digest: string
}

export const toolsPinCommand: CommandBody = {
  arguments: ['RESOURCE', '[MANIFEST]'],
  options: {
    write: { help: 'write the digest, and what the server lists, into the registry' },
    ...REGISTRY_OPTION,
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  examples: ['errand tools pin warehouse tools.json', 'errand tools pin warehouse tools.json --write'],
  notes: [
    'MANIFEST is the result of tools/list, saved; without it the digest is of the tools as the registry lists them.',
    'Exit code 1: the tools are not those that are pinned, and nothing was written.',
    'With --write, a tool that is new or has changed has no category afterwards, so it counts as admin until somebody gives it one. What is proposed is as errand scan proposes it, and is never written.',
  ],
  run: async (args, io) => {
    const config = loadConfig(resolve(configPath(args.text('config'))))
    const [resource = '', file] = args.positionals
    const registryFile = chosenRegistry(config, args)
    const pin = pinOf(readFileSync(registryFile, 'utf8'), basename(registryFile), resource, file)
    const isWritten = args.flag('write')
    if (isWritten) await registerClient(config, { registryFile, file: undefined }, (text) => pinnedText(text, pin))
    const { changes, pinned, digest } = pin
    if (args.flag('json')) writeJson({ resource, changes, pinned: pinned ?? null, digest, written: isWritten }, io)
    else tell(pin, isWritten, io)
    return isWritten || pinned === digest ? 0 : 1
  },
}

function pinOf(text: string, sourceName: string, resource: string, file: string | undefined): Pin {
  const resources = entries(parseYamlText(text, sourceName), 'resources').map(objectOf)
  const ids = resources.map(({ id }) => String(id))
  const at = ids.indexOf(resource)
  if (at < 0) {
    const nearest = nearestName(resource, ids)
    throw new UsageError(
      `${sourceName} has no resource ${resource}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
    )
  }
  const entry = objectOf(resources[at])
  const tools = objectOf(entry['tools']) as Tools
  const listed = file === undefined ? undefined : parseToolList(readText(file), file)
  const pinned = typeof entry['manifest_digest'] === 'string' ? entry['manifest_digest'] : undefined
  const now =
    listed === undefined ? tools : Object.fromEntries(listed.map(({ name, definition }) => [name, { definition }]))
  return {
    resource,
    at,
    listed,
    changes: toolChanges(tools, listed ?? listedIn(tools)),
    pinned,
    digest: manifestDigest(now),
  }
}

function listedIn(tools: Tools): readonly ListedTool[] {
  return Object.entries(tools).map(([name, { definition }]) => ({
    name,
    definition: definition ?? '',
    proposal: undefined,
  }))
}

/** Comments stay; what is written of a tool is the server's definition, never a category. */
function pinnedText(text: string, { at, listed, changes, digest }: Pin): string {
  const document = parseDocument(text)
  const path = ['resources', at]
  for (const { tool, change } of changes) {
    if (change === 'removed') document.deleteIn([...path, 'tools', tool])
    else for (const member of ['category', 'delegable']) document.deleteIn([...path, 'tools', tool, member])
  }
  for (const { name, definition } of listed ?? []) {
    if (!document.hasIn([...path, 'tools', name])) document.setIn([...path, 'tools', name], document.createNode({}))
    document.setIn([...path, 'tools', name, 'definition'], definition)
  }
  document.setIn([...path, 'manifest_digest'], digest)
  return document.toString({ lineWidth: 0 })
}

function tell({ resource, changes, pinned, digest }: Pin, isWritten: boolean, io: Io): void {
  const { bold, dim, good, bad } = io.styles
  const lines = changes.map(({ tool, change, was, proposal }) => {
    const before = was === undefined ? '' : ` (was ${was})`
    const proposed = proposal === undefined ? '' : dim(`  proposed: ${proposal}`)
    return `${bold(change)}  ${printable(tool)}${before}${proposed}`
  })
  const state = isWritten
    ? good('pinned')
    : pinned === digest
      ? good('as pinned')
      : bad(pinned === undefined ? 'not pinned' : 'not as pinned')
  io.out(`${[...lines, `${state}  ${resource}`, `  manifest_digest: ${digest}`].join('\n')}\n`)
}
