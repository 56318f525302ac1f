/** The registry over the admin API: the same endpoints for every section, each behind the permission of that section. */
import type { Context } from 'hono'
import {
  exportRegistry,
  importRegistry,
  moveObject,
  putObject,
  type ReadTarget,
  registryOrder,
  removeObject,
  stateOrder,
} from '../admin/objects/object-requests.ts'
import { LISTED_BY, listObjects, type ObjectView, readObject } from '../admin/objects/read-objects.ts'
import { idInPath } from '../admin/objects/stored-objects.ts'
import { POLICY_BODY_BYTES_MAX } from '../kernel/policy-limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { SECTION_NAMES, SECTIONS, type SectionName } from '../registry/sections.ts'
import type { AdminRoute } from './admin-route.ts'
import { decodeLongOrder, decodeOrder, parseBody } from './decode-order.ts'
import { json } from './error-response.ts'
import { headerOf } from './incoming.ts'
import { readJsonText, takeJson } from './request.ts'
import type { RouterParts } from './route.ts'

export function registryRoutes(parts: RouterParts): readonly AdminRoute[] {
  return [wholeRoute(parts), ...SECTION_NAMES.flatMap((section) => sectionRoutes(section, parts))]
}

function wholeRoute(parts: RouterParts): AdminRoute {
  return {
    path: '/registry',
    methods: {
      GET: {
        permission: 'read',
        query: ['source'],
        answer: async (request, context) =>
          json(200, await exportRegistry(request, context.req.query('source'), parts.policy)),
      },
      POST: {
        permission: 'policy',
        answer: async (request, context) => {
          const read = () => decodeLongOrder(registryOrder, (take) => takeJson(context, POLICY_BODY_BYTES_MAX, take))
          return json(200, await importRegistry(request, read, parts.policy))
        },
      },
    },
  }
}

function sectionRoutes(section: SectionName, parts: RouterParts): readonly AdminRoute[] {
  const { permission, hasState } = SECTIONS[section]
  const list: AdminRoute = {
    path: `/${section}`,
    methods: {
      GET: {
        permission: 'read',
        query: LISTED_BY,
        answer: async (request, context) =>
          json(200, await listObjects(request, section, context.req.query(), parts.policy)),
      },
    },
  }
  const one: AdminRoute = {
    path: `/${section}/:id`,
    methods: {
      GET: {
        permission: 'read',
        answer: async (request, context) => {
          const id = idInPath(context.req.param('id') ?? '')
          return withVersion(200, await readObject(request, section, id, parts.policy))
        },
      },
      PUT: {
        permission,
        answer: async (request, context) => {
          const read = async () => parseBody(await readJsonText(context))
          const { created, ...done } = await putObject(request, targetOf(section, context), read, parts.policy)
          return withVersion(created ? 201 : 200, done)
        },
      },
      DELETE: {
        permission,
        answer: async (request, context) =>
          json(200, await removeObject(request, targetOf(section, context), parts.policy)),
      },
    },
  }
  return hasState ? [list, one, stateRoute(section, parts)] : [list, one]
}

function stateRoute(section: SectionName, parts: RouterParts): AdminRoute {
  return {
    path: `/${section}/:id/state`,
    methods: {
      POST: {
        permission: SECTIONS[section].permission,
        answer: async (request, context) => {
          const read = async () => decodeOrder(stateOrder, await readJsonText(context))
          return withVersion(200, await moveObject(request, targetOf(section, context), read, parts.policy))
        },
      },
    },
  }
}

function targetOf(section: SectionName, context: Context): ReadTarget {
  return () => ({ section, id: idInPath(context.req.param('id') ?? ''), expected: expectedIn(context) })
}

/** RFC 9110 §13.1.1, one strong validator or any. @throws Rejection `parameter_malformed` */
function expectedIn(context: Context): string | undefined {
  const text = headerOf(context, 'if-match')
  if (text === undefined || text === '*') return text
  const version = /^"([A-Za-z0-9_-]{1,64})"$/.exec(text)?.[1]
  if (version === undefined) throw new Rejection('parameter_malformed', 'If-Match must be one version in quotes, or *')
  return version
}

function withVersion(status: number, body: ObjectView | { readonly object?: ObjectView }): Response {
  const object = 'entry' in body ? body : 'object' in body ? body.object : undefined
  return json(status, body, object === undefined ? {} : { ETag: `"${object.version}"` })
}
