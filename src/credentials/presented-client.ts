/** How a client presents itself at a form endpoint (RFC 6749 §2.3, RFC 7521 §4.2), before anything is verified. */
import { Rejection } from '../kernel/rejection.ts'
import type { Client } from '../model/registry.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import type { Form } from '../protocol/form.ts'
import type { PresentedClient } from './client-authentication.ts'
import { parseTokenParameter } from './token-parameter.ts'

export function presentedClient(form: Form, facts: RequestFacts): PresentedClient {
  const assertion = form.get('client_assertion')
  return {
    clientId: form.get('client_id'),
    assertion: assertion === undefined ? undefined : parseTokenParameter(assertion, 'client_assertion'),
    assertionType: form.get('client_assertion_type'),
    otherMethods: [
      ...(facts.authorizationScheme === undefined ? [] : ['authorization header']),
      ...(form.get('client_secret') === undefined ? [] : ['client_secret']),
    ],
  }
}

/** @throws Rejection `agent_inactive`, `service_inactive` */
export function assertClientActive(client: Client): void {
  if (client.state === 'active') return
  throw new Rejection(
    client.kind === 'agent' ? 'agent_inactive' : 'service_inactive',
    `this ${client.kind} is ${client.state}`,
  )
}
