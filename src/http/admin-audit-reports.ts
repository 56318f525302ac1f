/** Answers made of the audit trail: one piece of work as a story, one token as a chain, calls of tools, and who had access. */
import type { Context } from 'hono'
import { readAccess } from '../admin/audit/access.ts'
import { type CallsQuestion, readCalls } from '../admin/audit/calls.ts'
import { readChain } from '../admin/audit/chain.ts'
import { readStory } from '../admin/audit/story.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { ToolCategory } from '../model/resource.ts'
import type { AdminRoute } from './admin-route.ts'
import { json } from './error-response.ts'
import { parameter, timeOf } from './query.ts'
import type { RouterParts } from './route.ts'

const CATEGORIES: readonly ToolCategory[] = ['read', 'write', 'destructive', 'admin']
const ASKED = ['agent', 'user', 'tool', 'server', 'since', 'until']

export function auditReportRoutes(parts: RouterParts): readonly AdminRoute[] {
  const { listing } = parts
  const versions = { versionOf: (version: string) => parts.policy.publisher.versionOf(version) }
  const told = () => ({ ...listing, versions, current: parts.registries.current })
  return [
    {
      path: '/audit/stories/:txn',
      methods: {
        GET: {
          permission: 'read',
          answer: async (request, context) =>
            json(200, await readStory(request, context.req.param('txn') ?? '', listing)),
        },
      },
    },
    {
      path: '/audit/chains/:jti',
      methods: {
        GET: {
          permission: 'read',
          answer: async (request, context) =>
            json(200, await readChain(request, context.req.param('jti') ?? '', listing)),
        },
      },
    },
    {
      path: '/audit/calls',
      methods: {
        GET: {
          permission: 'read',
          query: [...ASKED, 'session', 'txn', 'category', 'personal'],
          answer: async (request, context) => json(200, await readCalls(request, () => questionOf(context), told())),
        },
      },
    },
    {
      path: '/audit/access',
      methods: {
        GET: {
          permission: 'read',
          query: ASKED,
          answer: async (request, context) => json(200, await readAccess(request, () => filterOf(context), told())),
        },
      },
    },
  ]
}

function filterOf(context: Context): CallsQuestion['filter'] {
  return {
    agent: parameter(context, 'agent'),
    user: parameter(context, 'user'),
    tool: parameter(context, 'tool'),
    resource: parameter(context, 'server'),
    sinceMs: timeOf(context, 'since'),
    untilMs: timeOf(context, 'until'),
  }
}

/** @throws Rejection `parameter_malformed` */
function questionOf(context: Context): CallsQuestion {
  const categories = parameter(context, 'category')?.split(',')
  const personal = parameter(context, 'personal')
  if (personal !== undefined && personal !== 'true') throw malformed('personal must be true')
  if (categories?.some((one) => !CATEGORIES.some((known) => known === one)) === true) {
    throw malformed(`category must be of ${CATEGORIES.join(', ')}, separated by commas`)
  }
  return {
    filter: { ...filterOf(context), session: parameter(context, 'session'), txn: parameter(context, 'txn') },
    categories: categories as readonly ToolCategory[] | undefined,
    personal: personal === 'true',
  }
}

function malformed(message: string): Rejection {
  return new Rejection('parameter_malformed', message)
}
