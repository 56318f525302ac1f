/** Recorded decisions for admins: listed, explained, and made again. */
import type { Context } from 'hono'
import type { DecisionBook, DecisionFilter } from '../admin/decisions/decision-book.ts'
import { explainDecision, replayDecision } from '../admin/decisions/explain-decision.ts'
import { readDecisions } from '../admin/decisions/read-decisions.ts'
import { epochSeconds } from '../kernel/clock.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { AdminMethod, AdminRequest, AdminRoute } from './admin-route.ts'
import { json } from './error-response.ts'
import { limitOf, parameter, timeOf } from './query.ts'
import type { RouterParts } from './route.ts'

const LISTED_DEFAULT = 50
const NAMED = ['agent', 'user', 'resource', 'outcome', 'reason'] as const
const LISTED_BY = [...NAMED, 'shadow', 'since', 'until', 'limit', 'after']

export function decisionRoutes(parts: RouterParts): readonly AdminRoute[] {
  const { listing } = parts
  const versions = { versionOf: (version: string) => parts.policy.publisher.versionOf(version) }
  const read = (
    work: (book: DecisionBook, context: Context) => Promise<unknown>,
    query: readonly string[] = [],
  ): AdminMethod => ({
    permission: 'read',
    query,
    answer: async (request: AdminRequest, context: Context) =>
      json(200, await readDecisions(request, listing, (book) => work(book, context))),
  })
  const id = (context: Context) => context.req.param('decision') ?? ''
  return [
    {
      path: '/decisions',
      methods: {
        GET: read(async (book, context) => {
          const { records, lookedAt, after } = await book.page(
            filterOf(context),
            limitOf(context, LISTED_DEFAULT),
            parameter(context, 'after'),
          )
          return { decisions: records, looked_at: lookedAt, ...(after === undefined ? {} : { after }) }
        }, LISTED_BY),
      },
    },
    {
      path: '/decisions/:decision',
      methods: {
        GET: read(async (book, context) => {
          const { record, later, kept } = await book.find(id(context))
          if (kept === undefined) return { record, later, question: null }
          const parts = Object.fromEntries(
            [...kept.parts].map(([digest, text]) => [digest, JSON.parse(text) as unknown]),
          )
          return { record, later, ...(JSON.parse(kept.text) as object), parts }
        }),
      },
    },
    {
      path: '/decisions/:decision/explanation',
      methods: {
        GET: read(async (book, context) =>
          explainDecision(
            await book.find(id(context)),
            versions,
            parts.registries.current,
            epochSeconds(listing.clock),
          ),
        ),
      },
    },
    {
      path: '/decisions/:decision/replay',
      methods: { GET: read(async (book, context) => replayDecision(await book.find(id(context)), versions)) },
    },
  ]
}

function filterOf(context: Context): DecisionFilter {
  const [agent, user, resource, outcome, reason] = NAMED.map((name) => parameter(context, name))
  return {
    agent,
    user,
    resource,
    outcome,
    reason,
    shadow: shadowOf(context),
    sinceMs: timeOf(context, 'since'),
    untilMs: timeOf(context, 'until'),
  }
}

function shadowOf(context: Context): 'differs' | undefined {
  const text = parameter(context, 'shadow')
  if (text !== undefined && text !== 'differs') throw new Rejection('parameter_malformed', 'shadow must be differs')
  return text
}
