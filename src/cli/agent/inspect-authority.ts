/** The authority written in a token's claims, in words: resource → scopes → tools → arguments. Believes and checks nothing. */
import { DETAILS_TYPE } from '../../protocol/oauth.ts'
import { type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { type Branch, printable } from '../terminal.ts'

export interface ToolWords {
  readonly tool: string
  /** One line per argument; empty: any arguments. */
  readonly arguments: readonly string[]
}

export interface ResourceWords {
  readonly resource: string
  readonly tools: readonly ToolWords[]
  readonly limits: readonly string[]
}

export interface AuthorityWords {
  /** Over all resources: a session's token does not say which scope opens which. */
  readonly scopes: readonly string[]
  readonly resources: readonly ResourceWords[]
}

export function authorityWords(claims: JsonObject): AuthorityWords {
  const details = Array.isArray(claims['authorization_details']) ? claims['authorization_details'] : []
  const tools = details.map(jsonObject).filter((entry) => entry['type'] === DETAILS_TYPE.tools)
  return {
    scopes: (textOf(claims['scope']) ?? '').split(' ').filter((scope) => scope !== ''),
    resources: tools.flatMap((entry) =>
      resourcesOf(entry).map((resource) => ({
        resource,
        tools: Object.entries(jsonObject(entry['tools'])).map(([tool, given]) => toolWords(tool, given)),
        limits: limitWords(entry['limits']),
      })),
    ),
  }
}

function resourcesOf(entry: JsonObject): string[] {
  const locations = Array.isArray(entry['locations']) ? entry['locations'] : []
  return locations.map((location) => textOf(location) ?? 'unnamed')
}

function toolWords(tool: string, given: unknown): ToolWords {
  const lines = Object.entries(jsonObject(given)).map(([argument, constraint]) =>
    argument === '*' ? 'any other argument' : `${printable(argument)}: ${constraintWords(constraint)}`,
  )
  return { tool: printable(tool), arguments: lines }
}

function limitWords(limits: unknown): string[] {
  return Object.entries(jsonObject(limits)).map(([name, value]) =>
    name === 'maxCalls' ? `at most ${valueWords(value)} calls` : `${printable(name)}: ${valueWords(value)}`,
  )
}

/** "one of revenue, costs", "at most 500": what an argument must be. */
export function constraintWords(constraint: unknown): string {
  const words = Object.entries(jsonObject(constraint)).map(([member, value]) => memberWords(member, value))
  return words.length === 0 ? 'any value' : words.join(', ')
}

function memberWords(member: string, value: unknown): string {
  switch (member) {
    case 'const':
      return `exactly ${valueWords(value)}`
    case 'enum':
      return Array.isArray(value) && value.length === 1
        ? `exactly ${valueWords(value[0])}`
        : `one of ${(Array.isArray(value) ? value : [value]).map(valueWords).join(', ')}`
    case 'minimum':
      return `at least ${valueWords(value)}`
    case 'maximum':
      return `at most ${valueWords(value)}`
    case 'maxLength':
      return `at most ${valueWords(value)} characters`
    case 'maxItems':
      return `at most ${valueWords(value)} items`
    case 'prefix':
      return `starting with ${valueWords(value)}`
    default:
      return `unknown constraint ${printable(member)}`
  }
}

function valueWords(value: unknown): string {
  return printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing'))
}

/** One resource holds its scopes; over several they stand before them. */
export function authorityTree({ scopes, resources }: AuthorityWords): Branch[] {
  const scopeBranches = scopes.map((scope) => ({ label: `scope ${scope}` }))
  const [only, ...others] = resources
  if (only !== undefined && others.length === 0) return [resourceTree(only, scopeBranches)]
  return [...scopeBranches, ...resources.map((resource) => resourceTree(resource, []))]
}

function resourceTree({ resource, tools, limits }: ResourceWords, scopes: readonly Branch[]): Branch {
  const toolBranches = tools.map((tool) => ({
    label: tool.arguments.length === 0 ? `tool ${tool.tool}, any arguments` : `tool ${tool.tool}`,
    children: tool.arguments.map((label) => ({ label })),
  }))
  return { label: resource, children: [...scopes, ...toolBranches, ...limits.map((label) => ({ label }))] }
}
