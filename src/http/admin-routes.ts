/** What operators may read and do (`/admin/v1`): bearer-protected JSON. */
import type { Context } from 'hono'
import { listBlocks } from '../admin/blocks.ts'
import { operatorCaller } from '../admin/callers.ts'
import { inspectSession, listSessions, readAudit, readContent } from '../admin/session-listing.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { endSession } from '../revocation/end-session.ts'
import { killOrder, liftOrder } from '../revocation/kill-order.ts'
import { killByOrder, liftByOrder } from '../revocation/kill-switch.ts'
import { decodeOrder } from './decode-order.ts'
import { json } from './error-response.ts'
import { readBearer, readJsonText } from './request.ts'
import type { Route, RouterParts } from './route.ts'
import { killed } from './session-routes.ts'

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
