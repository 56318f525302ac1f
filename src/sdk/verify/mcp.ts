/**
 * The guard for version 2 of MCP's TypeScript SDK, whose servers are a `fetch`; and the pieces of it for a server that keeps the
 * SDK's own `requireBearerAuth`, on Express for one.
 *
 * ```ts
 * const { fetch } = createMcpHandler(() => server())
 * serve({ fetch: mcpAuth({ verifier, tools: { query: 'mcp:tools:read' }, baseScope: 'mcp:tools:read' }, fetch) })
 * ```
 */
import {
  type McpServer,
  OAuthError,
  OAuthErrorCode,
  type OAuthTokenVerifier,
  type ScopeChallengeHandler,
} from '@modelcontextprotocol/server'
import { isJsonObject } from '../../jose/strict-json.ts'
import { newCallId } from '../../kernel/ids.ts'
import { Secret } from '../../kernel/secret.ts'
import { TRACEPARENT } from '../../protocol/trace-context.ts'
import { plainTraceparent } from '../broker/trace.ts'
import { type AuthInfo, authInfoOf, verifiedOf } from './auth-info.ts'
import { type Begun, localJudge } from './call-judge.ts'
import { endOf } from './guard/answer-watch.ts'
import { refusalBody, unavailable } from './guard/answers.ts'
import { type GateOptions, manifestOf } from './guard/gate.ts'
import { TokenRefused } from './verified-token.ts'
import type { Verifier } from './verifier.ts'

export { type AuthExtra, type AuthInfo, verifiedOf } from './auth-info.ts'
export type { GuardOptions } from './guard/guard.ts'
export { guarded as mcpAuth, type Serve, type WebOptions } from './guard/web.ts'

/** For the SDK's `requireBearerAuth`. It has no 503: while nobody can say, it answers 400, and clients keep their token. */
export function tokenVerifier(verifier: Pick<Verifier, 'verify' | 'issuer' | 'resource'>): OAuthTokenVerifier {
  const { issuer, resource } = verifier
  return {
    verifyAccessToken: async (bearer) => {
      try {
        return authInfoOf(await verifier.verify(bearer), { issuer, resource, bearer })
      } catch (error) {
        const isInvalid = error instanceof TokenRefused && error.kind === 'invalid'
        if (isInvalid) throw new OAuthError(OAuthErrorCode.InvalidToken, error.message)
        throw new OAuthError('temporarily_unavailable', 'whether the token is good cannot be said at present')
      }
    },
  }
}

type ToolRules = Pick<GateOptions, 'tools' | 'judge'>

/** `scopeChallenge` of a tool: which scope its calls need and this token lacks, before anything runs. */
export function scopeChallenge(tools: GateOptions['tools']): ScopeChallengeHandler {
  const manifest = manifestOf(tools)
  return ({ request, authInfo }) => {
    const name = isJsonObject(request.params) ? request.params['name'] : undefined
    const scope = typeof name === 'string' ? manifest.get(name) : undefined
    if (scope === undefined || authInfo?.scopes.includes(scope) === true) return undefined
    return { scopes: [scope], errorDescription: `tool ${name} needs scope ${scope}` }
  }
}

/**
 * Behind the SDK's `requireBearerAuth`: every tool that is registered from now on asks for its scope, and its handler runs only
 * with arguments that the intent allows: those that the schema has made of what was sent. A refusal is a result with `isError`.
 * Resources and prompts are not looked at: `mcpAuth` guards them, too.
 */
export function guardTools<Server extends Pick<McpServer, 'registerTool'>>(server: Server, rules: ToolRules): Server {
  const manifest = manifestOf(rules.tools)
  const challenge = scopeChallenge(manifest)
  const register = server.registerTool.bind(server) as unknown as Register
  const guarded: Register = (name, config, handler) => {
    if (!manifest.has(name)) throw new TypeError(`tool ${name} has no scope`)
    const behind = (given: Handler) => judged(name, given, rules)
    const tool = register(name, { ...config, scopeChallenge: challenge }, behind(handler))
    const { update } = tool
    tool.update = (changes) =>
      update(changes.callback === undefined ? changes : { ...changes, callback: behind(changes.callback) })
    return tool
  }
  return Object.assign(server, { registerTool: guarded })
}

interface Called {
  readonly http?: {
    readonly authInfo?: Pick<AuthInfo, 'token'> & { readonly extra?: Record<string, unknown> }
    readonly req?: { readonly headers: Pick<Headers, 'get'> }
  }
}
/** With the arguments in front where the tool has a schema for them. */
type Handler = (...given: readonly [Called] | readonly [unknown, Called]) => unknown
interface Changes {
  readonly callback?: Handler
}
type Register = (
  name: string,
  config: Readonly<Record<string, unknown>>,
  handler: Handler,
) => { update: (changes: Changes) => void }

function judged(tool: string, handler: Handler, { tools, judge = localJudge }: ToolRules): Handler {
  const manifest = manifestOf(tools)
  const begin = async (args: unknown, { authInfo, req }: NonNullable<Called['http']> = {}): Promise<Begun> => {
    const token = verifiedOf(authInfo)
    if (authInfo === undefined || token === undefined) throw new TokenRefused('invalid', 'no token was verified here')
    const call = { tool, arguments: (args ?? {}) as Readonly<Record<string, unknown>> }
    const traceparent = plainTraceparent(req?.headers.get(TRACEPARENT) ?? undefined)
    return judge.begin({ token, bearer: new Secret(authInfo.token), call, manifest, id: newCallId(), traceparent })
  }
  return async (...given) => {
    const [args, context] = given.length === 1 ? [{}, given[0]] : given
    const begun = await begin(args, context.http).catch((error: unknown) => {
      if (error instanceof TokenRefused) return undefined
      throw error
    })
    if (begun === undefined) return refusedResult(unavailable().body)
    if (!begun.allowed) return refusedResult(refusalBody(begun.refusal, []))
    try {
      const result = await handler(...given)
      const ended = isJsonObject(result) ? endOf(result) : undefined
      if (ended !== undefined) begun.ended(ended[0], ended[1], result).catch(() => {})
      return result
    } catch (error) {
      begun.ended('failure', 'server_error').catch(() => {})
      throw error
    }
  }
}

/** The same words as a 403 has in its body: a model reads them, and may ask for less. */
function refusedResult(body: Readonly<Record<string, unknown>>) {
  return { isError: true, content: [{ type: 'text' as const, text: JSON.stringify(body) }] }
}
