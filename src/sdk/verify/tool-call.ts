/**
 * May the bearer of this token make this call? Asked with the tool and arguments of the request's *body*, before the tool runs.
 *
 * Checks: the server knows the tool; the token has the scope that opens it; the tool was not cut off since; the token's intent contains the tool; the
 * arguments satisfy the intent's constraints. An unknown tool, and whatever this server cannot enforce, is refused.
 */
import { argumentsRefusal, encodeToolConstraints } from '../../authority/constraints.ts'
import type { VerifiedToken } from './verified-token.ts'

export interface ToolCall {
  readonly tool: string
  readonly arguments: Readonly<Record<string, unknown>>
}

/** Tool → the scope that opens it. */
export type ToolManifest = ReadonlyMap<string, string>

export interface ToolCallRefusal {
  /** `insufficient_scope`: another scope would help. `outside_intent`: no scope would; ask for another session. */
  readonly error: 'insufficient_scope' | 'outside_intent'
  /** What was missing, in plain words; argument values are never repeated. */
  readonly description: string
  /** The scope this call needs. */
  readonly scope?: string
  /** What the intent holds of this tool, as `authorization_details` spell it. */
  readonly narrowTo?: PlainJson
  /** What the session was opened for: the purpose where it is known, the tools. */
  readonly declared?: PlainJson
  /** How somebody may be asked to allow it (AuthZEN access request). */
  readonly accessRequest?: PlainJson
}

/** Goes into the answer's body as it is. */
export type PlainJson = Readonly<Record<string, unknown>>

export function toolCallRefusal(
  token: VerifiedToken,
  call: ToolCall,
  manifest: ToolManifest,
): ToolCallRefusal | undefined {
  const scope = manifest.get(call.tool)
  // The name is the caller's own text, so it is not repeated.
  if (scope === undefined)
    return { error: 'outside_intent', description: 'this server has no such tool', ...declaredBy(token) }
  if (!token.scopes.includes(scope)) {
    return { error: 'insufficient_scope', description: `tool ${call.tool} needs scope ${scope}`, scope }
  }
  if (token.revokedTools.has(call.tool)) {
    const description = `tool ${call.tool} was revoked since this token was issued: get a new one`
    return { error: 'insufficient_scope', description, scope }
  }
  const constraints = token.tools.get(call.tool)
  if (constraints === undefined) {
    const description = `the intent of this token does not contain tool ${call.tool}`
    return { error: 'outside_intent', description, ...declaredBy(token) }
  }
  if (token.limits.maxCalls !== undefined) {
    // Serving calls nobody counts would turn the limit into decoration.
    return {
      error: 'outside_intent',
      description:
        'the intent limits the number of calls, which only the broker can count: this server must run in live mode',
    }
  }
  const refusal = argumentsRefusal(constraints, call.arguments)
  if (refusal === undefined) return undefined
  return {
    error: 'outside_intent',
    description: `tool ${call.tool} is allowed only within the intent: ${refusal}`,
    narrowTo: { tool: call.tool, constraints: encodeToolConstraints(constraints) },
  }
}

/** What the session was opened for, as far as the token knows. */
function declaredBy(token: VerifiedToken): Pick<ToolCallRefusal, 'declared'> {
  return { declared: { tools: [...token.tools.keys()] } }
}

/** The server's tools of which the token opens some calls: each has its scope, is in the intent and was not cut off. */
export function callableTools(token: VerifiedToken, manifest: ToolManifest): readonly string[] {
  return [...manifest].flatMap(([tool, scope]) => (token.scopes.includes(scope) && token.tools.has(tool) ? [tool] : []))
}
