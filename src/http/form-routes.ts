/** The OAuth endpoints: form in, JSON out (or, for who asks for it, a signed introspection), client authentication inside. */
import type { Context } from 'hono'
import type { Arrival } from '../model/request-facts.ts'
import { Form } from '../protocol/form.ts'
import { ENDPOINT, type Endpoint, JWT_TYP } from '../protocol/oauth.ts'
import { introspect, signIntrospection } from '../revocation/introspect.ts'
import { revokeToken } from '../revocation/revoke-token.ts'
import { json, NO_STORE } from './error-response.ts'
import { headerOf, queryNames } from './incoming.ts'
import { readFormText } from './request.ts'
import type { Route, RouterParts } from './route.ts'

/** Where their callers' failures are counted. */
export const FORM_DOORS = {
  [ENDPOINT.token]: 'token',
  [ENDPOINT.introspection]: 'token',
  [ENDPOINT.revocation]: 'revoke',
} as const

type FormWork = (form: () => Form, facts: Arrival, context: Context) => Promise<Response>

/** RFC 9701 §4. */
const SIGNED_MEDIA_TYPE = `application/${JWT_TYP.introspection}`
const VARIES = { Vary: 'Accept' } as const

/** Named, and not named as unwanted: who takes anything is answered in plain JSON (RFC 9110 §12.5.1). */
function acceptsSigned(context: Context): boolean {
  const ranges = headerOf(context, 'accept')?.split(',') ?? []
  return ranges.some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return type === SIGNED_MEDIA_TYPE && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))
  })
}

export function formRoutes(parts: RouterParts, base: string): readonly Route[] {
  const post = (path: Endpoint, work: FormWork): Route => ({
    path: base + path,
    methods: {
      POST: async (context, facts) => {
        const entry = parts.admission.arrive(facts.source, FORM_DOORS[path])
        try {
          const text = await readFormText(context)
          await entry.turn()
          return await work(() => Form.parse(text, queryNames(context)), { ...facts, entry }, context)
        } finally {
          entry.end()
        }
      },
    },
  })
  return [
    post(ENDPOINT.token, async (form, facts) => json(200, await parts.pipeline.answer(form, facts))),
    post(ENDPOINT.introspection, async (form, facts, context) => {
      const introspected = await introspect(form, facts, parts.revocation)
      if (!acceptsSigned(context)) return json(200, introspected.introspection, VARIES)
      const signed = await signIntrospection(introspected, parts.revocation)
      return new Response(signed, { headers: { 'Content-Type': SIGNED_MEDIA_TYPE, ...NO_STORE, ...VARIES } })
    }),
    post(ENDPOINT.revocation, async (form, facts) => json(200, await revokeToken(form, facts, parts.revocation))),
  ]
}
