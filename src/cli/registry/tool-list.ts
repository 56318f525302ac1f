/** An MCP `tools/list` result on disk, beside the tools of a registry entry: what has changed, and what the new may be. */
import { JwtError } from '../../jose/jwt-error.ts'
import { isJsonObject, parseStrictJson } from '../../jose/strict-json.ts'
import type { ToolCategory } from '../../model/resource.ts'
import { definitionDigest } from '../../registry/manifest-digest.ts'
import { UsageError } from '../failures.ts'
import { propose } from '../scan/proposal.ts'

export interface ListedTool {
  readonly name: string
  readonly definition: string
  /** What `errand scan` would say it is, for people to judge. `undefined`: only the registry's word of it is at hand. */
  readonly proposal: ToolCategory | undefined
}

export interface ToolChange {
  readonly tool: string
  readonly change: 'added' | 'changed' | 'removed'
  readonly was: string | undefined
  readonly proposal: ToolCategory | undefined
}

/** The result itself, the JSON-RPC response around it, or its list of tools. @throws UsageError */
export function parseToolList(text: string, file: string): readonly ListedTool[] {
  const tools = toolsIn(parse(text, file))
  if (!Array.isArray(tools)) throw new UsageError(`${file} has no list of tools: save the result of tools/list`)
  const listed = tools.map((tool: unknown, index): ListedTool => {
    if (!isJsonObject(tool) || typeof tool['name'] !== 'string') {
      throw new UsageError(`${file}: tools[${index}] has no name`)
    }
    return { name: tool['name'], definition: definitionDigest(tool), proposal: propose(tool).category }
  })
  const names = new Set(listed.map(({ name }) => name))
  if (names.size < listed.length) throw new UsageError(`${file} lists a tool twice`)
  return listed
}

function parse(text: string, file: string): unknown {
  try {
    return parseStrictJson(text)
  } catch (fault) {
    if (fault instanceof JwtError) throw new UsageError(`${file}: ${fault.message}`)
    throw fault
  }
}

function toolsIn(value: unknown): unknown {
  if (!isJsonObject(value)) return value
  return isJsonObject(value['result']) ? value['result']['tools'] : value['tools']
}

/** @param entry the tools as the registry document has them */
export function toolChanges(
  entry: Readonly<Record<string, { readonly definition?: unknown; readonly category?: unknown }>>,
  listed: readonly ListedTool[],
): readonly ToolChange[] {
  const changes: ToolChange[] = []
  for (const { name, definition, proposal } of listed) {
    const known = Object.hasOwn(entry, name) ? entry[name] : undefined
    const was = known?.category === undefined ? undefined : String(known.category)
    if (known === undefined) changes.push({ tool: name, change: 'added', was, proposal })
    else if (known.definition !== undefined && known.definition !== definition) {
      changes.push({ tool: name, change: 'changed', was, proposal })
    }
  }
  const names = new Set(listed.map(({ name }) => name))
  for (const [tool, { category }] of Object.entries(entry)) {
    if (names.has(tool)) continue
    changes.push({
      tool,
      change: 'removed',
      was: category === undefined ? undefined : String(category),
      proposal: undefined,
    })
  }
  return changes
}
