/** The OAuth endpoints: form in, JSON out, client authentication inside. */
import type { Arrival } from '../model/request-facts.ts'
import { Form } from '../protocol/form.ts'
import { ENDPOINT } from '../protocol/oauth.ts'
import { introspect } from '../revocation/introspect.ts'
import { revokeToken } from '../revocation/revoke-token.ts'
import { json } from './error-response.ts'
import { queryNames } from './incoming.ts'
import { readFormText } from './request.ts'
import type { Route, RouterParts } from './route.ts'

export function formRoutes(parts: RouterParts, base: string): readonly Route[] {
  const post = (path: string, work: (form: () => Form, facts: Arrival) => Promise<Response>): Route => ({
    path: base + path,
    methods: {
      POST: async (context, facts) => {
        const entry = parts.admission.arrive(facts.source, path === ENDPOINT.revocation ? 'revoke' : 'token')
        try {
          const text = await readFormText(context)
          return await work(() => Form.parse(text, queryNames(context)), { ...facts, entry })
        } finally {
          entry.end()
        }
      },
    },
  })
  return [
    post(ENDPOINT.token, async (form, facts) => json(200, await parts.pipeline.answer(form, facts))),
    post(ENDPOINT.introspection, async (form, facts) => json(200, await introspect(form, facts, parts.revocation))),
    post(ENDPOINT.revocation, async (form, facts) => json(200, await revokeToken(form, facts, parts.revocation))),
  ]
}
