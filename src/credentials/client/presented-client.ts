/** How a client presents itself at a form endpoint (RFC 6749 §2.3, RFC 7521 §4.2), before anything is verified. */
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import { versionState } from '../../model/client.ts'
import type { VerifiedClient } from '../../model/evidence.ts'
import { mayIssue } from '../../model/lifecycle.ts'
import type { ClaimedClient, RequestFacts } from '../../model/request-facts.ts'
import type { Form } from '../../protocol/form.ts'
import { parseTokenParameter } from '../token-parameter.ts'

/** What a request brought along that could be meant as client authentication. */
export interface PresentedClient {
  readonly clientId: string | undefined
  readonly assertion: Secret | undefined
  readonly assertionType: string | undefined
  /** What follows `Authorization: Basic`. */
  readonly basic: Secret | undefined
  readonly apiKey?: Secret | undefined
  /** Shown in a TLS handshake. */
  readonly certificates?: RequestFacts['certificates']
  /** The `assertion` of a `jwt-bearer` request: where a platform has issued it, it is the client's authentication, too. */
  readonly grant?: Secret | undefined
  /** Methods that are not supported, whatever they carried. */
  readonly otherMethods: readonly ('client_secret_post' | 'authorization')[]
}

/** Whom the request names, as far as that can be read without work: for limits, which hold before anything is checked. */
export function claimedBy(form: Form, { basicCredentials: basic, apiKey, certificates }: RequestFacts): ClaimedClient {
  const certificate = certificates === 'unreadable' ? undefined : certificates?.[0]
  const isAlone = [basic, apiKey, certificate].every((other) => other === undefined)
  // A grant may be its client's authentication, too, where there is no other.
  const assertion = form.get('client_assertion') ?? (isAlone ? form.get('assertion') : undefined)
  return { clientId: form.get('client_id'), assertion, basic, apiKey, certificate }
}

export function presentedClient(form: Form, facts: RequestFacts): PresentedClient {
  const assertion = form.get('client_assertion')
  const isOtherScheme = facts.authorizationScheme !== undefined && !facts.basicCredentials && !facts.apiKey
  return {
    clientId: form.get('client_id'),
    assertion: assertion === undefined ? undefined : parseTokenParameter(assertion, 'client_assertion'),
    assertionType: form.get('client_assertion_type'),
    basic: facts.basicCredentials,
    apiKey: facts.apiKey,
    certificates: facts.certificates,
    otherMethods: [
      ...(isOtherScheme ? (['authorization'] as const) : []),
      ...(form.get('client_secret') === undefined ? [] : (['client_secret_post'] as const)),
    ],
  }
}

/** @throws Rejection `agent_inactive`, `service_inactive` */
export function assertClientActive(
  { client, version }: Pick<VerifiedClient, 'client' | 'version'>,
  environment: string,
): void {
  if (mayIssue(client.state, environment)) {
    const state = versionState(client, version)
    if (mayIssue(state, environment)) return
    throw new Rejection('agent_inactive', `version ${version} of this agent is ${state}`)
  }
  throw new Rejection(
    client.kind === 'agent' ? 'agent_inactive' : 'service_inactive',
    `this ${client.kind} is ${client.state}`,
  )
}
