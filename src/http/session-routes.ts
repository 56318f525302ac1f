/** Sessions for agents and users (`/sessions`), and for operators (`/admin/v1`): bearer-protected JSON. */
import type { Context } from 'hono'
import { listBlocks } from '../admin/blocks.ts'
import { operatorCaller, readingCaller, sessionsCaller } from '../admin/callers.ts'
import { inspectSession, listSessions, readAudit, readContent } from '../admin/session-listing.ts'
import type { PresentedToken } from '../credentials/proof/presented-token.ts'
import type { Caller } from '../model/caller.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import type { Answered } from '../revocation/caller-request.ts'
import { endNode, endSession } from '../revocation/end-session.ts'
import { killOrder, liftOrder } from '../revocation/kill-order.ts'
import { killByOrder, liftByOrder } from '../revocation/kill-switch.ts'
import { decodeOrder } from './decode-order.ts'
import { json } from './error-response.ts'
import { readBearer, readJsonText, readPresented } from './request.ts'
import type { Route, RouterParts } from './route.ts'

export function sessionRoutes(parts: RouterParts, base: string): readonly Route[] {
  const reading = (context: Context, facts: RequestFacts) => ({
    caller: () => admitted(context, facts, parts, (presented) => readingCaller(presented, parts.callers)),
    facts,
  })
  const ending = (context: Context, facts: RequestFacts) => ({
    caller: () => admitted(context, facts, parts, (presented) => sessionsCaller(presented, parts.callers)),
    facts,
  })
  const id = (context: Context, name: string) => context.req.param(name) ?? ''
  return [
    {
      path: `${base}/sessions`,
      bearer: true,
      methods: {
        GET: async (context, facts) =>
          json(200, { sessions: await listSessions(reading(context, facts), parts.listing) }),
      },
    },
    {
      path: `${base}/sessions/:session`,
      bearer: true,
      methods: {
        GET: async (context, facts) =>
          json(200, await inspectSession(reading(context, facts), id(context, 'session'), parts.listing)),
        DELETE: async (context, facts) =>
          killed(await endSession(ending(context, facts), id(context, 'session'), parts.revocation)),
      },
    },
    {
      path: `${base}/sessions/:session/nodes/:node`,
      bearer: true,
      methods: {
        DELETE: async (context, facts) => {
          const target = { session: id(context, 'session'), node: id(context, 'node') }
          return killed(await endNode(ending(context, facts), target, parts.revocation))
        },
      },
    },
  ]
}

/** Strangers' tokens cost signatures: they are limited like those who fail to authenticate at a form endpoint. */
async function admitted(
  context: Context,
  facts: RequestFacts,
  parts: RouterParts,
  verify: (presented: PresentedToken | undefined) => Promise<Caller>,
): Promise<Caller> {
  const entry = parts.admission.arrive(facts.source, 'sessions')
  try {
    const presented = readPresented(context, facts, parts.issuer)
    entry.claim({ clientId: undefined, assertion: undefined, basic: undefined, bearer: presented?.token })
    const { caller } = await entry.admit(async () => {
      const caller = await verify(presented)
      return { caller, client: { clientId: caller.principal } }
    })
    entry.succeeded()
    return caller
  } finally {
    entry.end()
  }
}

export function adminRoutes(parts: RouterParts, base: string): readonly Route[] {
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
      GET: async (context, facts) => {
        const agent = context.req.query('agent')
        const of = agent === undefined ? context.req.query('user') : `agent:${agent}`
        return json(200, { sessions: await listSessions(request(context, facts), parts.listing, of) })
      },
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
    admin('/contents/:session/:digest', {
      GET: async (context, facts) => {
        const named = { session: id(context), digest: context.req.param('digest') ?? '' }
        return json(200, await readContent(request(context, facts), named, parts.listing))
      },
    }),
    admin('/blocks', {
      GET: async (context, facts) => json(200, { blocks: await listBlocks(request(context, facts), parts.listing) }),
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
