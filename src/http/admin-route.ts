/**
 * What an endpoint of the admin API is: nothing of it runs for a caller without its permission. One that names none does not
 * compile.
 */
import type { Context } from 'hono'
import { operatorCaller } from '../admin/operator-caller.ts'
import type { Permission } from '../model/admin-role.ts'
import type { OperatorCaller } from '../model/caller.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { knownOnly } from './query.ts'
import { readPresented } from './request.ts'
import type { Handler, Method, Route, RouterParts } from './route.ts'

export interface AdminRequest {
  /** To be called once, after the request's record has begun. @throws Rejection `bearer_*`, `admin_forbidden`, `parameter_malformed` */
  readonly caller: () => Promise<OperatorCaller>
  readonly facts: RequestFacts
}

export interface AdminMethod {
  readonly permission: Permission
  /** Query parameters it takes; any other is refused. Most take none. */
  readonly query?: readonly string[]
  answer(request: AdminRequest, context: Context): Promise<Response>
}

export interface AdminRoute {
  /** Below `/admin/v1`. */
  readonly path: string
  readonly methods: Readonly<Partial<Record<Method, AdminMethod>>>
}

export function mounted({ path, methods }: AdminRoute, parts: RouterParts, base: string): Route {
  const handlers = Object.entries(methods).map(([method, endpoint]) => [method, handler(endpoint, parts)])
  return { path: `${base}/admin/v1${path}`, bearer: true, methods: Object.fromEntries(handlers) }
}

function handler({ permission, query = [], answer }: AdminMethod, parts: RouterParts): Handler {
  return (context, facts) => answer({ caller: permitted(permission, query, { context, facts }, parts), facts }, context)
}

/** Who asks, once it is called. @param query parameters it takes */
export function permitted(
  permission: Permission,
  query: readonly string[],
  { context, facts }: { readonly context: Context; readonly facts: RequestFacts },
  parts: Pick<RouterParts, 'issuer' | 'callers'>,
): AdminRequest['caller'] {
  return async () => {
    const presented = readPresented(context, facts, parts.issuer)
    const operator = await operatorCaller(presented, parts.callers, permission)
    knownOnly(context, query, operator.principal)
    return operator
  }
}
