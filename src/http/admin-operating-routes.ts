/** What admins look at and end: sessions, blocks, the kill switch. */
import type { Context } from 'hono'
import { listBlocks } from '../admin/blocks.ts'
import { inspectSession, listBraked, listSessions } from '../admin/session-listing.ts'
import { endSession } from '../revocation/end-session.ts'
import { killOrder, liftOrder } from '../revocation/kill-order.ts'
import { killByOrder, liftByOrder } from '../revocation/kill-switch.ts'
import { reviewOrder, reviewSession } from '../revocation/review-session.ts'
import type { AdminRoute } from './admin-route.ts'
import { decodeOrder } from './decode-order.ts'
import { json } from './error-response.ts'
import { readJsonText } from './request.ts'
import type { RouterParts } from './route.ts'
import { killed } from './session-routes.ts'

export function operatingRoutes(parts: RouterParts): readonly AdminRoute[] {
  return [...sessionEndpoints(parts), ...reviewEndpoints(parts), ...controlEndpoints(parts)]
}

const session = (context: Context) => context.req.param('session') ?? ''

function sessionEndpoints(parts: RouterParts): readonly AdminRoute[] {
  return [
    {
      path: '/sessions',
      methods: {
        GET: {
          permission: 'read',
          query: ['agent', 'user', 'state'],
          answer: async (request, context) => {
            const agent = context.req.query('agent')
            const state = context.req.query('state')
            if (state !== undefined) return json(200, { sessions: await listBraked(request, state, parts.listing) })
            const of = agent === undefined ? context.req.query('user') : `agent:${agent}`
            return json(200, { sessions: await listSessions(request, parts.listing, of) })
          },
        },
      },
    },
    {
      path: '/sessions/:session',
      methods: {
        GET: {
          permission: 'read',
          answer: async (request, context) => json(200, await inspectSession(request, session(context), parts.listing)),
        },
        DELETE: {
          permission: 'security',
          answer: async (request, context) => killed(await endSession(request, session(context), parts.revocation)),
        },
      },
    },
  ]
}

function reviewEndpoints(parts: RouterParts): readonly AdminRoute[] {
  return [
    {
      path: '/sessions/:session/review',
      methods: {
        POST: {
          permission: 'security',
          answer: async (request, context) => {
            const text = await readJsonText(context)
            const read = () => decodeOrder(reviewOrder, text)
            const { result, audit } = await reviewSession(request, session(context), read, parts.revocation)
            return json(200, { ...result, audit })
          },
        },
      },
    },
  ]
}

function controlEndpoints(parts: RouterParts): readonly AdminRoute[] {
  return [
    {
      path: '/blocks',
      methods: {
        GET: {
          permission: 'read',
          answer: async (request) => json(200, { blocks: await listBlocks(request, parts.listing) }),
        },
      },
    },
    {
      path: '/revocations',
      methods: {
        POST: {
          permission: 'security',
          answer: async (request, context) => {
            const text = await readJsonText(context)
            const { result, audit } = await killByOrder(request, () => decodeOrder(killOrder, text), parts.revocation)
            return json(200, { ...result, audit })
          },
        },
      },
    },
    {
      path: '/lifts',
      methods: {
        POST: {
          permission: 'security',
          answer: async (request, context) => {
            const text = await readJsonText(context)
            return killed(await liftByOrder(request, () => decodeOrder(liftOrder, text), parts.revocation))
          },
        },
      },
    },
  ]
}
