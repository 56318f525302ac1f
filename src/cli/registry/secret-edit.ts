/**
 * The `client_secrets` or `api_keys` of one client in a registry document that people wrote: written anew as a whole, everything
 * else stays as it is. The text that comes out means exactly what it meant before, with these; anything else is an error.
 */
import { isMap, isScalar, type Node, parseDocument } from 'yaml'
import { parseYamlText } from '../../registry/strict-document.ts'
import { UsageError } from '../failures.ts'
import { yamlFlowMap } from '../yaml-text.ts'
import { assertMeans, endOfLine, entries, lastOffset, objectOf } from './registry-edit.ts'

/** As the registry writes it. */
export interface WrittenSecret {
  readonly id: string
  readonly version: string
  readonly sha256: string
  readonly issued_at: string
  readonly expires_at: string
}

export interface WrittenApiKey extends WrittenSecret {
  readonly resources: readonly string[]
  readonly scopes: readonly string[]
}

/** Which list of which client. */
export interface SecretsPlace {
  readonly clientId: string
  readonly member: 'client_secrets' | 'api_keys'
}

const SECTIONS = ['agents', 'services'] as const

/** @throws ConfigurationError, UsageError where there is no such client */
export function withSecrets(
  text: string,
  sourceName: string,
  { clientId, member }: SecretsPlace,
  secrets: readonly (WrittenSecret | WrittenApiKey)[],
): string {
  const before = parseYamlText(text, sourceName)
  const isClient = (entry: unknown) => objectOf(entry)['client_id'] === clientId
  const section = SECTIONS.find((name) => entries(before, name).some(isClient))
  if (section === undefined) throw new UsageError(`${sourceName} has no client ${clientId}: errand agent add makes one`)
  const list = entries(before, section)
  const edited = list.map((entry) => (isClient(entry) ? { ...objectOf(entry), [member]: secrets } : entry))
  const result = replaceMember(text, [section, list.findIndex(isClient), member], secrets)
  return assertMeans(result, { ...objectOf(before), [section]: edited }, sourceName)
}

function replaceMember(
  text: string,
  [section, index, member]: readonly [string, number, SecretsPlace['member']],
  secrets: readonly (WrittenSecret | WrittenApiKey)[],
): string {
  const document = parseDocument(text)
  const client: unknown = document.getIn([section, index], true)
  const pairOf = (name: string) =>
    isMap(client) ? client.items.find(({ key }) => isScalar(key) && key.value === name) : undefined
  const [id, present] = [pairOf('client_id'), pairOf(member)]
  if (!isMap(client) || client.flow === true || !isScalar(id?.key) || !isScalar(id.value)) {
    document.setIn([section, index, member], document.createNode(secrets))
    return document.toString({ lineWidth: 0 })
  }
  const start = id.key.range?.[0] ?? 0
  const margin = ' '.repeat(start - (text.lastIndexOf('\n', start - 1) + 1))
  const lines = [`${member}:`, ...secrets.map((secret) => `${margin}  - ${yamlFlowMap({ ...secret })}`)].join('\n')
  if (present !== undefined && isScalar(present.key)) {
    const from = present.key.range?.[0] ?? 0
    return text.slice(0, from) + lines + text.slice(endOfLine(text, lastOffset(present.value as Node)))
  }
  // On lines of its own below the client's id, indented like it.
  const end = endOfLine(text, id.value.range?.[1] ?? 0)
  return `${text.slice(0, end)}\n${margin}${lines}${text.slice(end)}`
}
