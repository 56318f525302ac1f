/** Every route of the broker. Handlers read a request, call one function below, and write its result; nothing decides here. */
import { type Context, Hono } from 'hono'
import { type CallerParts, operatorCaller, sessionsCaller } from '../admin/callers.ts'
import { inspectSession, type ListingParts, listSessions, readAudit } from '../admin/session-listing.ts'
import type { TokenPipeline } from '../flows/pipeline.ts'
import { parseStrictJson } from '../jose/strict-json.ts'
import type { Clock } from '../kernel/clock.ts'
import { epochSeconds } from '../kernel/clock.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Registry } from '../model/registry.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { Form } from '../protocol/form.ts'
import type { Answered } from '../revocation/caller-request.ts'
import type { RevocationParts } from '../revocation/client-call.ts'
import { endNode, endSession } from '../revocation/end-session.ts'
import { introspect } from '../revocation/introspect.ts'
import { killByOrder, killOrder, liftByOrder, liftOrder } from '../revocation/kill-switch.ts'
import { revokeToken } from '../revocation/revoke-token.ts'
import { errorResponse, type FaultReport, json } from './error-response.ts'
import { openidMetadata, serverMetadata } from './metadata.ts'
import { readBearer, readFacts, readFormText, readJsonText } from './request.ts'

export interface RouterParts {
  readonly issuer: string
  readonly registry: Registry
  readonly ring: KeyRing
  readonly clock: Clock
  readonly pipeline: TokenPipeline
  readonly revocation: RevocationParts
  readonly listing: ListingParts
  readonly callers: CallerParts
  /** What is wrong, or nothing: the broker is ready. */
  readonly notReady: () => Promise<string | undefined>
  readonly report: (fault: FaultReport) => void
}

type Handler = (context: Context, facts: RequestFacts) => Promise<Response> | Response
type Method = 'GET' | 'POST' | 'DELETE'

interface Route {
  readonly path: string
  readonly methods: Readonly<Partial<Record<Method, Handler>>>
  /** Takes bearer tokens: its 401 is RFC 6750's. */
  readonly bearer?: true
}

export function createRouter(parts: RouterParts): Hono {
  const app = new Hono()
  const base = new URL(parts.issuer).pathname.replace(/\/$/, '')
  for (const route of routes(parts, base)) {
    app.all(route.path, (context) => answer(route, context, parts))
  }
  app.notFound((context) => refuse(new Rejection('route_unknown', 'no such endpoint'), context, parts, false))
  app.onError((error, context) => refuse(error, context, parts, false))
  return app
}

async function answer(route: Route, context: Context, parts: RouterParts): Promise<Response> {
  try {
    const method = context.req.method === 'HEAD' ? 'GET' : context.req.method
    if (method === 'OPTIONS' && route.methods.GET !== undefined && route.bearer === undefined) return preflight()
    const handler = Object.hasOwn(route.methods, method) ? route.methods[method as Method] : undefined
    if (handler !== undefined) return await handler(context, readFacts(context))
    const refusal = new Rejection('method_not_allowed', 'this endpoint does not serve that method')
    const response = refuse(refusal, context, parts, false)
    response.headers.set('Allow', Object.keys(route.methods).join(', '))
    return response
  } catch (thrown) {
    // Caught here and not in `onError`, which hono skips for throws that are not Errors.
    return refuse(thrown, context, parts, route.bearer === true)
  }
}

function refuse(thrown: unknown, context: Context, parts: RouterParts, bearer: boolean): Response {
  return errorResponse(thrown, { facts: readFacts(context), bearer, report: parts.report })
}

function routes(parts: RouterParts, base: string): readonly Route[] {
  return [
    ...discoveryRoutes(parts, base),
    ...formRoutes(parts, base),
    ...sessionRoutes(parts, base),
    ...adminRoutes(parts, base),
  ]
}

const PUBLIC = { 'Cache-Control': 'public, max-age=300', Pragma: '', 'Access-Control-Allow-Origin': '*' }

function preflight(): Response {
  const headers = {
    ...PUBLIC,
    'Access-Control-Allow-Methods': 'GET',
    'Access-Control-Allow-Headers': 'MCP-Protocol-Version',
  }
  return new Response(null, { status: 204, headers })
}

