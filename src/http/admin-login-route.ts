/** `POST /admin/v1/login`: the one endpoint of the admin API that takes no management token, but gives one. */
import type { Context } from 'hono'
import { z } from 'zod'
import { type LoggedIn, login } from '../admin/login.ts'
import { parseTokenParameter } from '../credentials/token-parameter.ts'
import { ADMIN_ROLES } from '../model/admin-role.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { decodeOrder } from './decode-order.ts'
import { json } from './error-response.ts'
import { readJsonText } from './request.ts'
import type { Route, RouterParts } from './route.ts'

export const LOGIN_PATH = '/admin/v1/login'

const order = z.strictObject({
  token: z.string().min(1),
  roles: z.array(z.enum(ADMIN_ROLES)).min(1).max(ADMIN_ROLES.length).optional(),
})

export function adminLoginRoute(parts: RouterParts, base: string): Route {
  return {
    path: base + LOGIN_PATH,
    bearer: true,
    methods: { POST: async (context, facts) => answerOf(await admitted(context, facts, parts)) },
  }
}

/** Strangers' tokens cost signatures: they are limited like those of everybody who is not known yet. */
async function admitted(context: Context, facts: RequestFacts, parts: RouterParts): Promise<LoggedIn> {
  const entry = parts.admission.arrive(facts.source, 'login')
  try {
    const { token: text, roles } = decodeOrder(order, await readJsonText(context))
    await entry.turn()
    const token = parseTokenParameter(text, 'token', 'bearer_invalid')
    entry.claim({ clientId: undefined, assertion: undefined, basic: undefined, bearer: token })
    const url = new URL(parts.issuer).origin + context.req.path
    const { result } = await entry.admit(async () => {
      const result = await login({ token, roles, url, facts }, parts.login)
      return { result, client: { clientId: result.principal } }
    })
    entry.succeeded()
    return result
  } finally {
    entry.end()
  }
}

function answerOf({ token, confirmation, expiresInSeconds, roles }: LoggedIn): Response {
  return json(200, {
    token: token.reveal(),
    token_type: confirmation?.kind === 'jkt' ? 'DPoP' : 'Bearer',
    expires_in: expiresInSeconds,
    roles,
  })
}
