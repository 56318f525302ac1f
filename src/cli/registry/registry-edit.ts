/**
 * One more agent or service in a registry document that people wrote: their comments and layout stay as they are. The text that comes
 * out means exactly what it meant before, and the new entry; anything else is an error.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Document, isMap, isScalar, isSeq, type Node, parseDocument, type YAMLSeq } from 'yaml'
import { isJsonObject } from '../../jose/strict-json.ts'
import { nearestName } from '../../kernel/nearest-name.ts'
import { parseYamlText } from '../../registry/strict-document.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { yamlFlowList, yamlFlowMap, yamlText } from '../yaml-text.ts'

export interface NewAgent {
  readonly client_id: string
  readonly owner: string
  readonly environment: string
  readonly state?: string
  readonly keys: readonly Readonly<Record<string, string>>[]
  readonly grant_types: readonly string[]
  readonly manifest: readonly Readonly<Record<string, string>>[]
  readonly upstream?: Readonly<Record<string, string>>
}

export interface NewService {
  readonly client_id: string
  readonly keys: readonly Readonly<Record<string, string>>[]
  readonly grant_types?: readonly string[]
  readonly api_scopes?: readonly string[]
}

/** An entry, and its lines as this program writes it. */
export interface NewEntry {
  readonly section: 'agents' | 'services' | 'resources'
  readonly value: object
  readonly lines: readonly string[]
}

/** @throws ConfigurationError where the document is not strict YAML */
export function addAgent(text: string, sourceName: string, agent: NewAgent): string {
  const before = parseYamlText(text, sourceName)
  const result = addEntry(text, { section: 'agents', value: agent, lines: agentLines(agent) })
  const expected = { ...objectOf(before), agents: [...entries(before, 'agents'), agent] }
  return assertMeans(result, expected, sourceName)
}

/** The service, and its name at the resource. @throws ConfigurationError, UsageError where there is no such free resource */
export function addService(text: string, sourceName: string, service: NewService, resource: string): string {
  const before = parseYamlText(text, sourceName)
  const at = freeResource(entries(before, 'resources'), sourceName, resource)
  const named = setServerClient(text, at, service.client_id)
  const result = addEntry(named, { section: 'services', value: service, lines: serviceLines(service) })
  const resources = entries(before, 'resources').map((entry, index) =>
    index === at ? { ...objectOf(entry), server_client: service.client_id } : entry,
  )
  const expected = { ...objectOf(before), resources, services: [...entries(before, 'services'), service] }
  return assertMeans(result, expected, sourceName)
}

/** An entry whose lines somebody else has written, comments among them. @throws ConfigurationError, CommandFailure */
export function addWritten(text: string, sourceName: string, entry: NewEntry): string {
  const before = parseYamlText(text, sourceName)
  const expected = { ...objectOf(before), [entry.section]: [...entries(before, entry.section), entry.value] }
  return assertMeans(addEntry(text, entry), expected, sourceName)
}

/** The text, where it means just that. Members may stand in another order: their order means nothing. */
export function assertMeans(text: string, expected: unknown, sourceName: string): string {
  if (isDeepStrictEqual(parseYamlText(text, sourceName), expected)) return text
  throw new CommandFailure(`${sourceName} is laid out in a way that cannot be added to; add it by hand`)
}

function freeResource(resources: readonly unknown[], sourceName: string, id: string): number {
  const ids = resources.map((entry) => String(objectOf(entry)['id']))
  const at = ids.indexOf(id)
  if (at === -1) {
    const nearest = nearestName(id, ids)
    const known = nearest === undefined ? `it has ${ids.join(', ') || 'none'}` : `did you mean ${nearest}?`
    throw new UsageError(`${sourceName} has no resource ${id}; ${known}`)
  }
  const present = objectOf(resources[at])['server_client']
  if (present === undefined) return at
  throw new UsageError(`resource ${id} has the server_client ${String(present)} already, and is left as it is`)
}

/** On a line of its own below the resource's id, indented like it. */
function setServerClient(text: string, at: number, clientId: string): string {
  const document = parseDocument(text)
  const resource: unknown = document.getIn(['resources', at], true)
  const pair = isMap(resource) ? resource.items.find(({ key }) => isScalar(key) && key.value === 'id') : undefined
  if (!isMap(resource) || resource.flow === true || !isScalar(pair?.key) || !isScalar(pair.value)) {
    document.setIn(['resources', at, 'server_client'], clientId)
    return document.toString({ lineWidth: 0 })
  }
  const start = pair.key.range?.[0] ?? 0
  const column = start - (text.lastIndexOf('\n', start - 1) + 1)
  const end = endOfLine(text, pair.value.range?.[1] ?? 0)
  return `${text.slice(0, end)}\n${' '.repeat(column)}server_client: ${yamlText(clientId)}${text.slice(end)}`
}

