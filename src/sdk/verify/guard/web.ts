/** The guard in the words of the web platform: a `Request` in, a `Response` out. */

import type { AuthInfo } from '../auth-info.ts'
import type { Answer } from './answers.ts'
import {
  type Admitted,
  createGuard,
  type Guard,
  type GuardedBody,
  type GuardedRequest,
  type GuardOptions,
} from './guard.ts'
import { SESSION_HEADER } from './protocol-sessions.ts'
import { readBody } from './read-body.ts'

/** @param read the body; default: from the request, which is read to its end then */
export function asGuarded(
  request: Request,
  certificateThumbprint: string | undefined,
  read: () => Promise<GuardedBody> = () => readBody(request.body),
): GuardedRequest {
  const header = (name: string) => {
    const value = request.headers.get(name)
    return value === null ? [] : [value]
  }
  return { method: request.method, url: request.url, header, body: read, certificateThumbprint }
}

export function asResponse({ status, headers, body }: Answer): Response {
  return Response.json(body, { status, headers })
}

/** The same answer, looked on as it passes. */
export function watched(response: Response, { watch, opened }: Pick<Admitted, 'watch' | 'opened'>): Response {
  const session = response.headers.get(SESSION_HEADER)
  if (session !== null) opened(session)
  if (watch === undefined) return response
  const headers = new Headers(response.headers)
  if (watch.rewrites) headers.delete('content-length')
  const { status, statusText } = response
  if (response.body === null) {
    watch.end(status)
    return response
  }
  const passing = new TransformStream<Uint8Array, Uint8Array>({
    transform: (part, out) => {
      const seen = watch.part(part)
      if (seen.length > 0) out.enqueue(seen)
    },
    flush: (out) => {
      const held = watch.end(status)
      if (held.length > 0) out.enqueue(held)
    },
  })
  return new Response(response.body.pipeThrough(passing), { status, statusText, headers })
}

export function isForMetadata({ method, url }: Request, { metadataPath }: Guard): boolean {
  return (method === 'GET' || method === 'HEAD') && new URL(url).pathname === metadataPath
}

/** What stands behind the guard: SDK v2's `handler.fetch` has this form. */
export type Serve = (
  request: Request,
  judged: { readonly authInfo: AuthInfo; readonly parsedBody?: unknown },
) => Promise<Response>

export interface WebOptions extends GuardOptions {
  /** SHA-256 of the certificate that the client has shown, base64url, where TLS ends here or at a proxy that tells. */
  readonly certificateThumbprint?: (request: Request) => string | undefined
}

/** A server's whole `fetch`: guard, metadata, and `serve` for what is allowed, with the body that was judged. */
export function guarded(options: WebOptions, serve: Serve): (request: Request) => Promise<Response> {
  const guard = createGuard(options, options.certificateThumbprint !== undefined)
  return async (request) => {
    if (isForMetadata(request, guard)) return asResponse(guard.metadata)
    const verdict = await guard.admit(asGuarded(request, options.certificateThumbprint?.(request)))
    if (verdict.answer !== undefined) return asResponse(verdict.answer)
    const { authInfo, body, watch } = verdict
    try {
      const answer = await serve(request, { authInfo, ...(body === undefined ? {} : { parsedBody: body.value }) })
      return watched(answer, verdict)
    } catch (error) {
      watch?.failed('server_error')
      throw error
    }
  }
}
