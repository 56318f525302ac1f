/**
 * The guard as a middleware of Hono: everything behind it has a verified token and a judged body. Sets `auth`, which `@hono/mcp`
 * hands to tools and SDK v2's handler takes as `authInfo`.
 *
 * ```ts
 * const app = new Hono<{ Variables: { auth: AuthInfo } }>()
 * app.use(mcpAuth({ verifier, tools: { query: 'mcp:tools:read' }, baseScope: 'mcp:tools:read' }))
 * app.all('/mcp', (c) => handler.fetch(c.req.raw, { authInfo: c.get('auth') }))
 * ```
 *
 * Whatever stands in front of it is open to everybody. Mounted at one path, it must be mounted at `metadataPath` as well.
 */
import type { AuthInfo } from './auth-info.ts'
import { createGuard, type GuardedBody, type GuardOptions } from './guard/guard.ts'
import { parseBody, readBody } from './guard/read-body.ts'
import { asGuarded, asResponse, isForMetadata, watched } from './guard/web.ts'

export { type AuthExtra, type AuthInfo, verifiedOf } from './auth-info.ts'
export type { GuardOptions } from './guard/guard.ts'

/** What is needed of Hono's context, of any version 4: its classes are not each other's in the eyes of TypeScript. */
export interface HonoContext {
  readonly req: { raw: Request; text(): Promise<string> }
  res: Response | undefined
  set(key: 'auth', value: AuthInfo): void
}

export interface HonoOptions<Context extends HonoContext> extends GuardOptions {
  /** SHA-256 of the certificate that the client has shown, base64url, where TLS ends here or at a proxy that tells. */
  readonly certificateThumbprint?: (c: Context) => string | undefined
}

export interface HonoGuard<Context extends HonoContext> {
  (c: Context, next: () => Promise<void>): Promise<Response | undefined>
  /** Where the resource's metadata are served (RFC 9728 §3.1). */
  readonly metadataPath: string
}

export function mcpAuth<Context extends HonoContext = HonoContext>(options: HonoOptions<Context>): HonoGuard<Context> {
  const guard = createGuard(options, options.certificateThumbprint !== undefined)
  const middleware = async (c: Context, next: () => Promise<void>): Promise<Response | undefined> => {
    if (isForMetadata(c.req.raw, guard)) return asResponse(guard.metadata)
    const verdict = await guard.admit(asGuarded(c.req.raw, options.certificateThumbprint?.(c), () => bodyOf(c)))
    if (verdict.answer !== undefined) return asResponse(verdict.answer)
    c.set('auth', verdict.authInfo)
    if (verdict.body?.bytes !== undefined) c.req.raw = withBody(c.req.raw, verdict.body.bytes)
    await next()
    if (c.res === undefined) return undefined
    const answer = watched(c.res, verdict)
    if (answer === c.res) return undefined
    // Set over another one, Hono would put the old headers back.
    c.res = undefined
    c.res = answer
    return undefined
  }
  return Object.assign(middleware, { metadataPath: guard.metadataPath })
}

/** Read before, by somebody in front: then what Hono keeps of it is what the server will see. */
async function bodyOf(c: HonoContext): Promise<GuardedBody> {
  return c.req.raw.bodyUsed ? parseBody(Buffer.from(await c.req.text(), 'utf8')) : readBody(c.req.raw.body)
}

/** The bytes that were judged, for whoever reads the request next. */
function withBody({ url, method, headers: received, signal }: Request, body: Uint8Array): Request {
  const headers = new Headers(received)
  headers.delete('transfer-encoding')
  headers.set('content-length', String(body.length))
  return new Request(url, { method, headers, signal, body })
}
