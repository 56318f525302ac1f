/**
 * What a verified token opens of one body: every message of it, judged before any of them runs.
 *
 * Guarantees: a method that is not in the table, and a tool that the manifest does not name, is refused whoever judges; one
 * challenge names every scope that all messages need; whatever was begun and then did not run is told as a failure.
 * Reads the body that the handler will see, never a header: `Mcp-Name` is only checked against it.
 */
import { newCallId } from '../../../kernel/ids.ts'
import { Secret } from '../../../kernel/secret.ts'
import { TRACEPARENT } from '../../../protocol/trace-context.ts'
import { plainTraceparent } from '../../broker/trace.ts'
import { type Begun, type CallJudge, localJudge } from '../call-judge.ts'
import { callableTools, type ToolCall, type ToolCallRefusal, type ToolManifest } from '../tool-call.ts'
import { TokenRefused, type VerifiedToken } from '../verified-token.ts'
import { AnswerWatch } from './answer-watch.ts'
import { type Answer, badMessage, callRefused, unavailable } from './answers.ts'
import { assertHeadersAgree, BadMessage, idKey, type Message, readMessages } from './messages.ts'
import { CALL, LIST, type MethodScopes, methodRule, readMethodScopes } from './methods.ts'

export interface GateOptions {
  /** Tool → the scope that opens it, as registered with the broker. */
  readonly tools: ToolManifest | Readonly<Record<string, string>>
  /**
   * Method → the scope that opens it, for what this server has beside tools: `resources/read`, `prompts/get`, `completion/complete`,
   * `logging/setLevel`, `tasks/get`, ... Default: none. Intents name tools alone: whoever has the scope reads all there is.
   */
  readonly methods?: MethodScopes
  /** Default: this process, by what the token says. */
  readonly judge?: CallJudge
  /** Whether `tools/list` shows only what the token opens. Default: all, so that clients know what to ask more for. */
  readonly filterTools?: boolean
}

export interface Asking {
  readonly token: VerifiedToken
  /** Of the request, well-formed. */
  readonly traceparent?: string | undefined
  /** Its text. */
  readonly bearer: string
  readonly resourceMetadata: string
}

export interface Request {
  readonly body: unknown
  /** Every value of a header. */
  readonly header: (name: string) => readonly string[]
}

/** `watch`: looks on as the answer passes; absent where nothing hangs on it. */
export type Passed = { readonly answer: Answer } | { readonly answer?: never; readonly watch?: AnswerWatch }

export interface Gate {
  readonly manifest: ToolManifest
  pass(request: Request, asking: Asking): Promise<Passed>
}

type CallRequest = Extract<Message, { readonly kind: 'request' }>
type Allowed = Extract<Begun, { readonly allowed: true }>

/** @throws TypeError where a rule of `methods` cannot be. */
export function createGate(options: GateOptions): Gate {
  const manifest = manifestOf(options.tools)
  const methods = readMethodScopes(options.methods ?? {})
  const { judge = localJudge, filterTools = false } = options
  const rules = { manifest, methods, judge }
  return {
    manifest,
    pass: async ({ body, header }, asking) => {
      try {
        const messages = readMessages(body)
        assertHeadersAgree(messages, header)
        const traceparent = plainTraceparent(header(TRACEPARENT).join(', '))
        const judged = await judgeAll(messages, { ...asking, traceparent }, rules)
        if ('answer' in judged) return judged
        const lists = messages.filter(
          (message) => message.kind === 'request' && message.method === LIST,
        ) as CallRequest[]
        const shown = filterTools && lists.length > 0 ? new Set(callableTools(asking.token, manifest)) : undefined
        // Nobody here is told how a call ended.
        const begun = judge === localJudge ? new Map<string, Allowed>() : judged.begun
        if (shown === undefined && begun.size === 0) return {}
        return { watch: new AnswerWatch(begun, { ids: new Set(lists.map(({ id }) => idKey(id))), shown }) }
      } catch (error) {
        if (error instanceof BadMessage) return { answer: badMessage(error) }
        if (error instanceof TokenRefused && error.kind === 'unavailable') return { answer: unavailable() }
        throw error
      }
    },
  }
}

export function manifestOf(tools: GateOptions['tools']): ToolManifest {
  return tools instanceof Map ? tools : new Map(Object.entries(tools))
}

interface Rules {
  readonly manifest: ToolManifest
  readonly methods: ReadonlyMap<string, string>
  readonly judge: CallJudge
}

