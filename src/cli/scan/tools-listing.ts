/**
 * What an MCP server lists as its tools, asked of it as any client asks: without a session where it speaks MCP 2026-07-28, else
 * with the handshake of 2025-11-25. All pages, or none: half a list would pin half a server.
 */
import { isJsonObject } from '../../jose/strict-json.ts'
import { TOOLS_PER_RESOURCE_MAX } from '../../kernel/limits.ts'
import { CommandFailure } from '../failures.ts'
import { arrayOf, type JsonObject, jsonObject, numberIn } from '../json-fields.ts'
import type { Answer, McpDoor } from './mcp-door.ts'

const STATELESS = '2026-07-28'
const WITH_SESSION = '2025-11-25'
const CLIENT = { name: 'errand-scan', version: '1' }
const PAGES_MAX = 64
const CURSOR_CHARS_MAX = 4096

export interface Listing {
  /** Of MCP, as it was spoken: `2026-07-28`. */
  readonly protocol: string
  /** As the server lists them. */
  readonly tools: readonly JsonObject[]
}

/** @throws CommandFailure */
export async function listTools(door: McpDoor): Promise<Listing> {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': STATELESS,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const headers = { 'mcp-protocol-version': STATELESS, 'mcp-method': 'tools/list' }
  const asked = (cursor: string | undefined, id: number) =>
    door.post({ id, method: 'tools/list', params: { ...(cursor !== undefined && { cursor }), _meta: meta } }, headers)
  const first = await asked(undefined, 1)
  assertAllowed(first, door)
  if (isJsonObject(first.response?.['result'])) {
    return { protocol: STATELESS, tools: await pages(door, first, asked) }
  }
  return listInSession(door)
}

async function listInSession(door: McpDoor): Promise<Listing> {
  const params = { protocolVersion: WITH_SESSION, capabilities: {}, clientInfo: CLIENT }
  const begun = await door.post({ id: 1, method: 'initialize', params })
  assertAllowed(begun, door)
  const { protocolVersion: protocol } = resultOf(begun, 'initialize', door)
  if (typeof protocol !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(protocol)) {
    throw new CommandFailure(`${door.origin} does not say which version of MCP it speaks`)
  }
  const headers = { 'mcp-protocol-version': protocol, ...sessionOf(begun, door) }
  try {
    await door.post({ method: 'notifications/initialized' }, headers)
    const asked = (cursor: string | undefined, id: number) =>
      door.post({ id, method: 'tools/list', ...(cursor !== undefined && { params: { cursor } }) }, headers)
    return { protocol, tools: await pages(door, await asked(undefined, 2), asked) }
  } finally {
    if ('mcp-session-id' in headers) await door.delete(headers)
  }
}

function sessionOf({ headers }: Answer, { origin }: McpDoor): { 'mcp-session-id'?: string } {
  const id = headers['mcp-session-id']
  if (id === undefined) return {}
  if (typeof id !== 'string' || !/^[\x21-\x7e]{1,1024}$/.test(id))
    throw new CommandFailure(`${origin} gives its session an id that no header can hold`)
  return { 'mcp-session-id': id }
}

async function pages(
  door: McpDoor,
  first: Answer,
  ask: (cursor: string, id: number) => Promise<Answer>,
): Promise<readonly JsonObject[]> {
  const tools: JsonObject[] = []
  let answer = first
  for (let page = 1; page <= PAGES_MAX; page += 1) {
    const { tools: listed, nextCursor: cursor } = resultOf(answer, 'tools/list', door)
    if (!Array.isArray(listed)) throw new CommandFailure(`${door.origin} lists no tools in its answer to tools/list`)
    tools.push(...arrayOf(listed).map(jsonObject))
    if (tools.length > TOOLS_PER_RESOURCE_MAX)
      throw new CommandFailure(`${door.origin} lists more than ${TOOLS_PER_RESOURCE_MAX} tools`)
    if (cursor === undefined || cursor === null) return tools
    if (typeof cursor !== 'string' || cursor.length > CURSOR_CHARS_MAX)
      throw new CommandFailure(`${door.origin} goes on at a place that cannot be asked for`)
    answer = await ask(cursor, page + 2)
  }
  throw new CommandFailure(`${door.origin} lists its tools on more than ${PAGES_MAX} pages`)
}

function resultOf({ status, response }: Answer, method: string, { origin }: McpDoor): JsonObject {
  const result = response?.['result']
  if (isJsonObject(result)) return result
  const error = response?.['error']
  const code = isJsonObject(error) ? numberIn(error['code']) : Number.NaN
  const what = Number.isInteger(code) ? `error ${code}` : `status ${status}, and not as an MCP server does`
  throw new CommandFailure(`${origin} answers ${method} with ${what}`)
}

/** A refusal is told as such: another version of the protocol would be refused as well. */
function assertAllowed({ status }: Answer, { origin }: McpDoor): void {
  if (status === 401)
    throw new CommandFailure(`${origin} wants a token that it accepts: --token-file FILE, or - for a pipe`)
  if (status === 403)
    throw new CommandFailure(`${origin} refuses: the token does not reach tools/list, or the host is not one it serves`)
}
