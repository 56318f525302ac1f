/** Every route of the broker. Handlers read a request, call one function below, and write its result; nothing decides here. */
import { type Context, Hono } from 'hono'
import { RefusedRequest } from '../audit/auditor.ts'
import { Rejection } from '../kernel/rejection.ts'
import { accessRoutes } from './access-routes.ts'
import { adminLoginRoute } from './admin-login-route.ts'
import { adminRoutes } from './admin-routes.ts'
import { discoveryRoutes, PUBLIC } from './discovery-routes.ts'
import { errorResponse } from './error-response.ts'
import { formRoutes } from './form-routes.ts'
import { headerOf } from './incoming.ts'
import { logRoutes } from './log-routes.ts'
import { readFacts } from './request.ts'
import { UNREADABLE_PATH } from './request-head.ts'
import { revocationFeedRoute } from './revocation-feed-route.ts'
import type { Method, Route, RouterParts } from './route.ts'
import { sessionRoutes } from './session-routes.ts'

export function createRouter(parts: RouterParts): Hono {
  const app = new Hono()
  const base = basePath(parts.issuer)
  for (const route of routes(parts, base)) {
    app.all(route.path, async (context) =>
      withRequestId(route, withNonce(await traced(route, context, parts), context, parts), context),
    )
  }
  app.notFound((context) => refuse(unrouted(context.req.path), context, parts, false))
  app.onError((error, context) => refuse(error, context, parts, false))
  return app
}

function unrouted(path: string): Rejection {
  return path === UNREADABLE_PATH
    ? new Rejection('request_malformed', 'the request target or its Host is not in plain form')
    : new Rejection('route_unknown', 'no such endpoint')
}

function traced(route: Route, context: Context, parts: RouterParts): Promise<Response> {
  const { tracing } = parts
  if (tracing === undefined) return answer(route, context, parts)
  const { method } = context.req
  const head = { method, route: route.path, traceparent: headerOf(context, 'traceparent') }
  return tracing.request(head, () => answer(route, context, parts))
}

async function answer(route: Route, context: Context, parts: RouterParts): Promise<Response> {
  try {
    const method = context.req.method === 'HEAD' ? 'GET' : context.req.method
    if (method === 'OPTIONS' && route.methods.GET !== undefined && route.bearer === undefined) return preflight(parts)
    const handler = Object.hasOwn(route.methods, method) ? route.methods[method as Method] : undefined
    if (handler !== undefined) {
      const certificates = parts.certificatesOf(context)
      const response = await handler(context, { ...readFacts(context, parts.sourceOf), certificates })
      parts.accounted?.(route.isPublic === true ? 'public' : 'recorded')
      return response
    }
    const refusal = new Rejection('method_not_allowed', 'this endpoint does not serve that method')
    const response = refuse(refusal, context, parts, false)
    response.headers.set('Allow', Object.keys(route.methods).join(', '))
    return response
  } catch (thrown) {
    await parts.admission.beforeAnswer(thrown instanceof RefusedRequest ? thrown.error : thrown)
    // Caught here and not in `onError`, which hono skips for throws that are not Errors.
    return refuse(thrown, context, parts, route.bearer === true)
  }
}

/** RFC 9449 §8.2: whoever sends proofs is told the present nonce with every answer, before its own becomes too old. */
function withNonce(response: Response, context: Context, { nonces }: RouterParts): Response {
  if (nonces !== undefined && headerOf(context, 'dpop') !== undefined)
    response.headers.set('DPoP-Nonce', nonces.current)
  return response
}

/** As it came, also of what was refused: whoever asked finds the answer by it. */
function withRequestId(route: Route, response: Response, context: Context): Response {
  const id = route.echoesRequestId === true ? headerOf(context, 'x-request-id') : undefined
  if (id !== undefined && id !== '') response.headers.set('X-Request-ID', id)
  return response
}

function refuse(thrown: unknown, context: Context, parts: RouterParts, bearer: boolean): Response {
  const facts = readFacts(context, parts.sourceOf)
  // Refused before any endpoint had begun its record: nobody was authenticated, so it is counted (DESIGN §5).
  if (!(thrown instanceof RefusedRequest)) {
    const reason = thrown instanceof Rejection ? thrown.reason : 'server_error'
    parts.revocation.auditor.strangers.count(reason, facts.source)
  }
  parts.accounted?.(thrown instanceof RefusedRequest ? thrown.accounted : 'counted')
  return errorResponse(thrown, { facts, bearer, report: parts.report })
}

/** What stands before every path of the broker. */
export function basePath(issuer: string): string {
  return new URL(issuer).pathname.replace(/\/$/, '')
}

function routes(parts: RouterParts, base: string): readonly Route[] {
  return [
    ...discoveryRoutes(parts, base),
    ...formRoutes(parts, base),
    ...sessionRoutes(parts, base),
    revocationFeedRoute(parts, base),
    adminLoginRoute(parts, base),
    ...accessRoutes(parts, base),
    ...adminRoutes(parts, base),
    ...logRoutes(parts, base),
  ]
}

function preflight({ accounted }: RouterParts): Response {
  accounted?.('public')
  const headers = {
    ...PUBLIC,
    'Access-Control-Allow-Methods': 'GET',
    'Access-Control-Allow-Headers': 'MCP-Protocol-Version',
  }
  return new Response(null, { status: 204, headers })
}
