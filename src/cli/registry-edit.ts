/**
 * One more agent in a registry document that people wrote: their comments and layout stay as they are. The text that comes
 * out means exactly what it meant before, and the new entry; anything else is an error.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Document, isMap, isSeq, type Node, parseDocument, type YAMLSeq } from 'yaml'
import { isJsonObject } from '../jose/strict-json.ts'
import { parseYamlText } from '../registry/strict-document.ts'
import { CommandFailure } from './failures.ts'
import { yamlFlowList, yamlFlowMap, yamlText } from './yaml-text.ts'

export interface NewAgent {
  readonly client_id: string
  readonly owner: string
  readonly environment: string
  readonly keys: readonly Readonly<Record<string, string>>[]
  readonly grant_types: readonly string[]
  readonly manifest: readonly Readonly<Record<string, string>>[]
  readonly upstream?: Readonly<Record<string, string>>
}

/** @throws ConfigurationError where the document is not strict YAML */
export function addAgent(text: string, sourceName: string, agent: NewAgent): string {
  const before = parseYamlText(text, sourceName)
  const document = parseDocument(text)
  const agents: unknown = document.get('agents')
  const result =
    isSeq(agents) && agents.flow !== true && agents.items.length > 0
      ? insertAfter(text, agents, agent)
      : setInDocument(document, agents, agent)
  const expected = { ...(isJsonObject(before) ? before : {}), agents: [...entries(before), agent] }
  if (isDeepStrictEqual(parseYamlText(result, sourceName), expected)) return result
  throw new CommandFailure(`${sourceName} is laid out in a way that cannot be added to; add the agent by hand`)
}

function entries(document: unknown): readonly unknown[] {
  const agents = isJsonObject(document) ? document['agents'] : undefined
  return Array.isArray(agents) ? agents : []
}

/** Below the last entry, indented like it. */
function insertAfter(text: string, agents: YAMLSeq, agent: NewAgent): string {
  const start = agents.range?.[0] ?? 0
  const dashColumn = start - (text.lastIndexOf('\n', start - 1) + 1)
  const end = endOfLine(text, lastOffset(agents.items.at(-1) as Node))
  const entry = entryLines(agent).map((line, index) => `${' '.repeat(dashColumn)}${index === 0 ? '- ' : '  '}${line}`)
  const gap = text.includes('\n\n') ? '\n' : ''
  return `${text.slice(0, end)}\n${gap}${entry.join('\n')}${text.slice(end)}`
}

/** Where the node's last value ends; comments behind it belong to whatever comes next. */
function lastOffset(node: Node): number {
  const last = isMap(node)
    ? (node.items.at(-1)?.value ?? node.items.at(-1)?.key)
    : isSeq(node)
      ? node.items.at(-1)
      : undefined
  const isBlock = (isMap(node) || isSeq(node)) && node.flow !== true
  if (isBlock && last !== undefined && last !== null) return lastOffset(last as Node)
  return node.range?.[1] ?? 0
}

function endOfLine(text: string, offset: number): number {
  if (text[offset - 1] === '\n') return offset - 1
  const end = text.indexOf('\n', offset)
  return end === -1 ? text.length : end
}

function entryLines(agent: NewAgent): string[] {
  return [
    `client_id: ${yamlText(agent.client_id)}`,
    `owner: ${yamlText(agent.owner)}`,
    `environment: ${yamlText(agent.environment)}`,
    'keys:',
    ...agent.keys.map((key) => `  - ${yamlFlowMap(key)}`),
    `grant_types: ${yamlFlowList(agent.grant_types)}`,
    ...(agent.manifest.length === 0
      ? ['manifest: []']
      : ['manifest:', ...agent.manifest.map((entry) => `  - ${yamlFlowMap(entry)}`)]),
    ...(agent.upstream === undefined ? [] : [`upstream: ${yamlFlowMap(agent.upstream)}`]),
  ]
}

/** There is no list yet, or one written on a single line. */
function setInDocument(document: Document, agents: unknown, agent: NewAgent): string {
  if (isSeq(agents)) {
    agents.flow = agents.flow === true && agents.items.length > 0
    agents.add(document.createNode(agent))
  } else document.set('agents', document.createNode([agent]))
  return document.toString({ lineWidth: 0 })
}
