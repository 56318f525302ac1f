/**
 * Which methods of MCP (2026-07-28, 2025-11-25 and before) a token opens: a closed table. A few open nothing by themselves;
 * `tools/call` is judged call by call; whatever else a server has, resources and prompts for instance, is closed until its
 * operator says which scope opens it: an intent names tools, so it says nothing of what could be read past them.
 */

/** Method → the scope that opens it. */
export type MethodScopes = Readonly<Record<string, string>>

export const CALL = 'tools/call'
export const LIST = 'tools/list'

const OPEN_REQUESTS: ReadonlySet<string> = new Set(['initialize', 'ping', 'server/discover', LIST])
const OPEN_NOTIFICATIONS: ReadonlySet<string> = new Set([
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
  'notifications/tasks/status',
])

/** The scope that opens a method that is no call; `open`: none is needed; `closed`: nothing opens it. */
export function methodRule(
  { kind, method }: { readonly kind: 'request' | 'notification'; readonly method: string },
  scopes: ReadonlyMap<string, string>,
): 'open' | 'closed' | { readonly scope: string } {
  if ((kind === 'request' ? OPEN_REQUESTS : OPEN_NOTIFICATIONS).has(method)) return 'open'
  const scope = scopes.get(method)
  return scope === undefined ? 'closed' : { scope }
}

/** @throws TypeError where it would change a rule that is fixed, or open a method by no scope. */
export function readMethodScopes(configured: MethodScopes): ReadonlyMap<string, string> {
  const scopes = new Map(Object.entries(configured))
  for (const [method, scope] of scopes) {
    const fixed = method === CALL || OPEN_REQUESTS.has(method) || OPEN_NOTIFICATIONS.has(method)
    if (fixed) throw new TypeError(`methods: ${method} has a rule of its own`)
    if (typeof scope !== 'string' || scope === '')
      throw new TypeError(`methods: ${method} needs the scope that opens it`)
  }
  return scopes
}
