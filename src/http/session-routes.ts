/** Sessions for agents and users (`/sessions`): bearer-protected JSON. */
import type { Context } from 'hono'
import { readingCaller, sessionsCaller } from '../admin/callers.ts'
import { inspectSession, listSessions } from '../admin/session-listing.ts'
import { captureTrace, traceOrder } from '../admin/session-traces.ts'
import type { PresentedToken } from '../credentials/proof/presented-token.ts'
import type { Caller } from '../model/caller.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import type { Answered } from '../revocation/caller-request.ts'
import { endNode, endSession, endSubAgent } from '../revocation/end-session.ts'
import { decodeOrder } from './decode-order.ts'
import { json } from './error-response.ts'
import { readJsonText, readPresented } from './request.ts'
import type { Route, RouterParts } from './route.ts'

export function sessionRoutes(parts: RouterParts, base: string): readonly Route[] {
  const reading = (context: Context, facts: RequestFacts) => readingAs(context, facts, parts)
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
    tracesRoute(parts, base),
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
    {
      path: `${base}/sessions/:session/agents/:agent`,
      bearer: true,
      methods: {
        DELETE: async (context, facts) => {
          const target = { session: id(context, 'session'), agent: id(context, 'agent') }
          return killed(await endSubAgent(ending(context, facts), target, parts.revocation))
        },
      },
    },
  ]
}

function readingAs(context: Context, facts: RequestFacts, parts: RouterParts) {
  return { caller: () => admitted(context, facts, parts, (given) => readingCaller(given, parts.callers)), facts }
}

function tracesRoute(parts: RouterParts, base: string): Route {
  return {
    path: `${base}/sessions/:session/traces`,
    bearer: true,
    methods: {
      POST: async (context, facts) => {
        const order = async () => decodeOrder(traceOrder, await readJsonText(context))
        const session = context.req.param('session') ?? ''
        return json(200, await captureTrace(readingAs(context, facts, parts), session, order, parts.listing))
      },
    },
  }
}

/** Strangers' tokens cost signatures: they are limited like those who fail to authenticate at a form endpoint. */
export async function admitted<C extends Caller>(
  context: Context,
  facts: RequestFacts,
  parts: RouterParts,
  verify: (presented: PresentedToken | undefined) => Promise<C>,
): Promise<C> {
  const entry = parts.admission.arrive(facts.source, 'sessions')
  try {
    const presented = readPresented(context, facts, parts.issuer)
    await entry.turn()
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

/** What a revoke killed, and whether its record is written. */
export function killed(answered: Answered<unknown>): Response {
  return json(200, { revoked: answered.result, audit: answered.audit })
}
