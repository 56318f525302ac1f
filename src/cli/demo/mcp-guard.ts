/**
 * What stands before an MCP server of the demo: nothing reaches the server without a token that Errand confirms now, and no
 * tool is called that the token's intent does not contain. Tools and arguments are read from the body that is then passed on,
 * so that guard and server cannot read two different calls out of one request.
 */
import { DPOP_ALGORITHMS } from '../../jose/dpop-proof.ts'
import { parseStrictJson } from '../../jose/strict-json.ts'
import { BODY_BYTES_MAX } from '../../kernel/limits.ts'
import { type Challenge, challengeHeader, resourceMetadataUrl } from '../../sdk/verify/challenge.ts'
import { type ToolCall, type ToolManifest, toolCallRefusal } from '../../sdk/verify/tool-call.ts'
import { TokenRefused, type VerifiedToken } from '../../sdk/verify/verified-token.ts'
import type { DpopRequest, Holder } from '../../sdk/verify/verifier.ts'

export interface GuardOptions {
  readonly issuer: string
  readonly resource: string
  readonly manifest: ToolManifest
  /** The least a client needs to be useful here: what the metadata advertise (trap: SDKs ask for all that is advertised). */
  readonly baseScope: string
  verify(token: string, holder?: Holder): Promise<VerifiedToken>
}

export interface Admitted {
  readonly token: VerifiedToken
  readonly bearer: string
  readonly body: unknown
}

/** @returns the refusal to send, or what was admitted. */
export async function guard(request: Request, options: GuardOptions): Promise<Response | Admitted> {
  const url = new URL(request.url)
  const metadataUrl = resourceMetadataUrl(options.resource)
  if (url.pathname === new URL(metadataUrl).pathname) return resourceMetadata(options)
  if (url.pathname !== new URL(options.resource).pathname) return new Response(null, { status: 404 })
  const [, name = '', bearer] = /^(Bearer|DPoP) ([\x21-\x7e]+)$/i.exec(request.headers.get('authorization') ?? '') ?? []
  if (bearer === undefined) return unauthorized(options, metadataUrl)
  const scheme = name.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer'
  let token: VerifiedToken
  try {
    token = await options.verify(bearer, scheme === 'DPoP' ? { dpop: dpopOf(request) } : {})
  } catch (error) {
    if (error instanceof TokenRefused && error.kind === 'invalid') {
      return unauthorized(options, metadataUrl, { error: error.error, description: error.message, scheme })
    }
    const description = 'whether the token is good cannot be said at present'
    return json(503, { error: 'temporarily_unavailable', error_description: description }, { 'retry-after': '1' })
  }
  // Stateless: no streams to resume, no protocol sessions to delete.
  if (request.method !== 'POST') return new Response(null, { status: 405, headers: { allow: 'POST' } })
  const body = await readJson(request)
  if (body === undefined) return json(400, { error: 'invalid_request', error_description: 'the body is not JSON' })
  return refusedCall(token, body, options, metadataUrl) ?? { token, bearer, body }
}

function refusedCall(
  token: VerifiedToken,
  body: unknown,
  options: GuardOptions,
  resourceMetadata: string,
): Response | undefined {
  for (const message of Array.isArray(body) ? body : [body]) {
    const call = toolCallOf(message)
    if (call === undefined) continue
    const refusal = toolCallRefusal(token, call, options.manifest)
    if (refusal === undefined) continue
    const { error, description } = refusal
    const scopes = refusal.scope === undefined ? [] : [refusal.scope]
    const header = challengeHeader({ error, description, scopes, resourceMetadata })
    return json(403, { error, error_description: description }, { 'www-authenticate': header })
  }
  return undefined
}

/** A call without a name or with odd arguments is still a call: the check refuses what it does not know. */
function toolCallOf(message: unknown): ToolCall | undefined {
  const { method, params } = record(message)
  if (method !== 'tools/call') return undefined
  const { name, arguments: given } = record(params)
  return { tool: typeof name === 'string' ? name : '', arguments: (given ?? {}) as ToolCall['arguments'] }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function resourceMetadata(options: GuardOptions): Response {
  return json(200, {
    resource: options.resource,
    authorization_servers: [options.issuer],
    scopes_supported: [options.baseScope],
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: DPOP_ALGORITHMS,
  })
}

/** RFC 6750 §3.1: an error is named only where a token was presented. */
function unauthorized(
  options: GuardOptions,
  resourceMetadata: string,
  failure?: Required<Pick<Challenge, 'error' | 'description' | 'scheme'>>,
): Response {
  const scopes = [options.baseScope]
  if (failure === undefined) {
    const header = challengeHeader({ scopes, resourceMetadata })
    return json(
      401,
      { error: 'invalid_request', error_description: 'a bearer token is needed' },
      { 'www-authenticate': header },
    )
  }
  const header = challengeHeader({ ...failure, scopes, resourceMetadata })
  const { error, description } = failure
  return json(401, { error, error_description: description }, { 'www-authenticate': header })
}

/** Headers of one name come joined by commas, which no proof holds. */
function dpopOf(request: Request): DpopRequest {
  const proofs = request.headers.get('dpop')?.split(',') ?? []
  return { proofs: proofs.map((proof) => proof.trim()), method: request.method }
}

function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return Response.json(body, { status, headers: { 'cache-control': 'no-store', ...headers } })
}

async function readJson(request: Request): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.length
    if (size > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  try {
    return parseStrictJson(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return undefined
  }
}
