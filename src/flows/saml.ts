/** SAML is refused by its name, with what to use instead, rather than as one unknown type among others. */
import { Rejection } from '../kernel/rejection.ts'
import type { Form } from '../protocol/form.ts'
import { GRANT_TYPE, SAML, TOKEN_TYPE } from '../protocol/oauth.ts'

const TYPES = ['subject_token_type', 'actor_token_type', 'requested_token_type'] as const

/** @throws Rejection `saml_unsupported`; `grant_type_unsupported` for the grant of RFC 7522 */
export function refuseSaml(form: Form): void {
  if (SAML.has(form.get('grant_type') ?? '')) {
    throw new Rejection(
      'grant_type_unsupported',
      `SAML assertions are not accepted as grants: use ${GRANT_TYPE.tokenExchange} with the user's ID token instead`,
    )
  }
  const named = TYPES.find((name) => SAML.has(form.get(name) ?? ''))
  if (named === undefined) return
  throw new Rejection(
    'saml_unsupported',
    `${named}: SAML assertions are neither accepted nor issued: have the same identity provider sign the user in by OpenID Connect, and exchange its ID token (${TOKEN_TYPE.idToken}) or access token (${TOKEN_TYPE.accessToken})`,
  )
}
