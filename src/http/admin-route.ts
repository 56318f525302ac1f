/**
 * What an endpoint of the admin API is: nothing of it runs for a caller without its permission. One that names none does not
 * compile.
 */
import type { Context } from 'hono'
import { operatorCaller } from '../admin/operator-caller.ts'
import type { Permission } from '../model/admin-role.ts'
import type { OperatorCaller } from '../model/caller.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { readPresented } from './request.ts'
import type { Handler, Method, Route, RouterParts } from './route.ts'

export interface AdminRequest {
  /** To be called once, after the request's record has begun. @throws Rejection `bearer_*`, `admin_forbidden` */
  readonly caller: () => Promise<OperatorCaller>
  readonly facts: RequestFacts
}

export interface AdminMethod {
  readonly permission: Permission
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

function handler(endpoint: AdminMethod, parts: RouterParts): Handler {
  return (context, facts) => {
    const caller = async () =>
      operatorCaller(readPresented(context, facts, parts.issuer), parts.callers, endpoint.permission)
    return endpoint.answer({ caller, facts }, context)
  }
}
