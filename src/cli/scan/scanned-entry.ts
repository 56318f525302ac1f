/**
 * What a scan writes into a registry: a new entry for the server with a proposal per tool, each with its reason beside it; or, of
 * a server that is registered, what it lists now. There no tool that is new or has changed gets a category by itself: what its
 * server says was believed once, and has just turned out to change.
 */
import { isMap, isScalar, parseDocument } from 'yaml'
import type { ToolCategory } from '../../model/resource.ts'
import { definitionDigest, manifestDigest } from '../../registry/manifest-digest.ts'
import type { JsonObject } from '../json-fields.ts'
import { addWritten } from '../registry/registry-edit.ts'
import { yamlText } from '../yaml-text.ts'
import type { Proposal } from './proposal.ts'
import type { Drift } from './tool-drift.ts'

export interface ScannedTool {
  readonly name: string
  /** As the server lists it. */
  readonly listed: JsonObject
  readonly proposal: Proposal
  /** What the operator says instead. */
  readonly chosen: ToolCategory | undefined
}

export interface ScannedServer {
  readonly url: string
  /** `2026-11-22` */
  readonly day: string
  readonly tools: readonly ScannedTool[]
}

export function digestOf(tools: readonly ScannedTool[]): string {
  return manifestDigest(
    Object.fromEntries(tools.map(({ name, listed }) => [name, { definition: definitionDigest(listed) }])),
  )
}

/** Nothing is issued for it in production before somebody has read the entry and set its state. */
export function addServer(
  text: string,
  sourceName: string,
  { url, day, tools }: ScannedServer,
  { id, owner }: { readonly id: string; readonly owner: string },
): string {
  const digest = digestOf(tools)
  const members = tools.map(({ name, listed, proposal, chosen }) => {
    const tool = { category: chosen ?? proposal.category, definition: definitionDigest(listed) }
    return { name, tool, why: reason(proposal, chosen) }
  })
  const value = {
    id,
    url,
    owner,
    state: 'testing',
    manifest_digest: digest,
    ...(members.length > 0 && { tools: Object.fromEntries(members.map(({ name, tool }) => [name, tool])) }),
  }
  const lines = [
    `id: ${yamlText(id)}`,
    `url: ${yamlText(url)}`,
    `owner: ${yamlText(owner)}`,
    `# Listed by the server on ${day}; the categories are proposals. Read them, then say active.`,
    'state: testing',
    `manifest_digest: ${yamlText(digest)}`,
    ...(members.length === 0 ? [] : ['tools:']),
    ...members.flatMap(({ name, tool, why }) => [
      `  # ${tool.category}: ${why}`,
      `  ${yamlText(name)}: { category: ${tool.category}, definition: ${yamlText(tool.definition)} }`,
    ]),
  ]
  return addWritten(text, sourceName, { section: 'resources', value, lines })
}

/** @param at which of the document's resources it is */
export function repinServer(text: string, at: number, { day, tools }: ScannedServer, drift: readonly Drift[]): string {
  const document = parseDocument(text)
  const path = ['resources', at, 'tools']
  const changed = new Map(drift.map(({ tool, change }) => [tool, change]))
  for (const [tool, change] of changed) {
    if (change === 'removed') document.deleteIn([...path, tool])
    if (change === 'changed') for (const member of ['category', 'delegable']) document.deleteIn([...path, tool, member])
  }
  for (const { name, listed, proposal, chosen } of tools) {
    if (!document.hasIn([...path, name])) document.setIn([...path, name], document.createNode({}))
    if (chosen !== undefined) document.setIn([...path, name, 'category'], chosen)
    document.setIn([...path, name, 'definition'], definitionDigest(listed))
    const change = changed.get(name)
    if (change === 'added' || change === 'changed') {
      const word = chosen ?? `no category, so admin; proposed ${proposal.category}`
      comment(document.getIn(path, true), name, ` ${change} ${day}: ${word}: ${reason(proposal, chosen)}`)
    }
  }
  document.setIn(['resources', at, 'manifest_digest'], digestOf(tools))
  return document.toString({ lineWidth: 0 })
}

/** Above the tool, below what people have written there. */
function comment(tools: unknown, name: string, line: string): void {
  const key = isMap(tools) ? tools.items.find((item) => isScalar(item.key) && item.key.value === name)?.key : undefined
  if (!isScalar(key)) return
  key.commentBefore = [key.commentBefore, line].filter((one) => typeof one === 'string' && one !== '').join('\n')
}

function reason({ because }: Proposal, chosen: ToolCategory | undefined): string {
  return chosen === undefined ? because.join('; ') : 'said by whoever scanned it'
}
