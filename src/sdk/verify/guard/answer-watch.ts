/**
 * Looks on as a server's answer passes, JSON or server-sent events: tells the judge how each call ended, and, where the server
 * wants it so, leaves out of `tools/list` what the token does not open.
 *
 * A call is told as it was answered: an error, a result with `isError`, one that asks the client for more, and a refused request
 * are failures. What was not answered here, a task for one, is not told at all: nobody knows how it ended.
 */
import { isJsonObject } from '../../../jose/strict-json.ts'
import { MCP_ANSWER_CHARS_MAX } from '../../../kernel/mcp-limits.ts'
import type { Begun, CallOutcome } from '../call-judge.ts'
import { idKey } from './messages.ts'

type Call = Pick<Extract<Begun, { readonly allowed: true }>, 'ended'>

/** `ids`: of the requests to list tools. `shown`: the tools to list; `undefined`: all. */
interface Lists {
  readonly ids: ReadonlySet<string>
  readonly shown: ReadonlySet<string> | undefined
}

const NOTHING = new Uint8Array()

export class AnswerWatch {
  readonly #pending: Map<string, Call>
  readonly #lists: Lists
  readonly #decoder = new TextDecoder()
  readonly #encoder = new TextEncoder()
  #text = ''
  #form: 'unknown' | 'json' | 'events' = 'unknown'
  #lost = false

  constructor(begun: ReadonlyMap<string, Call>, lists: Lists) {
    this.#pending = new Map(begun)
    this.#lists = lists
  }

  /** Whether the answer may come out shorter than it went in: then its length must not be announced. */
  get rewrites(): boolean {
    return this.#lists.shown !== undefined
  }

  /** The handler threw, or the request was refused behind the guard. @param detail an error code */
  failed(detail: string): void {
    for (const key of [...this.#pending.keys()]) this.#tell(key, 'failure', detail)
  }

  /** @returns what goes on in its place. @throws Error where it would have to hold back more than it may */
  part(bytes: Uint8Array): Uint8Array {
    if (this.#lost || (this.#pending.size === 0 && !this.rewrites)) return bytes
    this.#text += this.#decoder.decode(bytes, { stream: true })
    return this.#read(bytes)
  }

  /** @param status of the answer. @returns what was held back */
  end(status: number): Uint8Array {
    let held = NOTHING
    if (!this.#lost && (this.#pending.size > 0 || this.rewrites)) {
      this.#text += this.#decoder.decode()
      const rest = this.#form === 'json' ? this.#json(this.#text) : this.#event(this.#text)
      if (this.rewrites) held = this.#encoder.encode(rest)
    }
    if (status >= 400) this.failed(`http_${status}`)
    return held
  }

  #read(bytes: Uint8Array): Uint8Array {
    if (this.#form === 'unknown') this.#form = formOf(this.#text)
    const out = this.#form === 'events' ? this.#events() : ''
    if (this.#text.length > MCP_ANSWER_CHARS_MAX) {
      if (this.rewrites) throw new Error('the answer is too long to be filtered')
      this.#lost = true
      this.#text = ''
    }
    return this.rewrites ? this.#encoder.encode(out) : bytes
  }

  #events(): string {
    let out = ''
    for (let end = endOfEvent(this.#text); end > 0; end = endOfEvent(this.#text)) {
      out += this.#event(this.#text.slice(0, end))
      this.#text = this.#text.slice(end)
    }
    return out
  }

  #event(raw: string): string {
    const lines = raw.split(/\r\n|\n|\r/)
    const data = lines.flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : [])).join('\n')
    const seen = this.#json(data)
    if (seen === data) return raw
    const others = lines.filter((line) => line !== '' && !line.startsWith('data:'))
    return `${[...others, `data: ${seen}`].join('\n')}\n\n`
  }

  /** @returns the same text, unless it held a list of tools to shorten */
  #json(text: string): string {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return text
    }
    const seen = Array.isArray(value) ? value.map((message) => this.#message(message)) : this.#message(value)
    const same = Array.isArray(seen)
      ? seen.every((message, at) => message === (value as unknown[])[at])
      : seen === value
    return same ? text : JSON.stringify(seen)
  }

  #message(message: unknown): unknown {
    if (!isJsonObject(message)) return message
    const { id, result, error } = message
    if (typeof id !== 'string' && typeof id !== 'number') return message
    const key = idKey(id)
    if (isJsonObject(error)) this.#tell(key, 'failure', `rpc_${String(error['code']).slice(0, 16)}`)
    if (!isJsonObject(result)) return message
    const ended = endOf(result)
    if (ended !== undefined) this.#tell(key, ended[0], ended[1], result)
    return this.#lists.ids.has(key) ? { ...message, result: this.#shortened(result) } : message
  }

  #shortened(result: Readonly<Record<string, unknown>>): unknown {
    const { shown } = this.#lists
    const { tools } = result
    if (shown === undefined || !Array.isArray(tools)) return result
    return { ...result, tools: tools.filter((tool: { readonly name?: unknown }) => shown.has(String(tool?.name))) }
  }

  /** Once each. A judge that cannot be told now leaves the call as begun: what became of it is unknown there. */
  #tell(key: string, outcome: CallOutcome, detail?: string, response?: unknown): void {
    const call = this.#pending.get(key)
    if (call === undefined) return
    this.#pending.delete(key)
    call.ended(outcome, detail, response).catch(() => {})
  }
}

/** How a call ended that has this result; `undefined`: it goes on behind it as a task, and nobody here knows. */
export function endOf(result: Readonly<Record<string, unknown>>): [CallOutcome, string?] | undefined {
  if (isJsonObject(result['task']) || result['resultType'] === 'task') return undefined
  // The client is to answer something first, and calls again.
  if (result['resultType'] === 'input_required') return ['failure', 'input_required']
  return [result['isError'] === true ? 'failure' : 'success']
}

function formOf(text: string): 'unknown' | 'json' | 'events' {
  const first = text.trimStart()[0]
  if (first === undefined) return 'unknown'
  return first === '{' || first === '[' ? 'json' : 'events'
}

/** Where the first event ends, behind its empty line; 0: not yet. */
function endOfEvent(text: string): number {
  const found = /\r\n\r\n|\n\n|\r\r/.exec(text)
  return found === null ? 0 : found.index + found[0].length
}
