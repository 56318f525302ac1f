/** The audit trail for admins: records, and the texts they name. */
import type { Context } from 'hono'
import { continueLog, continueOrder } from '../admin/audit/continue-log.ts'
import { piecesOrder, readLogState, readPieces, readReceipts } from '../admin/audit/read-log.ts'
import { type RecordsQuestion, readRecords } from '../admin/audit/read-records.ts'
import { readContent, readTrail, type TrailQuestion } from '../admin/audit/read-trail.ts'
import { Rejection } from '../kernel/rejection.ts'
import { EVENTS } from '../model/event-catalogue.ts'
import { ORIGIN_TYPES } from '../model/intent.ts'
import type { AdminRoute } from './admin-route.ts'
import { decodeOrder } from './decode-order.ts'
import { json } from './error-response.ts'
import { limitOf, parameter, timeOf } from './query.ts'
import { WIRE } from './rejection-map.ts'
import { readJsonText } from './request.ts'
import type { RouterParts } from './route.ts'

const LISTED_DEFAULT = 50
/** Of these there is a closed list: what is not on it finds nothing, and would look as if nothing had happened. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  outcome: ['granted', 'refused', 'unfinished', 'undone', 'success', 'failure', 'unknown'],
  class: ['agent', 'service', 'user', 'operator', 'stranger'],
  origin: ORIGIN_TYPES,
  event: Object.keys(EVENTS),
  // Of a fault, and of strangers too many to tell apart.
  reason: [...Object.keys(WIRE), 'call_refused', 'server_error', 'other'],
}
/** Each is a column of the trail; `server` is a resource, or the authorization server an ID-JAG is for. */
const NAMED = [
  'agent',
  'user',
  'session',
  'txn',
  'tool',
  'outcome',
  'reason',
  'event',
  'class',
  'origin',
  'by',
  'jti',
  'id',
  'object',
  'service',
] as const

export function auditRoutes(parts: RouterParts): readonly AdminRoute[] {
  const { listing } = parts
  return [
    {
      path: '/audit',
      methods: {
        GET: {
          permission: 'read',
          query: [...NAMED, 'server', 'since', 'until', 'limit', 'after'],
          answer: async (request, context) => json(200, await readTrail(request, () => questionOf(context), listing)),
        },
      },
    },
    recordsRoute(listing),
    continueRoute(listing),
    {
      path: '/audit/log',
      methods: {
        GET: {
          permission: 'read',
          answer: async (request) => json(200, await readLogState(request, listing)),
        },
        // Names of pieces may be many: a question with a body.
        POST: {
          permission: 'read',
          answer: async (request, context) => {
            const order = async () => decodeOrder(piecesOrder, await readJsonText(context))
            return json(200, await readPieces(request, order, listing))
          },
        },
      },
    },
    {
      path: '/audit/receipts/:id',
      methods: {
        GET: {
          permission: 'read',
          answer: async (request, context) =>
            json(200, await readReceipts(request, context.req.param('id') ?? '', listing)),
        },
      },
    },
    {
      path: '/contents/:session/:digest',
      methods: {
        GET: {
          permission: 'read',
          answer: async (request, context) => {
            const named = { session: context.req.param('session') ?? '', digest: context.req.param('digest') ?? '' }
            return json(200, await readContent(request, named, listing))
          },
        },
      },
    },
  ]
}

function continueRoute(listing: RouterParts['listing']): AdminRoute {
  return {
    path: '/audit/continue',
    methods: {
      POST: {
        permission: 'security',
        answer: async (request, context) => {
          const order = async () => decodeOrder(continueOrder, await readJsonText(context))
          return json(200, await continueLog(request, order, listing))
        },
      },
    },
  }
}

/** @throws Rejection `parameter_malformed` */
function questionOf(context: Context): TrailQuestion {
  return {
    filter: {
      ...Object.fromEntries(NAMED.map((name) => [name, known(name, parameter(context, name))])),
      resource: parameter(context, 'server'),
      sinceMs: timeOf(context, 'since'),
      untilMs: timeOf(context, 'until'),
    },
    limit: limitOf(context, LISTED_DEFAULT),
    after: parameter(context, 'after'),
  }
}

/** @throws Rejection `parameter_malformed` */
function known(name: string, value: string | undefined): string | undefined {
  const all = KNOWN[name]
  if (value === undefined || all === undefined || all.includes(value)) return value
  const named = name === 'reason' ? 'one that the manual lists under Errors' : `one of ${all.join(', ')}`
  throw new Rejection('parameter_malformed', `there is no such ${name}: it is ${named}`)
}

function recordsRoute(listing: RouterParts['listing']): AdminRoute {
  return {
    path: '/audit/records',
    methods: {
      GET: {
        permission: 'read',
        query: ['from_index', 'since'],
        answer: async (request, context) => json(200, await readRecords(request, () => recordsOf(context), listing)),
      },
    },
  }
}

/** @throws Rejection `parameter_malformed` */
function recordsOf(context: Context): RecordsQuestion {
  const text = parameter(context, 'from_index')
  if (text !== undefined && !/^\d{1,15}$/.test(text)) {
    throw new Rejection('parameter_malformed', 'from_index must be a whole number from 0')
  }
  return { fromIndex: text === undefined ? undefined : Number(text), sinceMs: timeOf(context, 'since') }
}