function discoveryRoutes(parts: RouterParts, base: string): readonly Route[] {
  const { issuer, registry, ring, clock } = parts
  const open = (path: string, document: () => unknown): Route => ({
    path,
    methods: { GET: () => json(200, document(), PUBLIC) },
  })
  const openid = () => openidMetadata(issuer, registry)
  return [
    // RFC 8414 §3.1 inserts the issuer's path after the well-known segment; OpenID Connect appends.
    open(`/.well-known/oauth-authorization-server${base}`, () => serverMetadata(issuer, registry)),
    open(`/.well-known/openid-configuration${base}`, openid),
    ...(base === '' ? [] : [open(`${base}/.well-known/openid-configuration`, openid)]),
    open(`${base}/jwks`, () => ring.jwks(epochSeconds(clock))),
    {
      path: `${base}/authorize`,
      methods: {
        GET: () => {
          throw new Rejection(
            'response_type_unsupported',
            'this broker has no code flow: exchange a token at the token endpoint',
          )
        },
      },
    },
    { path: '/healthz', methods: { GET: () => json(200, { status: 'alive' }) } },
    {
      path: '/readyz',
      methods: {
        GET: async () => {
          const problem = await parts.notReady()
          return problem === undefined ? json(200, { status: 'ready' }) : json(503, { status: 'not ready', problem })
        },
      },
    },
  ]
}

function formRoutes(parts: RouterParts, base: string): readonly Route[] {
  const post = (path: string, work: (form: () => Form, facts: RequestFacts) => Promise<Response>): Route => ({
    path: base + path,
    methods: {
      POST: async (context, facts) => {
        const text = await readFormText(context)
        return work(() => Form.parse(text), facts)
      },
    },
  })
  return [
    post('/token', async (form, facts) => json(200, await parts.pipeline.answer(form, facts))),
    post('/introspect', async (form, facts) => json(200, await introspect(form, facts, parts.revocation))),
    post('/revoke', async (form, facts) => json(200, await revokeToken(form, facts, parts.revocation))),
  ]
}

function sessionRoutes(parts: RouterParts, base: string): readonly Route[] {
  const request = (context: Context, facts: RequestFacts) => ({
    caller: async () => sessionsCaller(readBearer(context), parts.callers),
    facts,
  })
  const id = (context: Context, name: string) => context.req.param(name) ?? ''
  return [
    {
      path: `${base}/sessions`,
      bearer: true,
      methods: {
        GET: async (context, facts) =>
          json(200, { sessions: await listSessions(request(context, facts), parts.listing) }),
      },
    },
    {
      path: `${base}/sessions/:session`,
      bearer: true,
      methods: {
        GET: async (context, facts) =>
          json(200, await inspectSession(request(context, facts), id(context, 'session'), parts.listing)),
        DELETE: async (context, facts) =>
          killed(await endSession(request(context, facts), id(context, 'session'), parts.revocation)),
      },
    },
    {
      path: `${base}/sessions/:session/nodes/:node`,
      bearer: true,
      methods: {
        DELETE: async (context, facts) => {
          const target = { session: id(context, 'session'), node: id(context, 'node') }
          return killed(await endNode(request(context, facts), target, parts.revocation))
        },
      },
    },
  ]
}

function adminRoutes(parts: RouterParts, base: string): readonly Route[] {
  const request = (context: Context, facts: RequestFacts) => ({
    caller: async () => operatorCaller(readBearer(context), parts.callers),
    facts,
  })
  const admin = (path: string, methods: Route['methods']): Route => ({
    path: `${base}/admin/v1${path}`,
    bearer: true,
    methods,
  })
  const id = (context: Context) => context.req.param('session') ?? ''
  return [
    admin('/sessions', {
      GET: async (context, facts) =>
        json(200, { sessions: await listSessions(request(context, facts), parts.listing) }),
    }),
    admin('/sessions/:session', {
      GET: async (context, facts) =>
        json(200, await inspectSession(request(context, facts), id(context), parts.listing)),
      DELETE: async (context, facts) =>
        killed(await endSession(request(context, facts), id(context), parts.revocation)),
    }),
    admin('/audit', {
      GET: async (context, facts) => {
        const limit = Number(context.req.query('limit') ?? '50')
        return json(200, { records: await readAudit(request(context, facts), limit, parts.listing) })
      },
    }),
    admin('/revocations', {
      POST: async (context, facts) => {
        const text = await readJsonText(context)
        const order = () => decodeOrder(killOrder, text)
        return killed(await killByOrder(request(context, facts), order, parts.revocation))
      },
    }),
    admin('/lifts', {
      POST: async (context, facts) => {
        const text = await readJsonText(context)
        const order = () => decodeOrder(liftOrder, text)
        return killed(await liftByOrder(request(context, facts), order, parts.revocation))
      },
    }),
  ]
}

function killed(answered: Answered<unknown>): Response {
  return json(200, { revoked: answered.result, audit: answered.audit })
}

interface Schema<T> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } }
}

/** @throws Rejection `body_malformed` naming the member */
function decodeOrder<T>(schema: Schema<T>, text: string): T {
  let value: unknown
  try {
    value = parseStrictJson(text)
  } catch {
    throw new Rejection('body_malformed', 'the body is not JSON without repeated members')
  }
  const decoded = schema.safeParse(value)
  if (decoded.success) return decoded.data
  const issue = decoded.error.issues[0]
  throw new Rejection(
    'body_malformed',
    `${issue?.path.join('.') || 'the body'}: ${issue?.message ?? 'is not understood'}`,
  )
}
