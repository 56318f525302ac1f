/**
 * The JSON-RPC messages of one body, and that the headers which mirror them (SEP-2243) say the same: a gateway that routed by a
 * header must not have let through another call than the body makes.
 */
import { isJsonObject } from '../../../jose/strict-json.ts'
import { MCP_BATCH_MAX } from '../../../kernel/mcp-limits.ts'

type Params = Readonly<Record<string, unknown>>

export type Message =
  | { readonly kind: 'request'; readonly id: string | number; readonly method: string; readonly params: Params }
  | { readonly kind: 'notification'; readonly method: string; readonly params: Params }
  /** To something the server asked of its client. */
  | { readonly kind: 'response' }

/** The body or its headers are not what MCP sends: a JSON-RPC error with HTTP status 400. */
export class BadMessage extends Error {
  readonly code: number
  /** Of the request it is about; `null` where there is none, or none that can be told (JSON-RPC 2.0 §5). */
  readonly id: string | number | null

  constructor(code: number, description: string, id: string | number | null = null) {
    super(description)
    this.name = 'BadMessage'
    this.code = code
    this.id = id
  }
}

export const PARSE_ERROR = -32_700
const INVALID_REQUEST = -32_600
const HEADER_MISMATCH = -32_020

/** @throws BadMessage unless every one of them is exactly one of the three kinds, with an id of its own. */
export function readMessages(body: unknown): readonly Message[] {
  const parts: readonly unknown[] = Array.isArray(body) ? body : [body]
  if (parts.length === 0) throw invalid('a batch must hold a message')
  if (parts.length > MCP_BATCH_MAX) throw invalid(`a batch may hold ${MCP_BATCH_MAX} messages`)
  const messages = parts.map(readMessage)
  const ids = messages.flatMap((message) => (message.kind === 'request' ? [idKey(message.id)] : []))
  // Two calls under one id: whose answer it is that comes could not be told.
  if (new Set(ids).size !== ids.length) throw invalid('two requests of a batch have the same id')
  return messages
}

function readMessage(value: unknown): Message {
  if (!isJsonObject(value) || value['jsonrpc'] !== '2.0') throw invalid('a message must be JSON-RPC 2.0')
  const { id, method } = value
  const answers = Object.hasOwn(value, 'result') || Object.hasOwn(value, 'error')
  if (method === undefined && answers) return { kind: 'response' }
  if (typeof method !== 'string' || answers) throw invalid('a message must be a request, a notification or a response')
  const params = isJsonObject(value['params']) ? value['params'] : {}
  if (id === undefined) return { kind: 'notification', method, params }
  if (typeof id !== 'string' && typeof id !== 'number') throw invalid('the id of a request must be text or a number')
  return { kind: 'request', id, method, params }
}

/** `1` and `"1"` are two ids. */
export function idKey(id: string | number): string {
  return `${typeof id}:${id}`
}

/** What `Mcp-Name` repeats of the body. */
const NAMED_BY: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
])

/** @throws BadMessage where a header is there and any message says otherwise; absent, it says nothing. */
export function assertHeadersAgree(messages: readonly Message[], header: (name: string) => readonly string[]): void {
  const methods = header('mcp-method')
  const names = header('mcp-name')
  for (const message of messages) {
    if (message.kind === 'response') continue
    if (!methods.every((method) => method.trim() === message.method)) throw mismatch('Mcp-Method', message)
    const member = NAMED_BY.get(message.method)
    if (member === undefined) continue
    if (!names.every((name) => decodeName(name.trim()) === message.params[member])) throw mismatch('Mcp-Name', message)
  }
}

/** SEP-2243: what a header field cannot hold comes as Base64 of UTF-8. `undefined`: no name at all. */
function decodeName(value: string): string | undefined {
  const [, encoded] = /^=\?base64\?(.*)\?=$/.exec(value) ?? []
  if (encoded === undefined) return value
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded) return undefined
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined
}

function invalid(description: string): BadMessage {
  return new BadMessage(INVALID_REQUEST, description)
}

/** The client waits for an answer to this very request. */
function mismatch(name: string, message: Message): BadMessage {
  const id = message.kind === 'request' ? message.id : null
  return new BadMessage(HEADER_MISMATCH, `the header ${name} says otherwise than the body`, id)
}
