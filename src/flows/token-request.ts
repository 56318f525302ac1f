/** A token request, parsed once: nothing behind this file touches the form. Syntax only; what it asks for is not believed. */
import { type ParsedDetails, parseDetails } from '../authority/details.ts'
import { parseAccessToken, parseTokenParameter as parseToken } from '../credentials/token-parameter.ts'
import { isName } from '../jose/name.ts'
import { parseStrictJson } from '../jose/strict-json.ts'
import { AUTHORIZATION_DETAILS_CHARS_MAX, NAME_CHARS_MAX, TARGETS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Form } from '../protocol/form.ts'
import { GRANT_TYPE, TOKEN_TYPE, type TokenTypeUri } from '../protocol/oauth.ts'
import { parseScope, type ScopeSet } from '../protocol/scope.ts'
import { refuseSaml } from './saml.ts'

interface Asked {
  /** RFC 8707, as written. */
  readonly resources: readonly string[]
  readonly audiences: readonly string[]
  readonly scope: ScopeSet | undefined
  readonly details: ParsedDetails | undefined
  /** Self-description of the running copy; authorizes nothing. */
  readonly instance: string | undefined
  /** What the user has said, as the agent tells it: for the audit, where that captures it; it authorizes nothing. */
  readonly prompt: string | undefined
}

export interface ExchangeRequest extends Asked {
  readonly grantType: typeof GRANT_TYPE.tokenExchange
  readonly subjectToken: Secret
  readonly subjectTokenType: TokenTypeUri
  /** Identifier of the identity provider that the subject token is of: needed of opaque tokens where there is a choice. */
  readonly subjectIssuer: string | undefined
  readonly actor: { readonly token: Secret; readonly type: string } | undefined
  readonly requested: TokenTypeUri
}

export interface ClientCredentialsRequest extends Asked {
  readonly grantType: typeof GRANT_TYPE.clientCredentials
}

/** RFC 7523 §2.1: the assertion is the grant. */
export interface JwtBearerRequest extends Asked {
  readonly grantType: typeof GRANT_TYPE.jwtBearer
  readonly assertion: Secret
}

export type TokenRequest = ExchangeRequest | ClientCredentialsRequest | JwtBearerRequest

/** @throws Rejection for anything missing, malformed, oversized or of a type this broker does not know */
export function parseTokenRequest(form: Form): TokenRequest {
  refuseSaml(form)
  const grantType = form.require('grant_type')
  const asked = parseAsked(form)
  if (grantType === GRANT_TYPE.clientCredentials) return { grantType, ...asked }
  if (grantType === GRANT_TYPE.jwtBearer) {
    return { grantType, ...asked, assertion: parseToken(form.require('assertion'), 'assertion', 'assertion_malformed') }
  }
  if (grantType !== GRANT_TYPE.tokenExchange) {
    throw new Rejection(
      'grant_type_unsupported',
      'grant_type must be token-exchange or jwt-bearer (their full URNs), or client_credentials',
    )
  }
  const subjectTokenType = parseSubjectType(form.require('subject_token_type'))
  const parseSubject = subjectTokenType === TOKEN_TYPE.accessToken ? parseAccessToken : parseToken
  return {
    grantType,
    ...asked,
    subjectToken: parseSubject(form.require('subject_token'), 'subject_token'),
    subjectTokenType,
    subjectIssuer: parseIssuer(form.get('subject_issuer')),
    actor: parseActor(form),
    requested: parseRequestedType(form.get('requested_token_type')),
  }
}

function parseAsked(form: Form): Asked {
  const resources = form.all('resource')
  const audiences = form.all('audience')
  if (resources.length + audiences.length > TARGETS_MAX) {
    throw new Rejection('parameter_malformed', `at most ${TARGETS_MAX} targets are accepted`)
  }
  const scope = form.get('scope')
  const details = form.get('authorization_details')
  return {
    resources,
    audiences,
    scope: scope === undefined ? undefined : parseScope(scope),
    details: details === undefined ? undefined : parseDetailsParameter(details),
    instance: parseInstance(form.get('agent_instance')),
    prompt: form.get('user_prompt'),
  }
}

function parseDetailsParameter(text: string): ParsedDetails {
  if (text.length > AUTHORIZATION_DETAILS_CHARS_MAX) {
    throw new Rejection(
      'details_malformed',
      `authorization_details exceeds ${AUTHORIZATION_DETAILS_CHARS_MAX} characters`,
    )
  }
  let value: unknown
  try {
    value = parseStrictJson(text)
  } catch {
    throw new Rejection('details_malformed', 'authorization_details is not a JSON array without repeated members')
  }
  return parseDetails(value)
}

function parseActor(form: Form): ExchangeRequest['actor'] {
  const token = form.get('actor_token')
  const type = form.get('actor_token_type')
  if (token === undefined && type === undefined) return undefined
  if (token === undefined || type === undefined) {
    throw new Rejection('parameter_missing', 'actor_token and actor_token_type go together (RFC 8693 section 2.1)')
  }
  if (type !== TOKEN_TYPE.jwt) {
    throw new Rejection('actor_token_unacceptable', `actor_token_type must be ${TOKEN_TYPE.jwt}`)
  }
  return { token: parseToken(token, 'actor_token'), type }
}

const SUBJECT_TYPES: readonly TokenTypeUri[] = [
  TOKEN_TYPE.idToken,
  TOKEN_TYPE.accessToken,
  TOKEN_TYPE.jwt,
  TOKEN_TYPE.session,
  TOKEN_TYPE.delegation,
]
const REQUESTED_TYPES: readonly TokenTypeUri[] = [
  TOKEN_TYPE.accessToken,
  TOKEN_TYPE.session,
  TOKEN_TYPE.delegation,
  TOKEN_TYPE.idJag,
]

function parseSubjectType(text: string): TokenTypeUri {
  const known = SUBJECT_TYPES.find((type) => type === text)
  if (known !== undefined) return known
  throw new Rejection('subject_token_type_unsupported', `subject_token_type must be one of ${SUBJECT_TYPES.join(', ')}`)
}

function parseRequestedType(text: string | undefined): TokenTypeUri {
  if (text === undefined) return TOKEN_TYPE.accessToken
  const known = REQUESTED_TYPES.find((type) => type === text)
  if (known !== undefined) return known
  throw new Rejection(
    'requested_token_type_unsupported',
    `requested_token_type must be one of ${REQUESTED_TYPES.join(', ')}`,
  )
}

function parseIssuer(text: string | undefined): string | undefined {
  if (text === undefined || isName(text)) return text
  throw new Rejection('parameter_malformed', 'subject_issuer must be the identifier of an identity provider')
}

const INSTANCE = /^[A-Za-z0-9._:-]+$/

function parseInstance(text: string | undefined): string | undefined {
  if (text === undefined || (INSTANCE.test(text) && text.length <= NAME_CHARS_MAX)) return text
  throw new Rejection('parameter_malformed', 'agent_instance must be letters, digits, dot, underscore, colon or hyphen')
}