async function judgeAll(
  messages: readonly Message[],
  asking: Asking,
  rules: Rules,
): Promise<{ readonly answer: Answer } | { readonly begun: ReadonlyMap<string, Allowed> }> {
  const needed = new Map<string, string>()
  const calls: CallRequest[] = []
  const need = (scope: string, what: string) => needed.set(scope, needed.get(scope) ?? `${what} needs scope ${scope}`)
  for (const message of messages) {
    if (message.kind === 'response') continue
    if (message.kind === 'request' && message.method === CALL) {
      calls.push(message)
      const { tool } = toolOf(message)
      const scope = rules.manifest.get(tool)
      if (scope !== undefined) need(scope, `tool ${tool}`)
      continue
    }
    const rule = methodRule(message, rules.methods)
    // The name is the caller's own text, so it is not repeated.
    if (rule === 'closed') return refused({ error: 'outside_intent', description: NO_SUCH_METHOD }, [], asking)
    if (rule !== 'open') need(rule.scope, 'this method')
  }
  const scopes = [...needed.keys()]
  const missing = [...needed].find(([scope]) => !asking.token.scopes.includes(scope))
  const known = calls.every((call) => rules.manifest.has(toolOf(call).tool))
  // A step up that ends at a tool which is not there would be for nothing: the judge says so first.
  if (missing !== undefined && known) {
    await tellRefused(calls, asking, rules)
    return refused({ error: 'insufficient_scope', description: missing[1] }, scopes, asking)
  }
  return beginAll(calls, scopes, asking, rules)
}

/** Those whose scope the token lacks; one after the other, as they would have been judged. */
async function tellRefused(
  calls: readonly CallRequest[],
  { token, bearer, traceparent }: Asking,
  { judge, manifest }: Rules,
): Promise<void> {
  for (const call of calls.map(toolOf)) {
    if (token.scopes.includes(manifest.get(call.tool) ?? '') || !TOOL_NAME.test(call.tool)) continue
    await judge.refused?.({ token, bearer: new Secret(bearer), call, manifest, id: newCallId(), traceparent })
  }
}

const NO_SUCH_METHOD = 'this server has no such method, or opens it to nobody'

async function beginAll(
  calls: readonly CallRequest[],
  scopes: readonly string[],
  asking: Asking,
  { judge, manifest }: Rules,
): Promise<{ readonly answer: Answer } | { readonly begun: ReadonlyMap<string, Allowed> }> {
  const begun = new Map<string, Allowed>()
  const { token, traceparent } = asking
  const bearer = new Secret(asking.bearer)
  // What is not known first: nothing is recorded as begun beside it.
  const inOrder = [...calls].sort((a, b) => Number(manifest.has(toolOf(a).tool)) - Number(manifest.has(toolOf(b).tool)))
  try {
    for (const request of inOrder) {
      const call = toolOf(request)
      if (!TOOL_NAME.test(call.tool)) return refused(NO_SUCH_TOOL, [], asking)
      const verdict = await judge.begin({ token, bearer, call, manifest, id: newCallId(), traceparent })
      if (verdict.allowed) begun.set(idKey(request.id), verdict)
      const refusal = verdict.allowed ? unknownTool(call, manifest) : verdict.refusal
      if (refusal === undefined) continue
      endAll(begun)
      const all = refusal.scope === undefined ? scopes : [...new Set([...scopes, refusal.scope])]
      return refused(refusal, all, asking)
    }
  } catch (error) {
    endAll(begun)
    throw error
  }
  return { begun }
}

/** Whatever a judge says: a tool that has no scope here is not one of this server's. */
function unknownTool(call: ToolCall, manifest: ToolManifest): ToolCallRefusal | undefined {
  return manifest.has(call.tool) ? undefined : NO_SUCH_TOOL
}

const NO_SUCH_TOOL: ToolCallRefusal = { error: 'outside_intent', description: 'this server has no such tool' }
/** What may be asked of a judge: MCP's characters for names, and what servers use beside them. */
const TOOL_NAME = /^[\w./:-]{1,128}$/

/** Of a batch, one was refused: the others do not run either. Nobody waits for the judge to have heard of it. */
function endAll(begun: ReadonlyMap<string, Allowed>): void {
  for (const call of begun.values()) call.ended('failure', 'not_run').catch(() => {})
}

/** A call without a name or with odd arguments is still a call: the judge refuses what it does not know. */
function toolOf({ params }: CallRequest): ToolCall {
  const { name, arguments: given } = params
  // Absent is a call without arguments; anything else is judged as it is.
  const args = given === undefined ? {} : given
  return { tool: typeof name === 'string' ? name : '', arguments: args as ToolCall['arguments'] }
}

function refused(
  refusal: ToolCallRefusal,
  scopes: readonly string[],
  { resourceMetadata }: Asking,
): { readonly answer: Answer } {
  return { answer: callRefused(refusal, scopes, resourceMetadata) }
}