export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return isJsonObject(value) ? value : {}
}

export function entries(document: unknown, section: string): readonly unknown[] {
  const list = objectOf(document)[section]
  return Array.isArray(list) ? list : []
}

function addEntry(text: string, entry: NewEntry): string {
  const document = parseDocument(text)
  const list: unknown = document.get(entry.section)
  if (isSeq(list) && list.flow !== true && list.items.length > 0) return insertAfter(text, list, entry.lines)
  const { contents } = document
  const isOpen = isMap(contents) && contents.flow !== true && !/^(\.\.\.|---)/m.test(text)
  if (isOpen && !document.has(entry.section)) return append(text, entry)
  return setInDocument(document, list, entry)
}

/** Below the last entry, indented like it. */
function insertAfter(text: string, list: YAMLSeq, lines: readonly string[]): string {
  const start = list.range?.[0] ?? 0
  const dashColumn = start - (text.lastIndexOf('\n', start - 1) + 1)
  const end = endOfLine(text, lastOffset(list.items.at(-1) as Node))
  const entry = lines.map((line, index) => `${' '.repeat(dashColumn)}${index === 0 ? '- ' : '  '}${line}`)
  const gap = text.includes('\n\n') ? '\n' : ''
  return `${text.slice(0, end)}\n${gap}${entry.join('\n')}${text.slice(end)}`
}

/** The section is not there yet: it comes last, and every line before it stays. */
function append(text: string, { section, lines }: NewEntry): string {
  const entry = lines.map((line, index) => `  ${index === 0 ? '- ' : '  '}${line}`)
  return `${text}${text.endsWith('\n') ? '' : '\n'}\n${section}:\n${entry.join('\n')}\n`
}

/** Where the node's last value ends; comments behind it belong to whatever comes next. */
export function lastOffset(node: Node): number {
  const last = isMap(node)
    ? (node.items.at(-1)?.value ?? node.items.at(-1)?.key)
    : isSeq(node)
      ? node.items.at(-1)
      : undefined
  const isBlock = (isMap(node) || isSeq(node)) && node.flow !== true
  if (isBlock && last !== undefined && last !== null) return lastOffset(last as Node)
  return node.range?.[1] ?? 0
}

export function endOfLine(text: string, offset: number): number {
  if (text[offset - 1] === '\n') return offset - 1
  const end = text.indexOf('\n', offset)
  return end === -1 ? text.length : end
}

function agentLines(agent: NewAgent): string[] {
  return [
    `client_id: ${yamlText(agent.client_id)}`,
    `owner: ${yamlText(agent.owner)}`,
    `environment: ${yamlText(agent.environment)}`,
    ...(agent.state === undefined ? [] : [`state: ${yamlText(agent.state)}`]),
    'keys:',
    ...agent.keys.map((key) => `  - ${yamlFlowMap(key)}`),
    `grant_types: ${yamlFlowList(agent.grant_types)}`,
    ...(agent.manifest.length === 0
      ? ['manifest: []']
      : ['manifest:', ...agent.manifest.map((entry) => `  - ${yamlFlowMap(entry)}`)]),
    ...(agent.upstream === undefined ? [] : [`upstream: ${yamlFlowMap(agent.upstream)}`]),
  ]
}

function serviceLines(service: NewService): string[] {
  return [
    `client_id: ${yamlText(service.client_id)}`,
    'keys:',
    ...service.keys.map((key) => `  - ${yamlFlowMap(key)}`),
    ...(service.grant_types === undefined ? [] : [`grant_types: ${yamlFlowList(service.grant_types)}`]),
    ...(service.api_scopes === undefined ? [] : [`api_scopes: ${yamlFlowList(service.api_scopes)}`]),
  ]
}

/** The list is empty, or written on a single line. */
function setInDocument(document: Document, list: unknown, { section, lines }: NewEntry): string {
  // With the comments that stand in the lines.
  const entry = parseDocument(lines.join('\n')).contents
  if (isSeq(list)) {
    list.flow = list.flow === true && list.items.length > 0
    list.add(entry)
  } else {
    const only = document.createNode([]) as YAMLSeq
    only.add(entry)
    document.set(section, only)
  }
  return document.toString({ lineWidth: 0 })
}
